"""Installing on a tenant of the stand-in, with the traps of the real server."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dlms_connector.delivery import Rest, RestError
from dlms_connector.demo.platform_store import Store
from dlms_connector.thingsboard import (
    DEVICE_TYPE,
    Installer,
    Receipts,
    Step,
    documents,
    receipts_chain,
)
from dlms_connector.thingsboard.sameness import holds
from tests.support.tenant import Tenant

USER, PASSWORD = "admin@example.com", "a-password"
CHAIN = receipts_chain()["ruleChain"]["name"]
MADE = documents()


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    store = Store()
    server = Tenant(store, {USER: PASSWORD})
    await server.start()
    yield server
    await server.close()
    store.close()


async def install(
    tenant: Tenant, *, dry_run: bool = False, receipts: Receipts = "auto"
) -> list[Step]:
    rest = Rest(tenant.url, username=USER, password=PASSWORD.encode())
    installer = Installer(rest, MADE, receipts_chain(), dry_run=dry_run, receipts=receipts)
    return await asyncio.to_thread(lambda: list(installer.steps()))


def did(steps: list[Step]) -> Counter[str]:
    return Counter(step.did for step in steps)


def ids(tenant: Tenant) -> dict[str, set[str]]:
    return {kind: set(found) for kind, found in tenant.entities.items()}


async def test_everything_is_created(tenant: Tenant) -> None:
    tenant.gateways["Gateway"] = "gateway-1"
    steps = await install(tenant)
    assert did(steps) == {"created": 1 + 1 + 7 + 3 + 1}
    profile = tenant.named("deviceProfile", DEVICE_TYPE)
    chain = tenant.named("ruleChain", CHAIN)
    assert profile["defaultRuleChainId"]["id"] == chain["id"]["id"]
    rules = tenant.entities["alarmRule"].values()
    owners = Counter((each["entityId"]["entityType"], each["entityId"]["id"]) for each in rules)
    assert owners == {("DEVICE_PROFILE", profile["id"]["id"]): 7, ("DEVICE", "gateway-1"): 1}


async def test_a_second_time_changes_nothing(tenant: Tenant) -> None:
    tenant.gateways["Gateway"] = "gateway-1"
    await install(tenant)
    before, tenant.posted = copy.deepcopy(tenant.entities), []
    steps = await install(tenant)
    assert did(steps) == {"unchanged": 13}
    assert set(tenant.posted) == {"/api/entitiesQuery/find"}
    assert tenant.entities == before


async def test_what_differs_is_updated_and_keeps_its_id(tenant: Tenant) -> None:
    await install(tenant)
    before = ids(tenant)
    tenant.named("dashboard", "DLMS fleet")["configuration"]["widgets"].popitem()
    rule = tenant.named("alarmRule", "Voltage out of band")
    rule["configuration"]["createRules"]["MINOR"]["alarmDetails"] = "other"
    chain = tenant.named("ruleChain", CHAIN)["id"]["id"]
    tenant.entities["metadata"][chain]["nodes"].pop()
    steps = await install(tenant)
    assert {step.name for step in steps if step.did == "updated"} == {
        "DLMS fleet",
        "Voltage out of band",
        CHAIN,
    }
    assert ids(tenant) == before
    assert did(await install(tenant))["updated"] == 0


async def test_a_dry_run_tells_the_same_and_sends_nothing(tenant: Tenant) -> None:
    tenant.gateways["Gateway"] = "gateway-1"
    before = copy.deepcopy(tenant.entities)
    planned = await install(tenant, dry_run=True)
    assert tenant.entities == before
    assert set(tenant.posted) == {"/api/entitiesQuery/find"}
    done = await install(tenant)
    assert [(step.kind, step.name, step.did) for step in planned] == [
        (step.kind, step.name, step.did) for step in done
    ]


async def test_the_gateway_made_the_profile_before(tenant: Tenant) -> None:
    """Its settings are kept: only the rule chain is added."""
    number = tenant.add(
        "deviceProfile", {"name": DEVICE_TYPE, "description": "mine", "defaultRuleChainId": None}
    )
    steps = await install(tenant)
    assert [step.did for step in steps if step.kind == "device profile"] == ["updated"]
    profile = tenant.entities["deviceProfile"][number]
    assert profile["description"] == "mine"
    assert profile["defaultRuleChainId"]


async def test_the_gateway_makes_the_profile_meanwhile(tenant: Tenant) -> None:
    tenant.late_profile = DEVICE_TYPE
    steps = await install(tenant)
    assert [step.did for step in steps if step.kind == "device profile"] == ["updated"]
    assert len(tenant.entities["deviceProfile"]) == 1
    assert len(tenant.entities["alarmRule"]) == 7


async def test_a_profile_with_a_rule_chain_of_its_own_keeps_it(tenant: Tenant) -> None:
    own = {"entityType": "RULE_CHAIN", "id": "own"}
    tenant.add("deviceProfile", {"name": DEVICE_TYPE, "defaultRuleChainId": own})
    (step,) = [each for each in await install(tenant) if each.kind == "device profile"]
    assert step.did == "unchanged"
    assert "keeps its own rule chain" in step.note
    assert tenant.named("deviceProfile", DEVICE_TYPE)["defaultRuleChainId"] == own


async def test_somebody_else_saves_at_the_same_time(tenant: Tenant) -> None:
    await install(tenant)
    tenant.named("dashboard", "DLMS fleet")["configuration"]["widgets"].popitem()
    tenant.rivals = 2
    assert did(await install(tenant))["updated"] == 1
    tenant.named("dashboard", "DLMS fleet")["configuration"]["widgets"].popitem()
    tenant.rivals = 9
    with pytest.raises(RestError, match="409; 'Entity has been changed"):
        await install(tenant)


async def test_a_root_chain_of_ones_own_is_not_gone_round(tenant: Tenant) -> None:
    root = tenant.named("ruleChain", "Root Rule Chain")["id"]["id"]
    tenant.entities["metadata"][root]["nodes"].append({"type": "my.own.Node", "name": "mine"})
    (step,) = [each for each in await install(tenant) if each.kind == "device profile"]
    assert "'Root Rule Chain' does more than the default one" in step.note
    assert tenant.named("deviceProfile", DEVICE_TYPE)["defaultRuleChainId"] is None
    (step,) = [
        each for each in await install(tenant, receipts="always") if each.kind == "device profile"
    ]
    assert step.did == "updated"


async def test_without_receipts_there_is_no_chain(tenant: Tenant) -> None:
    steps = await install(tenant, receipts="never")
    assert not [step for step in steps if step.kind == "rule chain"]
    assert tenant.named("deviceProfile", DEVICE_TYPE)["defaultRuleChainId"] is None


async def test_a_tenant_without_a_gateway_is_told(tenant: Tenant) -> None:
    last = (await install(tenant))[-1]
    assert (last.did, last.name) == ("left", "Gateway is silent")
    assert "no gateway yet" in last.note


async def test_the_token_expires_on_the_way(tenant: Tenant) -> None:
    rest = Rest(tenant.url, username=USER, password=PASSWORD.encode())
    steps = Installer(rest, MADE, receipts_chain()).steps()
    first = await asyncio.to_thread(next, steps)
    tenant.expire()
    rest_of_them = await asyncio.to_thread(lambda: list(steps))
    assert did([first, *rest_of_them])["created"] == 12


async def test_other_things_with_similar_names_are_left_alone(tenant: Tenant) -> None:
    """The platform's search finds parts of names, in any case."""
    copies = [
        tenant.add("dashboard", {"title": f"dlms FLEET {n}", "configuration": {}}) for n in "ab"
    ]
    await install(tenant)
    assert all(tenant.entities["dashboard"][each]["configuration"] == {} for each in copies)
    assert len(tenant.entities["dashboard"]) == 5


@pytest.mark.parametrize(
    ("theirs", "ours", "same"),
    [
        ({"a": 1.0, "more": True}, {"a": 1}, True),
        ({"a": 2}, {"a": 1}, False),
        ({}, {"a": None, "b": [], "c": ""}, True),
        ({"a": [1]}, {"a": []}, False),
        ([1, 2], [1], False),
        (None, {"a": 1}, False),
        ("x", ["x"], False),
        ({"a": False}, {"a": None}, False),
    ],
)
def test_what_counts_as_the_same(theirs: Any, ours: Any, same: bool) -> None:
    assert holds(theirs, ours) is same
