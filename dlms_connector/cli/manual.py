"""The command line in the documentation: `python -m dlms_connector.cli.manual docs`.

A page of the help of each command stands in command-line.md between two comments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dlms_connector.cli.program import main

_PART = re.compile(r"(<!-- help -->\n).*?(<!-- end -->)", re.DOTALL)
_DOCUMENT = "command-line.md"
_WIDTH = 96


def fill(text: str) -> str:
    """Return a document with the help of all commands written anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{_pages()}\n{part[2]}", text)


def _pages() -> str:
    context = click.Context(main, info_name="dlms-connector")
    pages: list[str] = []
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None  # it is in the list
        pages += _page(context, command, name, name)
    return "\n".join(pages)


def _page(parent: click.Context, command: click.Command, name: str, shown: str) -> Iterator[str]:
    """Yield the help of a command, and that of the commands of a group."""
    within = click.Context(
        command, info_name=name, parent=parent, terminal_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )  # fmt: skip
    yield f"### {shown}\n\n```text\n{command.get_help(within)}\n```\n"
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from _page(within, inner, each, f"{shown} {each}")


if __name__ == "__main__":
    document = Path(sys.argv[1]) / _DOCUMENT
    document.write_text(fill(document.read_text("utf-8")), "utf-8")
