"""Whether anything is read at all: only between two looks, by the connector's own metrics.

A gateway that hangs still has its process, its connection and its files. What it has read does not
grow.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException

from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import Snapshot

#: The connector is on this host: whatever proxies somebody's shell names, it is asked directly.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_WITHIN_S = 5.0
_LARGEST = 16 << 20
_READINGS = b"dlms_readings_total"
#: Poll periods of the meter that is polled most often, and seconds more, without any value.
_PERIODS, _QUIET_S = 3, 60.0


def readings(url: str) -> float:
    """Return how many values a connector has read. Raises OSError or ValueError."""
    try:
        with closing(_DIRECT.open(url, timeout=_WITHIN_S)) as answer:
            lines = answer.read(_LARGEST).splitlines()
    except HTTPException as error:
        raise ValueError(f"its answer is not one of HTTP: {error!r}") from error
    found = [line.split()[-1] for line in lines if line.startswith(_READINGS)]
    if not found:
        raise ValueError("it has no metric dlms_readings_total")
    return sum(float(each) for each in found)


class Progress:
    """Judges one look after the other."""

    def __init__(self, count: Callable[[str], float] = readings) -> None:
        self._count = count
        self._last: float | None = None
        self._grown_at = 0.0

    def judge(self, facts: Snapshot, now_s: float) -> Finding:
        """Return the finding of a look at a time of a clock that only goes on."""
        file = facts.file
        if file is None or not file.polled or file.standby:
            return Finding("unknown", "no meter is polled here", "see configuration and meters")
        if not file.metrics:
            return Finding(
                "unknown",
                "whether anything is read cannot be seen from here",
                'set "metrics" in dlms.json: {"port": 9464} (docs/metrics.md)',
            )
        try:
            read = self._count(file.metrics)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return Finding(
                "failed",
                f"the connector does not answer at {file.metrics}: {reason}",
                "it hangs, or its log says why metrics are not served; restart the gateway",
            )
        if self._last is None or read != self._last:
            self._last, self._grown_at = read, now_s
            return ok(f"{read:.0f} values were read since the gateway's start")
        quiet_s = now_s - self._grown_at
        if quiet_s > _PERIODS * min(file.periods_s.values(), default=60.0) + _QUIET_S:
            return Finding(
                "failed",
                f"no value was read for {quiet_s:.0f} s",
                "see meters; if they answer (dlms-connector read, with the gateway stopped), "
                "restart the gateway",
            )
        return ok(f"{read:.0f} values were read, the last one less than {quiet_s + 1:.0f} s ago")
