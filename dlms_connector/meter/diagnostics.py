"""The counters of each meter, and their telemetry keys."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dlms_connector import platform_keys
from dlms_connector.reading import Value

#: The counters, which only grow.
_COUNTED = (
    *("polls_ok", "polls_failed", "retries", "reconnects"),
    *("bytes_in", "bytes_out", "unasked", "forged"),
)


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Counters of one meter since the start; `poll_ms` is the duration of its last good poll.

    `cycle_ms` is how often it is polled, once its configured period could not be kept.
    `retries` are repeated frames, `reconnects` associations opened anew because one was
    lost. `unasked` are APDUs that the meter sent besides its answers, `forged` replies that were
    refused because they may be forged, are played back, or less protected than agreed.
    `clock_drift_s` is how far the meter's clock is ahead of the gateway's. `history_unread` are
    the intervals of its profiles that are not read yet.
    """

    polls_ok: int = 0
    polls_failed: int = 0
    retries: int = 0
    reconnects: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    unasked: int = 0
    forged: int = 0
    poll_ms: int | None = None
    cycle_ms: int | None = None
    clock_drift_s: Decimal | None = None
    history_unread: int | None = None

    def repeated(self) -> None:
        """Count a frame that is sent again after silence."""
        self.retries += 1

    def add(self, other: Statistics) -> None:
        """Add what another has counted."""
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def telemetry(self) -> dict[str, Value]:
        """Return the counters under their keys on the platform; unknown values are left out."""
        keys: dict[str, Value] = {
            platform_keys.POLL_MS.name: self.poll_ms,
            platform_keys.CYCLE_MS.name: self.cycle_ms,
            platform_keys.POLLS_OK.name: self.polls_ok,
            platform_keys.POLLS_FAILED.name: self.polls_failed,
            platform_keys.RETRIES.name: self.retries,
            platform_keys.RECONNECTS.name: self.reconnects,
            platform_keys.BYTES_IN.name: self.bytes_in,
            platform_keys.BYTES_OUT.name: self.bytes_out,
            platform_keys.UNASKED.name: self.unasked or None,
            platform_keys.FORGED.name: self.forged or None,
            platform_keys.CLOCK_DRIFT.name: self.clock_drift_s,
            platform_keys.HISTORY_UNREAD.name: self.history_unread,
        }
        return {key: value for key, value in keys.items() if value is not None}
