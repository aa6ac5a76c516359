"""The folders of `shard`: what lies in them, and writing them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlms_connector.config import Files, FleetDocument
from dlms_connector.errors import ConfigError

_FOLDER = re.compile(r"gateway-([0-9]{1,5})")


@dataclass(frozen=True)
class Written:
    """The files of one gateway, and a line for each of what became of it."""

    paths: tuple[Path, ...]
    lines: tuple[str, ...]


def before_in(folder: Path, name: str) -> dict[str, int]:
    """Return the gateway of each device by what lies in the output folder."""
    found = {}
    for number, place in _gateways(folder):
        try:
            fleet = FleetDocument(place / name)
        except ConfigError:  # none there, or not ours
            continue
        found.update({row.name: number for row in fleet.rows})
    return found


def left_over(folder: Path, over: int, name: str) -> list[Path]:
    """Return the configurations of gateways that there are no more."""
    return [
        place / name
        for number, place in _gateways(folder)
        if number >= over and (place / name).exists()
    ]


def write(folder: Path, part: Files, *, like: Path, dry_run: bool) -> Written:
    """Write the files of one gateway, readable by whom `like` is; unchanged ones are left."""
    paths, lines = [], []
    for name, text in part.texts.items():
        path = folder / name
        paths.append(path)
        # A document may have halves of surrogate pairs in it, which JSON writes as escapes.
        content = text.encode("utf-8", "backslashreplace")
        if path.is_file() and path.read_bytes() == content:
            lines.append(f"{path} is as it was")
        elif dry_run:
            lines.append(f"dry run: would write {path}")
        else:
            _write(path, content, like.stat().st_mode & 0o777)
            lines.append(f"wrote {path}")
    return Written(tuple(paths), tuple(lines))


def _gateways(folder: Path) -> Iterator[tuple[int, Path]]:
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (match := _FOLDER.fullmatch(place.name)) and place.is_dir():
            yield int(match[1]), place


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one step: a gateway may be looking at it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
