"""The part of docs/meters.md on what is proved: `python -m tests.matrix.table docs`.

It stands between comments such as `<!-- proved: cells -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from pathlib import Path

from tests.matrix import needs, oddities
from tests.matrix.cells import DIMENSIONS, IMPOSSIBLE, cells

_PART = re.compile(r"(<!-- proved: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return a document with its parts on what is proved written anew."""
    return _PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]]() + "\n" + part[3], text)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells() -> str:
    """Write a row for each cell; its test is the one with the cell's name."""
    rows = ((*astuple(cell), f"`test_cell[{cell.name}]`") for cell in cells())
    return _table((*DIMENSIONS, "test"), rows)


def _values() -> str:
    """Write how many cells prove each value."""
    rows = [
        (
            name,
            ", ".join(
                f"{value} ({sum(getattr(cell, name) == value for cell in cells())})"
                for value in values
            ),
        )
        for name, values in DIMENSIONS.items()
    ]
    return _table(("of", "values, and the cells that prove them"), rows)


def _impossible() -> str:
    rows = [
        (
            " with ".join(f"{name} {', '.join(values)}" for name, values in rule.values.items()),
            rule.why,
        )
        for rule in IMPOSSIBLE
    ]
    return _table(("not proved", "because"), rows)


def _oddities() -> str:
    rows = [
        (
            f"`{one.fault}`",
            one.outcome,
            ", ".join(f"`test_oddity[{one.name}-{framing}]`" for framing in one.framings),
        )
        for one in oddities.ODDITIES
    ]
    rows += [(f"`{name}`", text, f"`{test}`") for name, (test, text) in oddities.OTHERS.items()]
    return _table(("fault", "outcome", "test"), rows)


def _workarounds() -> str:
    rows = [
        (
            f"`{need.key}`",
            f"the meter {need.meter}",
            f"`test_a_workaround_that_the_meter_needs[{need.name}]`",
        )
        for need in needs.NEEDS
    ]
    rows += [
        (f"`{key}`", f"the meter {text}", f"`{test}`") for key, (test, text) in needs.OTHERS.items()
    ]
    return _table(("workaround", "needed where", "test"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "cells": _cells,
    "values": _values,
    "impossible": _impossible,
    "oddities": _oddities,
    "workarounds": _workarounds,
}


def main(folder: Path) -> None:
    """Write the parts of docs/meters.md anew."""
    path = folder / "meters.md"
    text = path.read_text("utf-8")
    if (filled := fill(text)) != text:
        path.write_text(filled, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
