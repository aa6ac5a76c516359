"""The metrics, described once: what is served, documented, and shown on the dashboard.

Names follow Prometheus: a prefix, base units (seconds, bytes), `_total` behind counters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `name` is without the `_total` of a counter.

    `panel` is the title of its panel on the dashboard, "" for none.
    """

    name: str
    kind: Kind
    means: str
    labels: tuple[str, ...] = ()
    panel: str = ""
    #: Unit of the panel, as Grafana calls it.
    unit: str = "short"
    #: Whether there is a series for each meter: served only with `perMeter`.
    per_meter: bool = False

    @property
    def sample(self) -> str:
        """The name of its samples, where it has one."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


#: States of `dlms_meters`; `unknown` before the first poll.
STATES = ("online", "offline", "backoff", "refused", "misconfigured", "unknown")
#: Results of `dlms_polls_total`.
RESULTS = (
    "ok", "unreachable", "closed", "silent", "protocol", "security", "refused", "configuration",
    "state", "other",
)  # fmt: skip

BUILD = Metric(
    "dlms_build_info", "gauge", "Version of the connector and of Python; always 1.",
    ("version", "python"),
)  # fmt: skip
METERS = Metric(
    "dlms_meters", "gauge", "Meters by state.", ("state",), panel="Meters by state",
)  # fmt: skip
POLLS = Metric(
    "dlms_polls", "counter", "Polls by result: ok, or the class of the failure.", ("result",),
    panel="Polls per second by result", unit="ops",
)  # fmt: skip
DURATION = Metric(
    "dlms_poll_duration_seconds", "histogram", "Duration of polls that were answered.",
    panel="Duration of polls", unit="s",
)  # fmt: skip
READINGS = Metric(
    "dlms_readings", "counter", "Values read by polls and pushes.", panel="Values per second",
    unit="ops",
)  # fmt: skip
RETRIES = Metric(
    "dlms_retries", "counter", "Frames that were sent again after silence.",
    panel="Retries per second", unit="ops",
)  # fmt: skip
RECONNECTS = Metric(
    "dlms_reconnects", "counter", "Associations opened anew because one was lost.",
    panel="Reconnects per second", unit="ops",
)  # fmt: skip
RECEIVED = Metric(
    "dlms_received_bytes", "counter", "Bytes from meters.", panel="Bytes from meters", unit="Bps",
)  # fmt: skip
SENT = Metric(
    "dlms_sent_bytes", "counter", "Bytes to meters.", panel="Bytes to meters", unit="Bps",
)  # fmt: skip
UNASKED = Metric("dlms_unasked", "counter", "APDUs of polled meters that answer nothing.")
FORGED = Metric(
    "dlms_forged", "counter", "Replies refused as forged, replayed or less protected.",
    panel="Refused replies per second", unit="ops",
)  # fmt: skip
PUSHES = Metric(
    "dlms_pushes", "counter", "Notifications that came, by result: taken or refused.", ("result",),
    panel="Pushes per second", unit="ops",
)  # fmt: skip
CALLS = Metric(
    "dlms_calls", "counter", "Remote calls that were answered, by result: ok or error.",
    ("result",), panel="Calls per second", unit="ops",
)  # fmt: skip
MESSAGES = Metric(
    "dlms_gateway_messages", "counter",
    "Messages handed to the gateway's storage, by result: taken or refused.", ("result",),
    panel="Messages to the gateway per second", unit="ops",
)  # fmt: skip
WAITING = Metric(
    "dlms_uplink_waiting", "gauge", "Polls that wait for their conversion.",
    panel="Waiting in the uplink",
)  # fmt: skip
DROPPED = Metric("dlms_uplink_dropped", "counter", "Polls that were dropped, not converted.")
STORED = Metric(
    "dlms_gateway_storage_messages", "gauge",
    "Messages in the gateway's storage, of all its connectors, where it can tell.",
    panel="Gateway's storage",
)  # fmt: skip
CONNECTED = Metric(
    "dlms_platform_connected", "gauge", "Whether the gateway is connected to the platform.",
    panel="Connected to the platform",
)  # fmt: skip
UNREAD = Metric(
    "dlms_history_unread_intervals", "gauge", "Intervals of profiles that are not read yet.",
    panel="History to be read",
)  # fmt: skip
UNCONFIRMED = Metric(
    "dlms_unconfirmed_rows", "gauge", "Rows on the disk that the platform has not confirmed.",
    panel="Rows not confirmed",
)  # fmt: skip
FLYING = Metric(
    "dlms_handed_over_rows", "gauge", "Rows that the gateway has, and the platform has not "
    "confirmed.",
)  # fmt: skip
CONFIRMED = Metric(
    "dlms_confirmed_rows", "counter", "Rows that the platform has stored, by its own word.",
    panel="Rows confirmed per second", unit="ops",
)  # fmt: skip
LOST = Metric(
    "dlms_lost_rows", "counter",
    "Rows given up: refused by the platform, or dropped for age or room.", ("reason",),
    panel="Rows given up", unit="short",
)  # fmt: skip
LATENESS = Metric(
    "dlms_loop_lateness_seconds", "histogram",
    "How late the meters' event loop does what is due, looked at once a second.",
    panel="Lateness of the event loop", unit="s",
)  # fmt: skip
UP = Metric(
    "dlms_up", "gauge", "Whether the meter answered its last poll.", ("device",),
    per_meter=True,
)  # fmt: skip
METER_POLLS = Metric(
    "dlms_meter_polls", "counter", "Polls of the meter, by result: ok or failed.",
    ("device", "result"), per_meter=True,
)  # fmt: skip
METER_DURATION = Metric(
    "dlms_meter_poll_seconds", "gauge", "Duration of the meter's last poll that was answered.",
    ("device",), per_meter=True,
)  # fmt: skip
METER_DRIFT = Metric(
    "dlms_meter_clock_drift_seconds", "gauge",
    "How far the meter's clock is ahead of the gateway's, where it is read.", ("device",),
    per_meter=True,
)  # fmt: skip

METRICS = (
    BUILD, METERS, POLLS, DURATION, READINGS, RETRIES, RECONNECTS, RECEIVED, SENT, UNASKED, FORGED,
    PUSHES, CALLS, MESSAGES, WAITING, DROPPED, STORED, CONNECTED, UNREAD, UNCONFIRMED, FLYING,
    CONFIRMED, LOST, LATENESS, UP, METER_POLLS, METER_DURATION, METER_DRIFT,
)  # fmt: skip
