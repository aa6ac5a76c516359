"""Arguments and options of the commands that take a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dlms_connector.cli.chosen import offered

Command = TypeVar("Command", bound=Callable[..., Any])


def file_argument(command: Command) -> Command:
    """Add the configuration FILE, which becomes `file`."""
    return click.argument("file", type=click.Path(path_type=Path, dir_okay=False))(command)


def device_option(what: str) -> Callable[[Command], Command]:
    """Return what adds `--device`, which becomes `names`; `what` is its line in the help."""
    return click.option(
        "--device", "names", multiple=True, metavar="NAME", shell_complete=offered, help=what
    )
