"""Where commands write tables, and where nothing is written."""

from __future__ import annotations

import logging

from rich.console import Console

#: Text columns for a pipe or a file, which have no width of their own.
_PIPE_WIDTH = 200


def table_console() -> Console:
    """Return the standard output for tables; in a pipe, no line is folded without need."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    return console


def silent_log(command: str) -> logging.Logger:
    """Return a logger without output, for a command that shows all of it itself."""
    log = logging.getLogger(f"dlms_connector.{command}")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    return log
