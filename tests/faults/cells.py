"""The cells of the table: each fault, in each framing, in each stage, in clear and ciphered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import product
from typing import NamedTuple
from zlib import crc32

from tests.faults.effects import FAULTS
from tests.faults.stages import TRIGGERS

FRAMINGS = ("HDLC", "WRAPPER")
SECURITIES = ("plain", "ciphered")
#: Parts in which the table can be run.
PARTS = 3


@dataclass(frozen=True)
class Cell:
    """A fault that meets a stage."""

    fault: str
    framing: str
    security: str
    stage: str

    @property
    def name(self) -> str:
        """What the cell is called in results."""
        return "-".join(astuple(self))


class Senseless(NamedTuple):
    """Cells that make no sense, and why."""

    why: str
    faults: tuple[str, ...]
    stages: tuple[str, ...] = tuple(TRIGGERS)
    framings: tuple[str, ...] = FRAMINGS
    securities: tuple[str, ...] = SECURITIES


_OF_CONNECTIONS = ("refuse", "silent", "reset", "half-close")

SENSELESS = (
    Senseless(
        "the wrapper has no frame that connects: what TCP does is all",
        tuple(name for name in FAULTS if name not in _OF_CONNECTIONS),
        ("connect",),
        ("WRAPPER",),
    ),
    Senseless(
        "ciphering makes no difference to who shares the line",
        tuple(FAULTS),
        ("line",),
        securities=("ciphered",),
    ),
    Senseless("who pushes is not asked", ("lose", "echo"), ("push",)),
    Senseless("between pushes nothing is asked: the same as `reorder`", ("late",), ("push",)),
)


def is_sensible(cell: Cell) -> bool:
    """Whether a cell makes sense."""
    return why_not(cell) is None


def why_not(cell: Cell) -> Senseless | None:
    """Return why a cell makes no sense; None if it does."""
    for rule in SENSELESS:
        if (
            cell.fault in rule.faults
            and cell.stage in rule.stages
            and cell.framing in rule.framings
            and cell.security in rule.securities
        ):
            return rule
    return None


def all_cells() -> Iterator[Cell]:
    """Yield all cells, also those that make no sense."""
    for framing, security, fault, stage in product(FRAMINGS, SECURITIES, FAULTS, TRIGGERS):
        yield Cell(fault, framing, security, stage)


def cells() -> list[Cell]:
    """Return the cells that make sense."""
    return [cell for cell in all_cells() if is_sensible(cell)]


def part(number: int) -> list[Cell]:
    """Return one of the parts: each has all faults, framings, securities and stages."""
    return [cell for cell in cells() if crc32(cell.name.encode()) % PARTS == number % PARTS]
