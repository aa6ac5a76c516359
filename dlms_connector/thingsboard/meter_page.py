"""A meter's page: its values, energy, load profile, events, voltage, controls and firmware."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector import platform_keys as own
from dlms_connector.thingsboard import meter_keys as keys
from dlms_connector.thingsboard.aliases import METER_STATE, chosen_meter, meters
from dlms_connector.thingsboard.dashboard import State, Tile, dashboard
from dlms_connector.thingsboard.widgets import (
    BAD,
    DAY_MS,
    GOOD,
    GROWTH,
    STATE_STYLE,
    Alias,
    Json,
    Widget,
    alarms,
    attributes,
    button,
    card,
    chart,
    data_key,
    devices,
    rows,
    styled,
    terminal,
    timewindow,
)

METER_TITLE = "DLMS meters"
#: EN 50160: a supply of 230 V stays within ten percent.
LOWEST_V, HIGHEST_V = 207, 253
_HOUR_MS = DAY_MS // 24
_RELAY_WORD = "return value === true || value === 'true' ? 'closed' : 'open';"


def meter_dashboard(device_types: Sequence[str]) -> Json:
    """Return the dashboard with a list of the meters and the page of each."""
    fleet = meters(device_types)
    listed = devices(
        "Meters",
        fleet,
        [
            styled(own.STATE, STATE_STYLE),
            data_key(keys.SERIAL_NUMBER),
            data_key(keys.ACTIVE_POWER),
            data_key(keys.ACTIVE_ENERGY),
            data_key(keys.VOLTAGES[0]),
            data_key(own.LAST_ERROR),
        ],
        opens=METER_STATE,
        rows=20,
    )
    return dashboard(
        METER_TITLE,
        "DLMS/COSEM meters: a click on a row opens the page of that meter.",
        [State("default", METER_TITLE, [[Tile(listed, 24, 12)]]), meter_state()],
        [fleet, chosen_meter()],
    )


def meter_state() -> State:
    """Return the page of the chosen meter."""
    one = chosen_meter()
    month = timewindow(30 * DAY_MS, 1000)
    return State(
        METER_STATE,
        "${entityName}",
        [
            [Tile(each, 3, 3) for each in _values(one)],
            [
                Tile(chart(keys.ACTIVE_POWER.label, one, [keys.ACTIVE_POWER]), 12, 6),
                Tile(_energy_per_day(one), 12, 6),
            ],
            [Tile(_load_profile(one), 12, 6), Tile(_voltages(one), 12, 6)],
            [
                Tile(alarms("Alarms", one), 12, 7),
                Tile(rows("Events", one, [keys.EVENT, keys.EVENT_NAME], month), 12, 7),
            ],
            [
                [Tile(each, 4, 1) for each in _controls(one)],
                Tile(terminal("Calls", one), 10, 6),
                Tile(_facts(one), 10, 6),
            ],
            [Tile(rows("Calls and writes", one, [own.AUDIT], month), 24, 6)],
        ],
    )


def _values(one: Alias) -> Sequence[Widget]:
    return [
        card(own.STATE, one, "sensors"),
        card(keys.ACTIVE_POWER, one, "bolt"),
        card(keys.ACTIVE_ENERGY, one, "mdi:meter-electric-outline"),
        card(keys.VOLTAGES[0], one, "mdi:sine-wave"),
        card(keys.CURRENTS[0], one, "mdi:current-ac"),
        card(keys.FREQUENCY, one, "speed"),
        card(keys.RELAY, one, "mdi:electric-switch", post=_RELAY_WORD),
        card(own.CLOCK_DRIFT, one, "schedule"),
    ]


def _energy_per_day(one: Alias) -> Widget:
    return chart(
        "Energy per day",
        one,
        [keys.ACTIVE_ENERGY],
        bars=True,
        post=GROWTH,
        window=timewindow(14 * DAY_MS, DAY_MS, "MAX"),
    )


def _load_profile(one: Alias) -> Widget:
    return chart(
        "Load profile: energy per hour",
        one,
        [keys.LOAD_ENERGY],
        bars=True,
        post=GROWTH,
        window=timewindow(2 * DAY_MS, _HOUR_MS, "MAX"),
    )


def _voltages(one: Alias) -> Widget:
    return chart("Voltage quality", one, keys.VOLTAGES, limits=(LOWEST_V, HIGHEST_V))


def _controls(one: Alias) -> Sequence[Widget]:
    """Return buttons that change something after a question, and such that only read."""
    return [
        button(
            "Disconnect",
            one,
            "disconnectRelay",
            "power_off",
            question="The supply behind this meter is switched off. Go on?",
            colour=BAD,
        ),
        button(
            "Connect",
            one,
            "reconnectRelay",
            "power",
            question="The supply behind this meter is switched on. Go on?",
            colour=GOOD,
        ),
        button("Read relay", one, "getRelayState", "mdi:electric-switch"),
        button("Read clock", one, "readClock", "schedule"),
        button(
            "Set clock",
            one,
            "syncClock",
            "update",
            question="The clock of the meter is set to that of the gateway. Go on?",
        ),
        button("Firmware transfer", one, "getImageTransferStatus", "system_update_alt"),
    ]


def _facts(one: Alias) -> Widget:
    return attributes(
        "Meter",
        one,
        [
            keys.SERIAL_NUMBER,
            keys.FIRMWARE,
            own.IMAGE_STATE,
            own.IMAGE_PROGRESS,
            own.STATE,
            own.LAST_ERROR,
            own.LAST_WRITE_ERROR,
            own.DELIVERY,
        ],
    )
