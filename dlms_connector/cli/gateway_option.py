"""The option `--gateway-config` of the commands about a gateway; some of them load little else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def gateway_option(command: Command) -> Command:
    """Add `--gateway-config`, which becomes `config_dir`."""
    return click.option(
        "--gateway-config",
        "config_dir",
        required=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="The folder with the gateway's tb_gateway.json.",
    )(command)
