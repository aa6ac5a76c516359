"""Looks again and again, and tells what is another finding than before.

What costs much is done once: the gateway's Python is asked once for each of its processes, and the
configuration is read again when its files have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dlms_connector.config import Loaded
from dlms_connector.verification.checks import judge
from dlms_connector.verification.finding import Finding
from dlms_connector.verification.gathering import Sources, gather
from dlms_connector.verification.processes import Process
from dlms_connector.verification.progress import Progress
from dlms_connector.verification.snapshot import Entry, Probe, Snapshot

Findings = Mapping[str, Finding]
_Told = tuple[Probe, list[str] | None]


class Watch:
    """One installation, looked at more than once."""

    def __init__(self, sources: Sources, progress: Progress | None = None) -> None:
        self._dear = sources
        self._sources = replace(sources, ask=self._ask, load=self._load)
        self._progress = progress or Progress()
        self._asked: tuple[object, _Told] | None = None
        self._loaded: tuple[object, Loaded] | None = None

    def look(
        self, now: datetime, now_s: float, more: Callable[[Snapshot], Snapshot] = lambda it: it
    ) -> Findings:
        """Return the findings of one look; `more` adds what the platform says."""
        facts = more(gather(self._sources, now))
        return {**judge(facts), "progress": self._progress.judge(facts, now_s)}

    def _ask(self, process: Process | None, entry: Entry, file: Path) -> _Told:
        key = (process.pid if process else None, entry, _looks_of(file))
        if self._asked is None or self._asked[0] != key:
            self._asked = key, self._dear.ask(process, entry, file)
        return self._asked[1]

    def _load(self, path: Path, *, environment: Mapping[str, str] | None = None) -> Loaded:
        key = (_looks_of(path), environment)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = key, self._dear.load(path, environment=environment)
        return self._loaded[1]


def changes(before: Findings | None, now: Findings) -> Iterator[tuple[str, Finding]]:
    """Yield the findings whose mark is another one; without a look before, those that are not ok.

    What cannot be found out is told once it changes only.
    """
    for name, finding in now.items():
        if before is None:
            if finding.mark in ("failed", "warning"):
                yield name, finding
        elif before[name].mark != finding.mark:
            yield name, finding


def _looks_of(path: Path) -> Any:
    """Return what changes with the configuration's file and the tables beside it."""
    found = []
    for each in (path, *sorted(path.parent.glob("*.csv"))):
        try:
            status = each.stat()
        except OSError:
            continue
        found.append((each.name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
