"""The command line in the documentation: `python -m dlms_connector.cli.manual docs`.

A page of the help of each command stands in command-line.md between two comments.
"""

from __future__ import annotations

import re
import sys
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
    pages = []
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None  # it is in the list
        within = click.Context(
            command, info_name=name, parent=context, terminal_width=_WIDTH,
            help_option_names=["-h", "--help"],
        )  # fmt: skip
        pages.append(f"### {name}\n\n```text\n{command.get_help(within)}\n```\n")
    return "\n".join(pages)


if __name__ == "__main__":
    document = Path(sys.argv[1]) / _DOCUMENT
    document.write_text(fill(document.read_text("utf-8")), "utf-8")
