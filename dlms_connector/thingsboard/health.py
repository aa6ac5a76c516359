"""How the connector itself does: answers, times, bytes, and what waits to be stored."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector import platform_keys as own
from dlms_connector.platform_keys import Key
from dlms_connector.thingsboard.aliases import (
    ACTIVE,
    LAST_ACTIVITY,
    METER_STATE,
    all_devices,
    chosen_meter,
    gateways,
    meters,
)
from dlms_connector.thingsboard.dashboard import State, Tile, dashboard
from dlms_connector.thingsboard.meter_page import meter_state
from dlms_connector.thingsboard.widgets import (
    BAD,
    GOOD,
    GROWTH,
    STATE_STYLE,
    Alias,
    Json,
    Widget,
    chart,
    computed,
    data_key,
    devices,
    styled,
    timewindow,
)

HEALTH_TITLE = "DLMS connector health"
#: The gateway's own statistics, a JSON object as text: every hour by default.
SERVICE_STATS = Key(
    "serviceStats", "Storage", needs="`statistics` switched on in the gateway's tb_gateway.json"
)
#: Lines in one chart: those of a large fleet could not be told apart.
_LINES = 20
_DAY_MS, _TEN_MINUTES_MS = 86_400_000, 600_000

_RATE = (
    f"const failed = Number(entity['{own.POLLS_FAILED.label}']) || 0, ok = Number(value) || 0;"
    "return ok + failed ? (100 * ok / (ok + failed)).toFixed(1) + ' %' : '';"
)
_STORAGE = (
    "const all = typeof value === 'string' ? (value ? JSON.parse(value) : {}) : (value || {});"
    "return all.storageMsgCount === undefined ? '' : all.storageMsgCount + ' waiting';"
)
_ACTIVE_STYLE = f"return {{fontWeight: 500, color: String(value) === 'true' ? '{GOOD}' : '{BAD}'}};"
_ACTIVE_WORD = "return String(value) === 'true' ? 'active' : 'silent';"
_TIME = "return value ? new Date(Number(value)).toLocaleString() : '';"


def health_dashboard(device_types: Sequence[str]) -> Json:
    """Return the page of the connector's health."""
    fleet, every = meters(device_types), all_devices()
    page = State(
        "default",
        HEALTH_TITLE,
        [
            [Tile(_gateways(every), 24, 4)],
            [Tile(_meters(fleet), 24, 8)],
            [
                Tile(_lines("Poll duration", fleet, own.POLL_MS), 12, 6),
                Tile(_growth("Failed polls", fleet, own.POLLS_FAILED), 12, 6),
            ],
            [
                Tile(_growth("Bytes received", fleet, own.BYTES_IN), 12, 6),
                Tile(_lines("Rows not confirmed", fleet, own.UNCONFIRMED), 12, 6),
            ],
        ],
    )
    return dashboard(
        HEALTH_TITLE,
        "The DLMS connector: how meters answer, and what waits to be stored.",
        [page, meter_state()],
        [fleet, every, chosen_meter()],
        [gateways()],
    )


def _gateways(every: Alias) -> Widget:
    active = data_key(
        ACTIVE,
        settings={
            "useCellStyleFunction": True,
            "cellStyleFunction": _ACTIVE_STYLE,
            "useCellContentFunction": True,
            "cellContentFunction": _ACTIVE_WORD,
        },
    )
    return devices(
        "Gateways",
        every,
        [
            active,
            computed(LAST_ACTIVITY, LAST_ACTIVITY.label, _TIME),
            computed(SERVICE_STATS, "Storage backlog", _STORAGE),
        ],
        filter_id=gateways().id,
        rows=5,
    )


def _meters(fleet: Alias) -> Widget:
    return devices(
        "Meters",
        fleet,
        [
            styled(own.STATE, STATE_STYLE),
            computed(own.POLLS_OK, "Success rate", _RATE),
            data_key(own.POLLS_FAILED),
            data_key(own.POLL_MS),
            data_key(own.CYCLE_MS),
            data_key(own.RETRIES),
            data_key(own.RECONNECTS),
            data_key(own.BYTES_IN),
            data_key(own.BYTES_OUT),
            data_key(own.UNASKED),
            data_key(own.FORGED),
            data_key(own.UNCONFIRMED),
            data_key(own.HISTORY_UNREAD),
            data_key(own.INTERVALS_EXPECTED),
            data_key(own.INTERVALS_CONFIRMED),
            data_key(own.INTERVALS_MISSING),
        ],
        opens=METER_STATE,
        sort=f"-{own.POLLS_FAILED.label}",
    )


def _lines(title: str, fleet: Alias, key: Key) -> Widget:
    return chart(title, fleet, [key], devices_at_most=_LINES)


def _growth(title: str, fleet: Alias, key: Key) -> Widget:
    window = timewindow(_DAY_MS, _TEN_MINUTES_MS, "MAX")
    return chart(title, fleet, [key], bars=True, post=GROWTH, window=window, devices_at_most=_LINES)
