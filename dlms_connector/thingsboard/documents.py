"""All that is installed on the platform, as documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dlms_connector.installation import packaged_text
from dlms_connector.thingsboard.alarm_rules import gateway_rules, meter_rules
from dlms_connector.thingsboard.device_profile import device_profile
from dlms_connector.thingsboard.fleet_overview import fleet_dashboard
from dlms_connector.thingsboard.health import health_dashboard
from dlms_connector.thingsboard.meter_page import meter_dashboard
from dlms_connector.thingsboard.widgets import Json

#: The device profile that the gateway makes for meters whose configuration names no other.
DEVICE_TYPE = "DLMS Energy Meter"
FOLDER = "thingsboard"
_CHAIN = "rule-chain-delivery-receipts.json"


@dataclass(frozen=True, slots=True)
class Documents:
    """What is installed: dashboards, device profiles, and rules of meters and of gateways."""

    dashboards: Sequence[Json]
    profiles: Sequence[Json]
    meter_rules: Sequence[Json]
    gateway_rules: Sequence[Json]


def documents(device_types: Sequence[str] = (DEVICE_TYPE,)) -> Documents:
    """Return the documents for meters of these device types."""
    return Documents(
        [
            fleet_dashboard(device_types),
            meter_dashboard(device_types),
            health_dashboard(device_types),
        ],
        [device_profile(each) for each in device_types],
        meter_rules(),
        gateway_rules(),
    )


def receipts_chain() -> Json:
    """Return the rule chain that sends delivery receipts; it is written by hand."""
    chain: Json = json.loads(packaged_text(f"{FOLDER}/{_CHAIN}"))
    return chain
