"""Rooms are entered by their door, say what they are, and have their tests in the same place.

The direction of imports is held by the contracts in pyproject.toml.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms.house import (
    PACKAGE,
    PARTS,
    VOCABULARY,
    WINGED,
    doc,
    fill,
    modules,
    offers,
    packages,
)
from tests.support.places import DOCS, ROOT

ROOMS = [f"{PACKAGE}.{room}" for room in packages(PACKAGE)]
WINGS = [f"{PACKAGE}.{room}.{wing}" for room in WINGED for wing in packages(f"{PACKAGE}.{room}")]
#: Tests of several modules at once stand in the room of the uppermost one; these stand apart.
_NO_ROOM = {"converters"}


def test_the_map_is_current() -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    assert fill(text) == text, "run: make docs"
    assert [part for part in PARTS if f"<!-- rooms: {part} -->" not in text] == []


def test_the_root_holds_the_face_and_the_vocabulary() -> None:
    assert set(modules(PACKAGE)) == {"connector", *VOCABULARY}


@pytest.mark.parametrize("room", [*ROOMS, *WINGS])
def test_a_room_says_what_lives_there(room: str) -> None:
    first, *_ = doc(room).split("\n\n")
    assert len(first) > 40
    assert first.endswith((".", "`."))


def test_rooms_are_entered_by_their_door() -> None:
    assert [problem for file in _files() for problem in _behind_doors(file)] == []


def _files() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py")) + sorted((ROOT / "converters").rglob("*.py"))


def _behind_doors(file: Path) -> Iterator[str]:
    """Yield imports from another room that it does not offer: neither names nor open modules."""
    own = _room(_name(file))
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        room = _room(node.module)
        # Within protocol, wings use what stands above them in the folder (`talk`), and no door.
        if room is None or room == own or (own and own.startswith(f"{room}.")):
            continue
        module = node.module[len(room) + 1 :]
        wanted = {module} if module else {alias.name for alias in node.names}
        for name in sorted(wanted - offers(room)):
            yield f"{file.relative_to(ROOT)}:{node.lineno}: {room} does not offer {name}"


def _name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts)


def _room(module: str) -> str | None:
    """Return the innermost room or wing that a module lies in; None outside of all."""
    inside = [room for room in (*ROOMS, *WINGS) if f"{module}.".startswith(f"{room}.")]
    return max(inside, key=len, default=None)


def test_tests_mirror_the_rooms() -> None:
    folder = ROOT / "tests" / "unit"
    rooms = {str(path.parent.relative_to(folder)) for path in folder.rglob("test_*.py")} - {"."}
    known = {name.removeprefix(f"{PACKAGE}.").replace(".", "/") for name in (*ROOMS, *WINGS)}
    assert rooms - known - _NO_ROOM == set()
