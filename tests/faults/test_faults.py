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


#: A connector's fault is found each time. What is found once is a machine so busy that its kernel
#: delivers later than the skipped time allows for.
TRIES = 3


def test_no_cell_is_red(tmp_path: Path) -> None:
    wanted, problems = part(SEED), {}
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        problems = red(wanted, run(wanted, folder, SEED))
        if not problems:
            break
        if "healthy" not in problems:  # else any of the cells may have disturbed them
            wanted = [cell for cell in wanted if cell.name in problems]
    assert problems == {}, f"FAULTS_SEED={SEED}"


def test_nothing_forged_is_believed() -> None:
    attempts, found = forging.part(SEED), {}
    for _ in range(TRIES):
        found = believed(attempts, forge_all(attempts, SEED))
        attempts = [one for one in attempts if one.name in found]
        if not found:
            break
    assert found == {}, f"FAULTS_SEED={SEED}"


def test_the_tables_are_current() -> None:
    """They hold all cells that there are, and say what the stored results say."""
    stored = load()
    assert list(stored["cells"]) == [cell.name for cell in cells()], "run: make faults"
    assert list(stored["forged"]) == list(FORGERIES), "run: make faults"
    text = (DOCS / "reliability.md").read_text("utf-8")
    assert fill(text, stored) == text, "run: make docs"
    assert [part for part in PARTS if f"<!-- faults: {part} -->" not in text] == []
