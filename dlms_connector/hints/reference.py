"""The table of hints in the documentation: `python -m dlms_connector.hints.reference docs`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from dlms_connector.hints.table import SECTIONS, Hint, sentence

_PART = re.compile(r"(<!-- hints: table -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return a document with the table written anew."""
    table = "\n".join(_lines())
    return _PART.sub(lambda part: f"{part[1]}\n{table}\n{part[2]}", text)


def _lines() -> Iterator[str]:
    for section, rows in SECTIONS.items():
        yield f"#### {section}"
        yield ""
        yield "| what is seen | what to try |"
        yield "|---|---|"
        for symptom, hint in rows.items():
            yield f"| {_cell(hint.seen)} | {_cell(_remedy(hint, sentence([symptom])))} |"
        yield ""


def _remedy(hint: Hint, told: str) -> str:
    """Return the sentence; where it is all facts, that the message tells it."""
    return "the message says" if told == "…" else told


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.md")):
        before = path.read_text("utf-8")
        if (after := filled(before)) != before:
            path.write_text(after, "utf-8")
