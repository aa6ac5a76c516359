"""A picture of what the demo shows, as SVG: for documents."""

from __future__ import annotations

import io
import re

from rich.console import Console, RenderableType

#: Characters in a line: the table of the demo fits, and a picture stays readable.
_WIDTH = 96
#: The fonts of the template lie on a server of others; without them the reader's own are used.
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
#: Names the styles; one that is made of the content would change every line of the file.
_ID = "demo"


def picture(view: RenderableType, command: str) -> str:
    """Return a terminal in which a command has been entered and a view is shown, as SVG."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(f"$ [bold]{command}[/bold]", highlight=False)
    console.print(view)
    return _FONTS.sub("", console.export_svg(title=command, unique_id=_ID))
