"""How many connections the process may have open: its file descriptors (RLIMIT_NOFILE)."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from logging import Logger

from dlms_connector.config import Device, ListenConnection

#: Left free for the rest of the process: name look-ups, files of state, the gateway's storage,
#: its client, its other connectors; of a low limit a fourth.
_RESERVE = 256
_RESERVED_PART = 4


@dataclass(frozen=True)
class Descriptors:
    """The limit of open files, None if there is none, and how many are open already."""

    limit: int | None
    used: int

    @property
    def reserve(self) -> int:
        """How many are left to the rest of the process."""
        return _RESERVE if self.limit is None else min(_RESERVE, self.limit // _RESERVED_PART)

    def places(self, lines: int, callers: int) -> int | None:
        """Return how many connections may be open at once; None if that is no limit.

        `callers` are the meters that dial in, each over a connection of its own that stays.
        """
        if self.limit is None:
            return None
        free = self.limit - self.used - self.reserve - callers
        return None if free >= lines else max(1, free)


def open_files() -> int:
    """Return how many descriptors the process has open; 0 if the system does not tell."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder))  # noqa: PTH208
    return 0


def descriptors(wanted: int) -> Descriptors:
    """Raise the soft limit to the hard one if `wanted` more are not free; return what holds."""
    used = open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = used + wanted + _RESERVE
    if soft != resource.RLIM_INFINITY and soft < needed and soft != hard:
        most = needed if hard == resource.RLIM_INFINITY else hard
        with suppress(OSError, ValueError):  # not allowed: the soft limit stays
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Descriptors(None if soft == resource.RLIM_INFINITY else soft, used)


class Room:
    """Tells how many lines may be open at once, also when some of them are open."""

    def __init__(self) -> None:
        #: How many descriptors the rest of the process has: the fewest that were ever open.
        self._others = sys.maxsize

    def __call__(self, devices: Sequence[Device], log: Logger) -> int | None:
        """Return how many, None for all; say in one line what is missing."""
        polled = [device for device in devices if device.is_polled]
        endpoints = {device.connection.endpoint: device.connection for device in polled}
        callers = sum(isinstance(each, ListenConnection) for each in endpoints.values())
        found = descriptors(len(endpoints))
        self._others = min(self._others, found.used)
        found = replace(found, used=self._others)
        places = found.places(len(endpoints) - callers, callers)
        if places is not None:
            needed = found.used + found.reserve + len(endpoints)
            log.warning(
                "%d meters on %d connections need %d file descriptors, and the process may have "
                "%s: %d connections are open at a time and the meters take turns; set "
                "LimitNOFILE=%d in the gateway's service (or --ulimit nofile of its container) for "
                "all of them",
                len(polled), len(endpoints), needed, found.limit, places, _rounded(needed),
            )  # fmt: skip
        return places


def _rounded(needed: int) -> int:
    """Return the next power of two with some room above what is needed."""
    return 1 << (needed + _RESERVE).bit_length()
