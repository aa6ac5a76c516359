"""The keys under which the connector tells of itself on the platform, each with its label and unit.

Who sends a key and who shows it both take it from here, so that a renamed key is renamed in
the dashboards and alarm rules, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Where the platform keeps a value: as a time series, or as a device's client attribute.
Place = Literal["timeseries", "client", "server"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key on the platform, and how its value is shown.

    `needs` says what a meter or a configuration must have for it to be sent; empty if every
    polled meter sends it.
    """

    name: str
    label: str
    unit: str = ""
    decimals: int = 0
    place: Place = "timeseries"
    needs: str = ""


STATE = Key("dlmsState", "State", place="client")
LAST_ERROR = Key("dlmsLastError", "Last error", place="client")

POLL_MS = Key("dlmsPollMs", "Poll duration", "ms")
CYCLE_MS = Key(
    "dlmsCycleMs", "Poll period reached", "ms", needs="a poll period that could not be kept"
)
POLLS_OK = Key("dlmsPollsOk", "Polls answered")
POLLS_FAILED = Key("dlmsPollsFailed", "Polls failed")
RETRIES = Key("dlmsRetries", "Retries")
RECONNECTS = Key("dlmsReconnects", "Reconnects")
BYTES_IN = Key("dlmsBytesIn", "Received", "B")
BYTES_OUT = Key("dlmsBytesOut", "Sent", "B")
UNASKED = Key("dlmsUnasked", "Unasked", needs="a meter that sends besides its answers")
FORGED = Key("dlmsForged", "Forged replies refused", needs="replies that may be forged")
CLOCK_DRIFT = Key(
    "dlmsClockDriftSeconds", "Clock drift", "s", 1, needs="a meter whose clock is read"
)
HISTORY_UNREAD = Key("dlmsHistoryUnread", "Rows to read", needs="`profiles` in the configuration")

UNCONFIRMED = Key(
    "dlmsUnconfirmed", "Rows unconfirmed", needs="`profiles` or `journal` in the configuration"
)
DELIVERY = Key(
    "dlmsDelivery", "Delivery", place="client", needs="`profiles` or `journal` in the configuration"
)
INTERVALS_EXPECTED = Key(
    "dlmsIntervalsExpected", "Rows expected", needs="a whole day of a profile's rows"
)
INTERVALS_CONFIRMED = Key(
    "dlmsIntervalsConfirmed", "Rows confirmed", needs="a whole day of a profile's rows"
)
INTERVALS_MISSING = Key(
    "dlmsIntervalsMissing", "Rows missing", needs="a whole day of a profile's rows"
)

AUDIT = Key("dlmsAudit", "Calls and writes", needs="`auditTelemetry` in the configuration")
LAST_WRITE_ERROR = Key(
    "dlmsLastWriteError", "Last write error", place="client", needs="a shared attribute written"
)
IMAGE_STATE = Key(
    "dlmsImageState", "Firmware transfer", place="client", needs="a firmware transfer"
)
IMAGE_PROGRESS = Key("dlmsImageProgress", "Firmware transferred", "%", needs="a firmware transfer")
