"""The file of `discover --output`: whether it can be written is seen before a meter is asked."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from dlms_connector.installation import give_to_folder, is_example


def check_output(output: Path) -> None:
    """Raise BadParameter if the file cannot be written, before a meter is contacted."""
    if output.exists() and not _only_an_example(output):
        raise click.BadParameter(f"{output} exists already", param_hint="--output")
    folder = output.parent
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}", param_hint="--output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.BadParameter(f"nothing can be written in {folder}", param_hint="--output")


def _only_an_example(output: Path) -> bool:
    """Whether a file is what `install` put there for somebody to edit, and nobody did."""
    with suppress(OSError, UnicodeDecodeError):
        return is_example(output.read_text("utf-8"))
    return False


def write_entry(output: Path, text: str) -> Path | None:
    """Write a new file; return None if that fails, so that the entry is shown instead."""
    try:
        if _only_an_example(output):
            output.write_text(text, "utf-8")  # in place: it stays the gateway's file
            return output
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
        give_to_folder(output)
    except OSError as error:
        click.echo(f"cannot write {output}: {error.strerror}", err=True)
        return None
    return output
