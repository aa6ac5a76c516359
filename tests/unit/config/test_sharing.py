"""Which share of the fleet and which role a configuration and the environment give a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import load
from dlms_connector.errors import ConfigError


def fleet(count: int = 40, **keys: Any) -> dict[str, Any]:
    devices = [
        {"deviceName": f"Meter {number}", "connection": {"host": f"10.0.0.{number}"}}
        for number in range(count)
    ]
    return {"devices": devices, **keys}


def names(document: dict[str, Any], **environment: str) -> list[str]:
    loaded = load(document, base=Path(), environment=environment)
    assert loaded.every_problem == ()
    return [device.device_name for device in loaded.configuration.devices]


def refused(document: dict[str, Any], **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(document, base=Path(), environment=environment)
    return str(caught.value)


def test_the_shares_are_the_fleet() -> None:
    shares = [names(fleet(shard={"index": index, "count": 3})) for index in range(3)]
    assert sorted(name for share in shares for name in share) == sorted(names(fleet()))
    assert all(shares)


def test_the_environment_goes_first() -> None:
    document = fleet(shard={"index": 0, "count": 2})
    assert names(document, DLMS_SHARD_INDEX="gateway-1") == names(
        fleet(shard={"index": 1, "count": 2})
    )
    assert names(document, DLMS_SHARD_COUNT="1") == names(fleet())
    assert names(fleet(), DLMS_SHARD_INDEX="1", DLMS_SHARD_COUNT="2") == names(
        fleet(shard={"index": "dlms-1", "count": "2"})
    )
    assert names(fleet(), DLMS_SHARD_INDEX="1", DLMS_SHARD_WEIGHTS="0,1") == names(fleet())


def test_an_empty_variable_says_nothing() -> None:
    assert names(fleet(), DLMS_SHARD_INDEX="", DLMS_SHARD_COUNT="") == names(fleet())


@pytest.mark.parametrize(
    ("shard", "environment", "told"),
    [
        ({"index": 3, "count": 3}, {}, "shard.index: 3 is not in 0..2"),
        ({"count": 3}, {}, "shard.index: required"),
        ({"index": 0}, {}, "shard.count: required"),
        (None, {"DLMS_SHARD_INDEX": "dlms-0"}, "shard.count: required"),
        (None, {"DLMS_SHARD_COUNT": "2"}, "shard.index: required"),
        ({"index": 0, "count": 2, "weights": [1]}, {}, "1 weights for 2 gateways"),
        ({"index": 0, "count": 2, "weights": [0, 0]}, {}, "more than 0"),
        ({"index": 0, "count": 2, "weights": [1, -1]}, {}, "-1 is not a weight"),
        ({"index": 0, "count": 2, "weights": [1, 10**400]}, {}, "is not a weight"),
        ({"index": 0, "count": 0}, {}, "shard.count"),
        ({"index": "gateway", "count": 2}, {}, "not the number of a gateway"),
        ({"index": 0, "cuont": 2}, {}, "shard.cuont: unknown"),
        ({"index": True, "count": 2}, {}, "shard.index"),
        ([0, 3], {}, "shard"),
        ({"index": 0, "count": 2}, {"DLMS_SHARD_COUNT": "many"}, "whole number"),
    ],
)
def test_no_meter_is_served_where_the_share_is_not_certain(
    shard: Any, environment: dict[str, str], told: str
) -> None:
    document = fleet() if shard is None else fleet(shard=shard)
    assert told in refused(document, **environment)


def test_the_meters_of_an_endpoint_stay_together() -> None:
    """However it is written: by a template, in capitals, as text, by a default."""
    document = fleet(count=0, defaults={"connection": {"port": 4059}}, shard={"count": 4})
    document["templates"] = {"hub": {"connection": {"host": "hub-1"}}}
    ways: list[dict[str, Any]] = [
        {"template": "hub"},
        {"connection": {"host": "HUB-1", "port": "4059"}},
        {"connection": {"type": "tcp", "host": "hub-1"}},
    ]
    document["devices"] = [
        {"deviceName": f"{number}", **way, "dlms": {"physicalAddress": number + 20}}
        for number, way in enumerate(ways)
    ]
    counts = [len(names(document, DLMS_SHARD_INDEX=str(index))) for index in range(4)]
    assert sorted(counts) == [0, 0, 0, 3]


def test_a_group_stays_together() -> None:
    document = fleet(shard={"count": 5}, groups={"modems": {"maxConcurrent": 2}})
    for device in document["devices"][:20]:
        device["connection"]["group"] = "modems"
    holders = [
        index
        for index in range(5)
        if any(
            f"Meter {number}" in names(document, DLMS_SHARD_INDEX=str(index))
            for number in range(20)
        )
    ]
    assert len(holders) == 1


def test_listeners_and_who_pushes_to_them_are_at_one_gateway() -> None:
    listener = {"type": "tcp", "port": 4061, "allow": ["10.0.0.0/8"], "device": "Meter 3"}
    document = fleet(shard={"count": 3}, push=[listener])
    document["devices"] += [
        {"deviceName": f"P {number}", "connection": {"type": "push"}} for number in range(5)
    ]
    document["devices"][7]["push"] = {"peer": "10.1.1.1"}
    holders = []
    for index in range(3):
        loaded = load(document, base=Path(), environment={"DLMS_SHARD_INDEX": str(index)})
        served = {device.device_name for device in loaded.configuration.devices}
        pushing = {"Meter 3", "Meter 7", *(f"P {number}" for number in range(5))}
        assert served & pushing in (set(), pushing)
        assert bool(loaded.configuration.push) == bool(served & pushing)
        holders += [index] * bool(served & pushing)
    assert len(holders) == 1


def test_a_port_on_which_meters_call_is_at_one_gateway() -> None:
    document = fleet(count=0, shard={"count": 4})
    document["devices"] = [
        {
            "deviceName": f"C {number}",
            "connection": {"type": "listen", "port": 4059, "peer": f"10.0.0.{number}"},
        }
        for number in range(12)
    ]
    counts = [len(names(document, DLMS_SHARD_INDEX=str(index))) for index in range(4)]
    assert sorted(counts) == [0, 0, 0, 12]


def test_secrets_of_other_shares_are_not_looked_up() -> None:
    document = fleet(shard={"count": 2})
    for device in document["devices"]:
        device["dlms"] = {"authentication": "LOW", "password": "${env:METER_NOT_SET}"}
    loaded = load(document, base=Path(), environment={"DLMS_SHARD_INDEX": "0"})
    assert 0 < len(loaded.refused) < len(document["devices"])
    assert len(loaded.refused) + len(loaded.elsewhere) == len(document["devices"])


def test_each_refused_device_is_of_one_share() -> None:
    document = fleet(count=6, shard={"count": 3})
    document["devices"] += [{"deviceName": "no connection"}, "no object", {"connection": {}}]
    told = [
        one.name
        for index in range(3)
        for one in load(document, base=Path(), environment={"DLMS_SHARD_INDEX": str(index)}).refused
    ]
    assert sorted(told) == ["devices[7]", "devices[8]", "no connection"]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "bad",
    [
        {"deviceName": []},
        {"deviceName": "odd", "connection": {"host": nested(800)}},
        {"deviceName": "odd", "template": nested(800)},
    ],
    ids=["no name", "nested too deeply", "no template"],
)
def test_a_device_that_is_no_device_costs_the_others_nothing(bad: dict[str, Any]) -> None:
    document = fleet(count=9, shard={"count": 2}, push=[{"type": "tcp", "port": 4061}])
    document["devices"].append({"connection": {"host": "10.0.0.9"}} | bad)
    served, refused = [], 0
    for index in range(2):
        loaded = load(document, base=Path(), environment={"DLMS_SHARD_INDEX": str(index)})
        served += [device.device_name for device in loaded.configuration.devices]
        refused += len(loaded.refused)
    assert (len(served), refused) == (9, 1)


def test_a_listener_of_no_device_costs_the_meters_nothing() -> None:
    listener = {"type": "tcp", "port": 4061, "device": ["Meter 1"]}
    document = fleet(count=9, shard={"index": 0, "count": 2}, push=[listener])
    loaded = load(document, base=Path(), environment={})
    assert loaded.configuration.devices
    assert loaded.problems == ("push[0].device: expected text, got a list",)


def test_a_name_is_given_once_in_all_shares() -> None:
    document = fleet(count=30, shard={"count": 2})
    document["devices"].append({"deviceName": "Meter 0", "connection": {"host": "elsewhere"}})
    served = []
    for index in range(2):
        loaded = load(document, base=Path(), environment={"DLMS_SHARD_INDEX": str(index)})
        served += [device.device_name for device in loaded.configuration.devices]
    assert served.count("Meter 0") == 1


def test_the_role_is_a_file() -> None:
    loaded = load(fleet(standby={"activeFile": "/srv/x"}), base=Path(), environment={})
    assert loaded.configuration.standby is not None
    assert loaded.configuration.standby.active_file == "/srv/x"
    loaded = load(fleet(), base=Path(), environment={"DLMS_ACTIVE_FILE": "/run/y"})
    assert loaded.configuration.standby is not None
    assert loaded.configuration.standby.active_file == "/run/y"


@pytest.mark.parametrize("standby", [{}, {"activeFile": "here"}, {"activeFile": ""}, "x", {"a": 1}])
def test_no_meter_is_served_where_the_role_is_not_certain(standby: Any) -> None:
    assert "standby" in refused(fleet(standby=standby))


def test_the_platform_cannot_ask_for_files_of_the_host() -> None:
    document = fleet(standby={"activeFile": "/etc/shadow"}, configVersion="1")
    assert "DLMS_ACTIVE_FILE" in refused(document)
    document["standby"] = {"activeFile": "/run/dlms-active"}
    assert names(document)


def ciphered(number: int, **dlms: Any) -> dict[str, Any]:
    section = {
        "clientAddress": 1,
        "security": "AUTHENTICATION_ENCRYPTION",
        "systemTitle": "4142433132333435",
        "authenticationKey": "00" * 16,
        "blockCipherKey": f"{number:032x}",
        **dlms,
    }
    connection = {"host": f"10.0.0.{number}"}
    return {"deviceName": f"Meter {number}", "connection": connection, "dlms": section}


@pytest.mark.parametrize(
    ("dlms", "told"),
    [
        ({}, 0),
        ({"blockCipherKey": "AB" * 16}, 1),
        ({"security": "NONE", "blockCipherKey": None}, 0),
    ],
)
def test_keys_that_two_gateways_would_use_are_told(dlms: dict[str, Any], told: int) -> None:
    document = {"devices": [ciphered(number, **dlms) for number in range(20)]}
    document["shard"] = {"index": 0, "count": 2}  # type: ignore[assignment]
    loaded = load(document, base=Path(), environment={})
    assert sum("the same invocation counters" in note for note in loaded.notes) == told
    alone = load(document, base=Path(), environment={"DLMS_SHARD_COUNT": "1"})
    assert alone.notes == ()
