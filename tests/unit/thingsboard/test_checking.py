"""Which keys that widgets and rules use are sent, on a tenant of the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dlms_connector.delivery import Rest
from dlms_connector.demo.platform_store import Store
from dlms_connector.thingsboard import (
    DEVICE_TYPE,
    Checked,
    Installer,
    check,
    documents,
    receipts_chain,
)
from dlms_connector.thingsboard.used_keys import known_keys, of_dashboard, of_rule
from tests.support.tenant import Tenant

MADE = documents()
USES = [
    *(use for each in MADE.dashboards for use in of_dashboard(each)),
    *(use for each in MADE.meter_rules for use in of_rule(each, "meter")),
    *(use for each in MADE.gateway_rules for use in of_rule(each, "gateway")),
]
REQUIRED = {use.key: use for use in USES if not getattr(known_keys().get(use.key), "needs", "")}


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    store = Store()
    server = Tenant(store, {"admin": "secret"})
    server.gateways["Gateway"] = "gateway-1"
    await server.start()
    yield server
    await server.close()
    store.close()


def rest(tenant: Tenant) -> Rest:
    return Rest(tenant.url, username="admin", password=b"secret")


async def installed(tenant: Tenant) -> str:
    """Install everything, and return the id of the profile."""
    steps = Installer(rest(tenant), MADE, receipts_chain()).steps()
    await asyncio.to_thread(list, steps)
    number: str = tenant.named("deviceProfile", DEVICE_TYPE)["id"]["id"]
    return number


async def checked(tenant: Tenant) -> Checked:
    return await asyncio.to_thread(check, rest(tenant), MADE)


def send(tenant: Tenant, profile: str, *without: str) -> None:
    for kind, is_attribute in (("timeseries", False), ("attributes", True)):
        for number, subject in ((profile, "meter"), ("gateway-1", "gateway")):
            tenant.sent[number, kind] = [
                key
                for key, use in REQUIRED.items()
                if (use.is_attribute, use.subject) == (is_attribute, subject) and key not in without
            ]


async def test_all_is_well(tenant: Tenant) -> None:
    send(tenant, await installed(tenant))
    found = await checked(tenant)
    assert found.is_well
    assert not found.absent
    answers = {each.key: each for each in found.keys}
    assert answers["active_power"].answer == "sent"
    assert answers["voltage_l3"].answer == "optional"
    assert answers["voltage_l3"].note == "sent with a meter with three phases"


async def test_a_key_that_nobody_sends(tenant: Tenant) -> None:
    send(tenant, await installed(tenant), "active_power")
    found = await checked(tenant)
    assert not found.is_well
    (missing,) = [each for each in found.keys if each.answer == "missing"]
    assert missing.key == "active_power"
    assert "DLMS meters / Active power" in missing.where


async def test_an_attribute_is_no_time_series(tenant: Tenant) -> None:
    profile = await installed(tenant)
    send(tenant, profile)
    tenant.sent[profile, "attributes"].append("active_power")
    tenant.sent[profile, "timeseries"].remove("active_power")
    assert not (await checked(tenant)).is_well


async def test_a_widget_that_a_user_changed_is_checked_as_it_is(tenant: Tenant) -> None:
    send(tenant, await installed(tenant))
    fleet = tenant.named("dashboard", "DLMS fleet")["configuration"]["widgets"]
    table = next(each for each in fleet.values() if each["typeFullFqn"].endswith("entities_table"))
    table["config"]["datasources"][0]["dataKeys"].append(
        {"name": "my_key", "type": "timeseries", "label": "Mine"}
    )
    found = await checked(tenant)
    assert [each.key for each in found.keys if each.answer == "missing"] == ["my_key"]


async def test_what_is_not_installed_is_told(tenant: Tenant) -> None:
    profile = await installed(tenant)
    send(tenant, profile)
    for kind, name in (("dashboard", "DLMS fleet"), ("alarmRule", "Clock drift")):
        number = tenant.named(kind, name)["id"]["id"]
        del tenant.entities[kind][number]
    found = await checked(tenant)
    assert not found.is_well
    assert found.absent == ("dashboard DLMS fleet", "alarm rule Clock drift")


async def test_a_meter_that_the_platform_made_without_its_type(tenant: Tenant) -> None:
    send(tenant, await installed(tenant))
    tenant.types |= {"One": "default", "Two": DEVICE_TYPE}
    meters = dict.fromkeys(("One", "Two", "Never seen"), DEVICE_TYPE)
    found = await asyncio.to_thread(check, rest(tenant), MADE, meters)
    assert found.elsewhere == (f"One has the device profile 'default' instead of '{DEVICE_TYPE}'",)
    assert not found.is_well


async def test_nothing_is_installed(tenant: Tenant) -> None:
    tenant.gateways.clear()
    found = await checked(tenant)
    assert not found.is_well
    assert not found.keys
    assert f"device profile {DEVICE_TYPE}" in found.absent
    assert "a gateway: the tenant has none" in found.absent
