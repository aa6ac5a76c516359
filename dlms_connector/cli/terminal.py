"""Where commands write tables."""

from __future__ import annotations

from rich.console import Console

#: Text columns for a pipe or a file, which have no width of their own.
_PIPE_WIDTH = 200


def table_console() -> Console:
    """Return the standard output for tables; in a pipe, no line is folded without need."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    return console
