"""What became of every poll and of every value that was read."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlms_connector.demo.platform_store import Store
from tests.soak import fleet

_CLOSED = re.compile(
    r"closed within \d+ ms: (?P<ok>\d+) polls answered, (?P<failed>\d+) failed"
    r"(?: \((?P<reasons>.*?)\))?(?:, (?P<dropped>\d+) not sent)?, (?P<values>\d+) values read"
)


@dataclass(frozen=True, slots=True)
class Account:
    """All that the connector has told at its ends: it counts anew after each reconfiguration."""

    ends: int
    ok: int
    failed: int
    reasons: Counter[str]
    dropped: int
    values: int


def account(log: str) -> Account:
    """Add up what was told in a gateway's log."""
    reasons: Counter[str] = Counter()
    found = list(_CLOSED.finditer(log))
    for one in found:
        for part in (one["reasons"] or "").split(", "):
            if part:
                count, reason = part.split()
                reasons[reason] += int(count)
    return Account(
        ends=len(found),
        ok=sum(int(one["ok"]) for one in found),
        failed=sum(int(one["failed"]) for one in found),
        reasons=reasons,
        dropped=sum(int(one["dropped"] or 0) for one in found),
        values=sum(int(one["values"]) for one in found),
    )


def stored(store: Store) -> int:
    """Return how many polled and pushed values the platform has, each once."""
    return sum(
        len(instants)
        for key in (*fleet.POLLED, fleet.PUSHED)
        for instants in store.instants(key).values()
    )


def recoveries(store: Store, mended: Iterable[tuple[int, float]]) -> Sequence[float]:
    """Return in seconds how long after the end of each fault the meter's next value was read."""
    instants = store.instants(fleet.POLLED[0])
    took = []
    for meter, at in mended:
        values = instants.get(fleet.name_of(meter), [])
        following = bisect_right(values, at * 1000)
        if following < len(values):
            took.append(values[following] / 1000 - at)
    return sorted(took)
