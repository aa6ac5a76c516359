"""The device profile of meters: it carries the rule chain and the alarm rules."""

from __future__ import annotations

from dlms_connector.thingsboard.widgets import Json


def device_profile(name: str) -> Json:
    """Return a device profile as it is imported. It holds no ids: servers have other ones."""
    return {
        "name": name,
        "description": "DLMS/COSEM meters behind a ThingsBoard IoT Gateway",
        "image": None,
        "type": "DEFAULT",
        "transportType": "DEFAULT",
        "provisionType": "DISABLED",
        "defaultRuleChainId": None,
        "defaultDashboardId": None,
        "defaultQueueName": None,
        "provisionDeviceKey": None,
        "firmwareId": None,
        "softwareId": None,
        "defaultEdgeRuleChainId": None,
        "default": False,
        "profileData": {
            "configuration": {"type": "DEFAULT"},
            "transportConfiguration": {"type": "DEFAULT"},
            "provisionConfiguration": {"type": "DISABLED", "provisionDeviceSecret": None},
            "alarms": None,
        },
    }
