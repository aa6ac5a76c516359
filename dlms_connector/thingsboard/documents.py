"""All that is installed on the platform, as documents, and the files that are made of them.

`python -m dlms_connector.thingsboard.documents gateway-config` writes the files anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


def files(made: Documents) -> Mapping[str, str]:
    """Return the content of each file, by its name within the folder."""
    named = {f"dashboard-{_slug(each['title'])}.json": each for each in made.dashboards}
    named |= {f"device-profile-{_slug(each['name'])}.json": each for each in made.profiles}
    named |= {f"alarm-rules/meter-{_slug(each['name'])}.json": each for each in made.meter_rules}
    named |= {
        f"alarm-rules/gateway-{_slug(each['name'])}.json": each for each in made.gateway_rules
    }
    return {name: json.dumps(each, indent=1) + "\n" for name, each in named.items()}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) / FOLDER
    for name, text in files(documents()).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
