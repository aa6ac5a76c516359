"""The table of all targets, and the inputs that are kept of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import apdus, doors, lines, meters, people, platform, stored
from tests.fuzz.target import Target

ROOMS = (lines, apdus, doors, meters, people, platform, stored)
TARGETS = {target.name: target for room in ROOMS for target in room.TARGETS}
#: Inputs that were found: each reaches what no other does, or was a find once.
CORPUS = Path(__file__).with_name("corpus")


def kept(target: Target) -> list[bytes]:
    """Return the inputs that are kept of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name).glob("*"))]


def beginnings(target: Target) -> Iterator[bytes]:
    """Yield what is run first: the seeds and what is kept."""
    yield from (seed[: target.longest] for seed in target.seeds())
    yield from kept(target)
