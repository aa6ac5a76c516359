"""Which calls are ours, and what becomes of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlms_connector.gateway.call_entry import CallEntry
from tests.support.gateway import FakeClient, FakeGateway


class Connector:
    """Notes the calls it is handed."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.fault: Any = None
        self.own_calls: list[Any] = []
        self.deleted: list[str] = []

    def server_side_rpc_handler(self, content: Any) -> Any:
        self.calls.append(content)
        return self.fault

    def device_deleted(self, name: str) -> None:
        self.deleted.append(name)

    def gateway_rpc_handler(self, number: int, content: Any) -> bool:
        self.own_calls.append((number, content))
        return bool(content["params"] == {"device": "M1"})


class Site:
    """A gateway with its client, a connector, and an entry for its devices M1 and M2."""

    def __init__(self, folder: Path) -> None:
        self.gateway = FakeGateway(folder)
        self.gateway.connect()
        assert self.gateway.tb_client
        self.client: FakeClient = self.gateway.tb_client
        self.connector = Connector()
        self.entry = CallEntry(self.gateway, self.connector, ["M1", "M2"])
        self.entry.stand(self.client)

    def call(self, content: Any) -> None:
        self.client.devices_server_side_rpc_request_handler(self.client, content)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def call_to(device: str) -> dict[str, Any]:
    return {"device": device, "data": {"id": 7, "method": "readClock", "params": None}}


def test_a_call_to_a_meter_of_ours_goes_straight_to_the_connector(site: Site) -> None:
    site.call(call_to("M1"))
    assert site.connector.calls == [call_to("M1")]
    assert site.gateway.passed_on == []


def test_a_fault_of_the_connector_is_answered_as_the_gateway_does(site: Site) -> None:
    site.connector.fault = {"error": "a fault of the connector"}
    site.call(call_to("M1"))
    site.call({"device": "M1"})
    assert site.gateway.replies == [
        {"device": "M1", "req_id": 7, "content": {"error": "a fault of the connector"}}
    ]


def test_a_meter_that_was_renamed_on_the_platform_is_called_by_our_name(site: Site) -> None:
    site.gateway.rename("M1", "Kitchen")
    site.call(call_to("Kitchen"))
    assert site.connector.calls == [call_to("M1")]


@pytest.mark.parametrize(
    "content",
    [
        call_to("Modbus 1"),
        {"method": "gateway_ping", "params": None},
        {"device": None, "data": {}},
        {"device": ["M1"]},
        {},
        [],
        None,
        "M1",
    ],
)
def test_everything_else_is_passed_on(site: Site, content: Any) -> None:
    site.call(content)
    assert site.connector.calls == []
    assert site.gateway.passed_on == [content]


def test_a_device_of_our_name_that_another_connector_holds_is_not_ours(site: Site) -> None:
    site.gateway.devices["M1"] = {"connector": "another"}
    site.gateway.devices["M2"] = {"connector": site.connector}
    site.call(call_to("M1"))
    site.call(call_to("M2"))
    assert site.connector.calls == [call_to("M2")]
    assert site.gateway.passed_on == [call_to("M1")]


def test_two_connectors_stand_one_before_the_other(site: Site) -> None:
    other = Connector()
    second = CallEntry(site.gateway, other, ["M3"])
    for _ in range(3):
        second.stand(site.client)
        site.entry.stand(site.client)
    for device in ("M1", "M3", "M4"):
        site.call(call_to(device))
    assert site.connector.calls == [call_to("M1")]
    assert other.calls == [call_to("M3")]
    assert site.gateway.passed_on == [call_to("M4")]


def test_whoever_leaves_from_behind_passes_on(site: Site) -> None:
    other = Connector()
    CallEntry(site.gateway, other, ["M3"]).stand(site.client)
    site.entry.leave(site.client)
    site.call(call_to("M1"))
    site.call(call_to("M3"))
    assert site.connector.calls == []
    assert other.calls == [call_to("M3")]
    assert site.gateway.passed_on == [call_to("M1")]


