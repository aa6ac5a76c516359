"""Faults on real sockets: a third of all cells, another one each day; `make faults` runs all."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from tests.faults import forging
from tests.faults.cells import cells, part
from tests.faults.forgeries import FORGERIES
from tests.faults.running import run
from tests.faults.table import PARTS, believed, fill, forge_all, load, red
from tests.support.places import DOCS

#: Where a fault draws lots, and which cells are run: set it to what a failed run names.
SEED = int(os.environ.get("FAULTS_SEED", date.today().toordinal()))


def test_no_cell_is_red(tmp_path: Path) -> None:
    wanted = part(SEED)
    assert red(wanted, run(wanted, tmp_path, SEED)) == {}, f"FAULTS_SEED={SEED}"


def test_nothing_forged_is_believed() -> None:
    attempts = forging.part(SEED)
    found = believed(attempts, forge_all(attempts, SEED))
    assert found == {}, f"FAULTS_SEED={SEED}"


def test_the_tables_are_current() -> None:
    """They hold all cells that there are, and say what the stored results say."""
    stored = load()
    assert list(stored["cells"]) == [cell.name for cell in cells()], "run: make faults"
    assert list(stored["forged"]) == list(FORGERIES), "run: make faults"
    text = (DOCS / "reliability.md").read_text("utf-8")
    assert fill(text, stored) == text, "run: make docs"
    assert [part for part in PARTS if f"<!-- faults: {part} -->" not in text] == []
