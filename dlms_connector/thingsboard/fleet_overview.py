"""The overview of a fleet: how many meters answer, what is wrong, and which meters are worst."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector import platform_keys as own
from dlms_connector.platform_keys import Key
from dlms_connector.thingsboard import meter_keys as keys
from dlms_connector.thingsboard.aliases import (
    METER_STATE,
    all_devices,
    chosen_meter,
    gateways,
    meters,
    online,
)
from dlms_connector.thingsboard.dashboard import State, Tile, dashboard
from dlms_connector.thingsboard.meter_page import meter_state
from dlms_connector.thingsboard.widgets import (
    BAD,
    GOOD,
    STATE_STYLE,
    Alias,
    Json,
    Widget,
    alarm_count,
    alarms,
    count,
    data_key,
    devices,
    styled,
)

FLEET_TITLE = "DLMS fleet"


def fleet_dashboard(device_types: Sequence[str]) -> Json:
    """Return the overview, with the page of each meter behind it."""
    fleet, every = meters(device_types), all_devices()
    counts = [
        count("Meters", fleet, None, "mdi:meter-electric-outline"),
        count("Online", fleet, online().id, "check_circle", GOOD),
        count("Not online", fleet, online(False).id, "sensors_off", BAD),
        alarm_count("Active alarms", fleet),
        alarm_count("Critical and major", fleet, ("CRITICAL", "MAJOR")),
        count("Gateways", every, gateways().id, "router"),
    ]
    worst = [
        _silent(fleet),
        _worst("Most failed polls", fleet, own.POLLS_FAILED),
        _worst("Slowest polls", fleet, own.POLL_MS),
        _worst("Most rows not confirmed", fleet, own.UNCONFIRMED),
    ]
    overview = State(
        "default",
        FLEET_TITLE,
        [
            [Tile(each, 4, 2) for each in counts],
            [Tile(_meters(fleet), 14, 9), Tile(alarms("Alarms", fleet), 10, 9)],
            [Tile(each, 6, 7) for each in worst],
        ],
    )
    return dashboard(
        FLEET_TITLE,
        "All DLMS/COSEM meters: states, alarms, and those that need attention.",
        [overview, meter_state()],
        [fleet, chosen_meter(), every],
        [online(), online(False), gateways()],
    )


def _meters(fleet: Alias) -> Widget:
    return devices(
        "Meters",
        fleet,
        [
            styled(own.STATE, STATE_STYLE),
            data_key(keys.ACTIVE_POWER),
            data_key(keys.ACTIVE_ENERGY),
            data_key(keys.VOLTAGES[0]),
            data_key(own.CLOCK_DRIFT),
            data_key(own.LAST_ERROR),
        ],
        opens=METER_STATE,
    )


def _silent(fleet: Alias) -> Widget:
    """Show the meters that do not answer: their counters stand still meanwhile."""
    return devices(
        "Do not answer",
        fleet,
        [styled(own.STATE, STATE_STYLE), data_key(own.LAST_ERROR)],
        opens=METER_STATE,
        filter_id=online(False).id,
        rows=5,
    )


def _worst(title: str, fleet: Alias, key: Key) -> Widget:
    return devices(
        title,
        fleet,
        [data_key(key), styled(own.STATE, STATE_STYLE)],
        opens=METER_STATE,
        sort=f"-{key.label}",
        rows=5,
    )