def test_restarts_leave_nobody_behind(site: Site) -> None:
    """A connector that was closed would be kept for good, and each call go through it."""
    others = [CallEntry(site.gateway, Connector(), ["M3"]) for _ in range(3)]
    for other in others:
        other.stand(site.client)
    for other in others[:2]:
        other.leave(site.client)
    assert site.client.devices_server_side_rpc_request_handler is others[2]
    assert others[2].behind is site.entry


def test_whoever_left_does_not_come_back(site: Site) -> None:
    site.entry.leave(site.client)
    site.entry.stand(site.client)
    site.call(call_to("M1"))
    assert site.gateway.passed_on == [call_to("M1")]


def test_a_gateway_of_another_making_is_left_alone(site: Site) -> None:
    class Other:
        """A client that hands out calls in another way."""

    other = Other()
    site.entry.stand(other)
    site.entry.leave(other)
    assert vars(other) == {}


# Calls to the gateway itself


class OwnSite(Site):
    """A site whose gateway has its handler for calls to itself."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.passed: list[Any] = []
        self.subscribe()

    def subscribe(self) -> None:
        """Set the gateway's own handler, as it does in each session."""
        self.client.set_server_side_rpc_request_handler(self.theirs)
        self.entry.stand(self.client)

    def theirs(self, number: Any, content: Any) -> None:
        self.passed.append((number, content))

    def ask(self, content: Any, number: Any = "17") -> None:
        self.client.own_handler(number, content)


OURS = {"method": "custom_readClock", "params": {"device": "M1"}}
OTHER = {"method": "custom_readClock", "params": {}}


def test_a_call_that_is_replied_to_later_does_not_reach_the_gateway(tmp_path: Path) -> None:
    site = OwnSite(tmp_path)
    site.subscribe()
    site.entry.stand(site.client)
    site.ask(OURS)
    site.ask(OTHER)
    assert site.connector.own_calls == [(17, OURS), (17, OTHER)]
    assert site.passed == [("17", OTHER)]


@pytest.mark.parametrize("content", [None, [], "x", 5])
def test_what_is_no_call_goes_to_the_gateway(tmp_path: Path, content: Any) -> None:
    site = OwnSite(tmp_path)
    site.ask(content)
    site.ask(OURS, number="x")
    assert site.passed == [("17", content), ("x", OURS)]
    assert site.connector.own_calls == []


def test_own_calls_of_two_connectors_and_whoever_leaves(tmp_path: Path) -> None:
    site, other = OwnSite(tmp_path), Connector()
    second = CallEntry(site.gateway, other, ["M3"])
    second.stand(site.client)
    site.ask(OURS)
    assert (len(other.own_calls), site.connector.own_calls) == (1, [])
    second.leave(site.client)
    site.ask(OURS)
    assert len(site.connector.own_calls) == 1
    site.entry.leave(site.client)
    site.ask(OURS)
    assert site.passed == [("17", OURS)]
    assert site.client.own_handler == site.theirs


@pytest.mark.parametrize("params", [{"M1": "Kitchen"}, {"device": "M3"}])
def test_own_calls_reach_the_gateway_also_before_it_has_a_handler(site: Site, params: Any) -> None:
    """The platform tells renamed devices as soon as the gateway's client is connected."""
    content = {"method": "gateway_device_renamed", "params": params}
    site.entry.hear(site.client)
    site.client.own_handler(1, content)
    assert site.gateway.passed_on == [content]
    assert len(site.connector.own_calls) == 1


def test_two_connectors_hear_of_a_deleted_device_and_the_gateway_once(site: Site) -> None:
    other = Connector()
    second = CallEntry(site.gateway, other, ["M3"])
    for _ in range(3):
        second.stand(site.client)
        site.entry.stand(site.client)
    content = {"method": "gateway_device_deleted", "params": "M1"}
    site.client.own_handler(1, content)
    site.client.set_server_side_rpc_request_handler(site.gateway._rpc_request_handler)
    second.hear(site.client)  # the gateway sets its handler anew in each session
    site.entry.hear(site.client)
    site.client.own_handler(2, content)
    assert (site.connector.deleted, other.deleted) == (["M1"] * 2, ["M1"] * 2)
    assert site.gateway.passed_on == [content] * 2
    site.entry.leave(site.client)
    site.client.own_handler(3, content)
    assert (len(site.connector.deleted), len(other.deleted)) == (2, 3)
