"""Reads the end of the gateway's log: sessions that were closed, meters that fell silent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from dlms_connector.verification.snapshot import LogNews

#: Octets at the end of each file: more than an hour of a busy log at level INFO.
_TAIL = 4_000_000
_WITHIN_S = 3600.0
_LONGEST_REASON = 160
#: Files that the gateway's `logs.json` may name, and that may hold what is looked for.
_MOST_FILES = 20

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
#: What the gateway's MQTT client and its predecessor write when the platform ends a session.
_DISCONNECT = re.compile(
    r"disconnected by server with reason code|[Dd]isconnected unexpectedly|result code 7\b|"
    r"\bcode 7\b"
)
#: What stands behind the name of a meter.
_BEHIND = ": "
_COMPLAINT = re.compile(r"\|?\b(?:WARNING|ERROR)\b\|?")


def files_of(config_dir: Path, directory: Path | None, outputs: Collection[str]) -> list[Path]:
    """Return the log's files: those that `logs.json` names, and where the output is written."""
    found = [Path(each) for each in outputs if each.startswith("/") and Path(each).is_file()]
    with suppress(OSError, ValueError, RecursionError):
        handlers = json.loads((config_dir / "logs.json").read_bytes()[:_TAIL])["handlers"]
        for handler in list(handlers.values())[:_MOST_FILES]:
            if isinstance(name := handler.get("filename"), str):
                # The gateway takes names from its working directory.
                found.append((directory or config_dir.parent) / os.path.expandvars(name))
    return [path for path in dict.fromkeys(found) if path.is_file()]


def tail(path: Path) -> Iterator[str]:
    """Yield the last lines of a file, whole ones."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read(_TAIL).decode("utf-8", "replace").splitlines()
    yield from lines[1:] if size > _TAIL else lines


def read_log(files: Collection[Path], devices: Collection[str], now: datetime) -> LogNews | None:
    """Return what the log says of the last hour; None if there is no log that can be read."""
    read, disconnects, silent = [], 0, dict[str, str]()
    for path in files:
        try:
            lines = list(tail(path))
        except OSError:
            continue
        read.append(str(path))
        found, complaints = news(lines, devices, now)
        disconnects, silent = max(disconnects, found), silent | complaints
    if not read:
        return None
    return LogNews(files=tuple(read), disconnects=disconnects, silent=silent, within_s=_WITHIN_S)


def news(
    lines: Collection[str], devices: Collection[str], now: datetime
) -> tuple[int, dict[str, str]]:
    """Return how often the session ended in the last hour, and the meters that are silent.

    A line without a time of its own has that of the line before.
    """
    names, lengths = frozenset(devices), sorted({len(name) for name in devices})
    disconnects, silent, recent = 0, dict[str, str](), True
    for line in lines:
        if match := _TIME.search(line):
            recent = (now - datetime.fromisoformat(match[1])).total_seconds() <= _WITHIN_S
        if recent and _DISCONNECT.search(line):
            disconnects += 1
        elif (told := _name_in(line, names, lengths)) is not None:
            start, end = told
            name, rest = line[start:end], line[end + len(_BEHIND) :]
            if "answering again after" in rest:
                silent.pop(name, None)
            elif _COMPLAINT.search(line[:start]) and not _is_of_an_object(rest):
                silent[name] = rest[:_LONGEST_REASON]
        elif "meters are polled" in line:
            silent.clear()  # a start: what was before is over
    return disconnects, silent


def _name_in(line: str, names: Collection[str], lengths: Sequence[int]) -> tuple[int, int] | None:
    """Return where the first name of a meter begins and ends, the longest that begins there.

    A pattern of all names would be tried at each character, for minutes with thousands of meters.
    """
    found = [
        (end - length, -end)
        for end in (match.start() for match in re.finditer(_BEHIND, line))
        for length in lengths
        if length <= end and line[end - length : end] in names
    ]
    if not found:
        return None
    start, end = min(found)
    return start, -end


def _is_of_an_object(rest: str) -> bool:
    """Whether a meter's line is about one of its objects only: such a meter answers."""
    return re.match(r"[^:]+: .*(?:data-access-result|is not sent)", rest) is not None
