"""How fast and how long a search probes."""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.protocol.datalink import SETTLE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The limits of a search in rate and duration, to spare meters that are in use."""

    timeout_s: float = 1.2
    per_second: float = 2.0
    max_probes: int = 120
    max_s: float = 50.0
    #: Wait before reconnecting: many converters need time to release the last connection.
    reopen_s: float = 0.3
    settle_s: float = SETTLE_S
