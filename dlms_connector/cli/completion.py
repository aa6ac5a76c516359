"""`dlms-connector completion`: commands, options and device names at the press of Tab."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from dlms_connector.cli.program import main

_NAME = "dlms-connector"
_VARIABLE = "_DLMS_CONNECTOR_COMPLETE"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a shell looks for the completion of a command, and what else it needs."""

    folder: Callable[[], Path]
    file: str
    then: str


def _data() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _config() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


_PLACES: Mapping[str, _Place] = {
    "bash": _Place(
        lambda: _data() / "bash-completion" / "completions", _NAME,
        "new shells have it, if the package bash-completion is installed",
    ),
    "zsh": _Place(
        lambda: _data() / "zsh" / "site-functions", f"_{_NAME}",
        "new shells have it, if ~/.zshrc has `fpath+=({folder})` before `compinit`",
    ),
    "fish": _Place(
        lambda: _config() / "fish" / "completions", f"{_NAME}.fish", "new shells have it",
    ),
}  # fmt: skip


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.option(
    "--install", is_flag=True, help="Write it to where the shell looks, for this user only."
)
def command(shell: str, install: bool) -> None:
    """Print the code with which SHELL completes commands, options and device names.

    Without --install, load it yourself: eval "$(dlms-connector completion bash)". Exit codes: 0 it
    is printed or written, 1 it cannot be written, 2 there is no such shell.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has all shells of the table
    code = kind(main, {}, _NAME, _VARIABLE).source()
    if not install:
        click.echo(code)
        return
    place = _PLACES[shell]
    folder = place.folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / place.file).write_text(code + "\n", "utf-8")
    click.echo(f"written to {folder / place.file}; {place.then.format(folder=folder)}")
