"""What the dashboards and alarm rules use is what the real gateway sends."""

from __future__ import annotations

import copy
from pathlib import Path

from dlms_connector.simulator import MeterOptions
from dlms_connector.thingsboard import documents
from dlms_connector.thingsboard.used_keys import of_dashboard, of_rule
from tests.support.site import Configuration, site

MADE = documents()
#: Not in a short run: transfers of firmware, refused writes, totals of whole days, trouble.
NOT_SENT = {
    "dlmsImageState",
    "dlmsImageProgress",
    "dlmsLastWriteError",
    "dlmsAudit",
    "dlmsUnasked",
    "dlmsForged",
    "dlmsCycleMs",
    "dlmsIntervalsExpected",
    "dlmsIntervalsConfirmed",
    "dlmsIntervalsMissing",
}
_ITEMS = {
    "voltage_l2": "1-0:52.7.0",
    "voltage_l3": "1-0:72.7.0",
}


def configure(configuration: Configuration) -> None:
    configuration |= {"diagnosticsPeriod": 1000}
    for device in configuration["devices"]:
        device["attributes"] = [
            *copy.deepcopy(device["attributes"]),
            {"key": "firmwareVersion", "obis": "1-0:0.2.0", "class": "data"},
            {"key": "clock", "obis": "0-0:1.0.0", "class": "clock"},
        ]
        device["timeseries"] = [
            *copy.deepcopy(device["timeseries"]),
            *({"key": key, "obis": obis} for key, obis in _ITEMS.items()),
            {"key": "relay_state", "obis": "0-0:96.3.10", "class": "disconnectControl"},
        ]
        device["profiles"] = [
            {"obis": "1-0:99.1.0", "backfill": "PT6H"},
            {"obis": "0-0:99.98.0", "backfill": "P60D", "events": "idis"},
        ]


async def test_what_is_shown_is_sent(tmp_path: Path) -> None:
    uses = [use for each in MADE.dashboards for use in of_dashboard(each)]
    uses += [use for each in MADE.meter_rules for use in of_rule(each, "meter")]
    wanted = {(use.key, use.is_attribute) for use in uses if use.subject == "meter"}
    wanted = {each for each in wanted if each[0] not in NOT_SENT}
    async with site(tmp_path, [MeterOptions(serial=1)], configure) as running:
        (name,) = running.devices
        store = running.platform.store

        def missing() -> set[tuple[str, bool]]:
            sent = {(each, True) for each in store.attributes(name)}
            sent |= {(point.key, False) for point in store.latest() if point.device == name}
            return wanted - sent

        try:
            await running.until(lambda: not missing(), timeout_s=90)
        except AssertionError:
            raise AssertionError(f"not sent: {sorted(missing())}") from None
        (relay,) = {point.value for point in running.platform.telemetry(name, "relay_state")}
        assert relay is True
        names = {point.value for point in running.platform.telemetry(name, "event_name")}
        assert {"power down", "power up"} <= names
