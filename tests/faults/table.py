"""The tables of docs/reliability.md: `python -m tests.faults.table docs` writes them.

They come from the results of the last whole run, which lie beside this module. With `--run` the
cells are run first, and their results replace these.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults import forging, outcomes
from tests.faults.cells import FRAMINGS, SECURITIES, SENSELESS, Cell, all_cells, cells, why_not
from tests.faults.effects import FAULTS
from tests.faults.forgeries import FORGERIES
from tests.faults.forging import Attempt, Outcome
from tests.faults.forms import CIPHERINGS
from tests.faults.running import Result, run
from tests.faults.stages import TRIGGERS

RESULTS = Path(__file__).with_name("results.json")
_SEED = 1
_PART = re.compile(r"(<!-- faults: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHORT = {
    "LinkTimeoutError": "timeout",
    "LinkClosedError": "closed",
    "ConnectError": "unreachable",
    "ProtocolError": "protocol",
    "SecurityError": "security",
    "RepeatedError": "security",
}


def problems(cell: Cell, result: Result) -> list[str]:
    """Return what is wrong with a result; a cell with any is red."""
    found = list(result.problems)
    if result.once not in outcomes.once(cell):
        found.append(f"once: {result.once!r} is none of {outcomes.once(cell)}")
    if result.lasting not in outcomes.lasting(cell):
        found.append(f"lasting: {result.lasting!r} is none of {outcomes.lasting(cell)}")
    return found


def red(wanted: Iterable[Cell], results: Mapping[str, Result]) -> dict[str, list[str]]:
    """Return the problems of the cells that have any, and of the healthy meters."""
    found = {cell.name: problems(cell, results[cell.name]) for cell in wanted}
    found["healthy"] = results["healthy"].problems
    return {name: what for name, what in found.items() if what}


def fill(text: str, stored: Mapping[str, Any]) -> str:
    """Return a document with its tables written anew."""
    return _PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]](stored) + "\n" + part[3], text)


def load() -> dict[str, Any]:
    """Return the stored results."""
    stored: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return stored


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)


def _cells(stored: Mapping[str, Any]) -> str:
    sensible = [cell for cell in all_cells() if why_not(cell) is None]
    lines = [
        f"{len(sensible)} cells, none of them red. The longest time from the end of a lasting "
        f"fault to the next values: {stored['longest_back_s']:.0f} s, at a poll period of 60 s. "
        f"The longest gap of an undisturbed meter beside all of them: "
        f"{stored['healthy_gap_s']:.0f} s."
    ]
    for framing in FRAMINGS:
        for security in SECURITIES:
            rows = (
                (f"`{fault}`", *(_cell(Cell(fault, framing, security, stage), stored["cells"])
                                 for stage in TRIGGERS))
                for fault in FAULTS
            )  # fmt: skip
            lines += [f"### {framing}, {security}", markdown(("fault", *TRIGGERS), rows)]
    return "\n\n".join(lines)


def _cell(cell: Cell, found: Mapping[str, Any]) -> str:
    if (rule := why_not(cell)) is not None:
        return _letter(SENSELESS.index(rule))
    once, lasting = (_SHORT.get(one, one) for one in found[cell.name])
    return once if once == lasting else f"{once} → {lasting}"


def _letter(number: int) -> str:
    return f"({chr(ord('a') + number)})"


def _senseless(_: Mapping[str, Any]) -> str:
    rows = ((_letter(number), rule.why) for number, rule in enumerate(SENSELESS))
    return markdown(("cell", "makes no sense, because"), rows)


def _faults(_: Mapping[str, Any]) -> str:
    rows = (
        (f"`{one.name}`", one.does, ", ".join(sorted({_SHORT[name] for name in right})) or "none")
        for one in FAULTS.values()
        for right in [outcomes.RIGHT.get(one.name, ())]
    )
    return markdown(("fault", "what happens", "errors that fit"), rows)


def _forged(stored: Mapping[str, Any]) -> str:
    """Write a row for each forgery: how often it was sent in each ciphering, and its outcome."""
    found = stored["forged"]
    rows = (
        (f"`{one.name}`", one.does, *(_tally(found[one.name].get(way)) for way in CIPHERINGS))
        for one in FORGERIES.values()
    )
    total = sum(sum(ways.values()) for one in found.values() for ways in one.values())
    return (
        f"{total} forgeries, none of them red.\n\n"
        + markdown(("sent", "what it is", *CIPHERINGS), rows)
    )  # fmt: skip


def _tally(outcomes: Mapping[str, int] | None) -> str:
    if outcomes is None:
        return ""
    return ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))


PARTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "kinds": _faults,
    "cells": _cells,
    "senseless": _senseless,
    "forged": _forged,
}


def forge_all(attempts: Sequence[Attempt], seed: int) -> dict[str, Outcome]:
    """Return the outcomes of forgeries, by their names."""
    # In memory where that is possible: each run stores counters, and waits for the disk.
    shared = Path("/dev/shm")
    where = shared if os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        return {
            one.name: forging.run(one, number + 1, Path(folder), seed)
            for number, one in enumerate(attempts)
        }


def believed(attempts: Iterable[Attempt], found: Mapping[str, Outcome]) -> dict[str, list[str]]:
    """Return the problems of the forgeries that have any."""
    wrong = {one.name: forging.problems(one, found[one.name]) for one in attempts}
    return {name: what for name, what in wrong.items() if what}


def _tallies(attempts: Iterable[Attempt], found: Mapping[str, Outcome]) -> dict[str, Any]:
    tallies: dict[str, dict[str, dict[str, int]]] = {}
    for one in attempts:
        word = "without loss" if found[one.name].error == "ok" else "refused"
        ways = tallies.setdefault(one.forgery.name, {}).setdefault(one.form.ciphering, {})
        ways[word] = ways.get(word, 0) + 1
    return tallies


def make_results() -> dict[str, Any]:
    """Run all cells and forgeries; raises SystemExit if one is red."""
    wanted, attempts = cells(), forging.attempts()
    forged = forge_all(attempts, _SEED)
    with tempfile.TemporaryDirectory() as folder:
        results = run(wanted, Path(folder), _SEED)
    if found := red(wanted, results) | believed(attempts, forged):
        raise SystemExit("\n".join(f"{name}: {'; '.join(what)}" for name, what in found.items()))
    return {
        "longest_back_s": round(
            max(results[cell.name].back_s for cell in wanted if cell.stage != "line")
        ),
        "healthy_gap_s": round(results["healthy"].back_s),
        "cells": {
            cell.name: [results[cell.name].once, results[cell.name].lasting] for cell in wanted
        },
        "forged": _tallies(attempts, forged),
    }


def main(folder: Path, *, anew: bool) -> None:
    """Write the tables; run the cells first if wanted."""
    if anew:
        text = json.dumps(make_results(), indent=0)
        RESULTS.write_text(re.sub(r"\[\n(.+),\n(.+)\n\]", r"[\1, \2]", text) + "\n", "utf-8")
    path = folder / "reliability.md"
    text = path.read_text("utf-8")
    if (filled := fill(text, load())) != text:
        path.write_text(filled, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), anew="--run" in sys.argv)
