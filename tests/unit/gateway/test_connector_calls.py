"""Calls to the connector: from the form and the debug terminal, for one device, several or all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.commands.dispatcher import STOPPED
from dlms_connector.gateway.connector_call import ConnectorCall
from tests.support import fake_time
from tests.support.downlink import Bench

VOLTS = {"obis": "1-0:32.7.0"}
LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}


async def test_calls_to_the_connector(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1", "M2")
    answer = bench.downlink.connector_call({"method": "custom_readObject", "params": VOLTS})
    accepted = {"accepted": ["M1", "M2"], "outcome": "client attribute dlmsLastCall"}
    assert answer == {"result": accepted}
    one = {"method": "custom_readClock", "params": {"device": "M2"}, "id": 9}
    assert bench.downlink.connector_call(one)["result"]["accepted"] == ["M2"]
    unknown = {"method": "custom_readClock", "params": {"device": "M9"}}
    error = {"error": "this connector polls no device M9"}
    assert bench.downlink.connector_call(unknown) == error
    nothing = bench.downlink.connector_call({"method": None, "params": [1]})
    assert nothing == {"error": "no such method: None"}
    await bench.work()
    told = [(name, values["dlmsLastCall"]["method"]) for name, values in bench.attributes]
    assert told[:3] == [("M1", "readObject"), ("M2", "readObject"), ("M2", "readClock")]
    assert bench.gateway.replies == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_several_connectors_of_one_type(tmp_path: Path, order: tuple[int, int]) -> None:
    """The gateway gives each of them the same object, and takes the last one's answer."""
    benches = [Bench(tmp_path, "M1", "M2"), Bench(tmp_path, "M3")]

    def answer(params: dict[str, Any]) -> Any:
        content = {"method": "custom_readClock", "params": params, "id": 9}
        return [benches[at].downlink.connector_call(content) for at in order][-1]

    assert answer({"device": "M3"})["result"]["accepted"] == ["M3"]
    assert answer({"device": "M2"})["result"]["accepted"] == ["M2"]
    assert sorted(answer({})["result"]["accepted"]) == ["M1", "M2", "M3"]
    assert answer({"device": "M9"}) == {"error": "this connector polls no device M9"}
    assert answer({"device": "M2"})["result"]["accepted"] == ["M2"]


async def test_an_outcome_too_large_for_an_attribute_is_an_error(tmp_path: Path) -> None:
    """The gateway would lose with it what else waits to be stored."""
    bench = Bench(tmp_path)
    objects = {"obis": "0-0:40.0.0", "class": 15, "attribute": 2}
    bench.downlink.connector_call({"method": "custom_readObject", "params": objects})
    await bench.work()
    ((name, values),) = bench.attributes
    assert name == "M1"
    assert "too much for an attribute; call the device itself" in values["dlmsLastCall"]["error"]


async def test_the_answer_for_a_large_fleet_is_short(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *(f"M{n}" for n in range(101)))
    answer = bench.downlink.connector_call({"method": "custom_readClock"})
    assert answer["result"]["accepted"] == "101 devices"


@pytest.mark.parametrize(
    "params", ['{"device": "M2", "obis": "1-0:32.7.0"}', "device=M2;obis=1-0:32.7.0;"]
)
async def test_a_call_to_the_connector_in_text(tmp_path: Path, params: str) -> None:
    bench = Bench(tmp_path, "M1", "M2")
    answer = bench.downlink.connector_call({"method": "custom_readObject", "params": params})
    assert answer["result"]["accepted"] == ["M2"]
    await bench.work()
    ((name, values),) = bench.attributes
    assert name == "M2"
    assert values["dlmsLastCall"]["result"] > 200


async def test_a_method_that_no_device_has(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1")
    answer = bench.downlink.connector_call({"method": "custom_readObjct", "params": {}})
    assert answer == {"error": "no such method: readObjct"}


async def test_what_changes_meters_is_not_done_to_all_by_leaving_out_the_device(
    tmp_path: Path,
) -> None:
    own = {"method": "cutOff", "requestType": "action", "obis": "0-0:96.3.10", "class": 70}
    bench = Bench(tmp_path, "M1", "M2", serverSideRpc=[own])
    for method in ("disconnectRelay", "set", "activateImage", "cutOff"):
        answer = bench.downlink.connector_call({"method": f"custom_{method}", "params": {}})
        assert answer == {"error": f'{method}: name the `device`, or give "*" for all'}
    everyone = {"method": "custom_syncClock", "params": {"device": "*"}}
    assert bench.downlink.connector_call(everyone)["result"]["accepted"] == ["M1", "M2"]


# What the form sends


@pytest.mark.parametrize(
    "params",
    [
        {"command": "readObject", "params": {"device": "M2", **VOLTS}, "connectorId": "one"},
        {"command": "readObject", "params": {"device": "M2", **VOLTS}},
        {"command": "readObject", "params": '{"device": "M2", "obis": "1-0:32.7.0"}'},
        {"command": "readObject", "params": "device=M2;obis=1-0:32.7.0;", "connectorId": "one"},
        {"command": "readObject", "device": "M2", "params": VOLTS},
        {"command": "readObject", "params": {"device": ["M2"], **VOLTS}},
        '{"command": "readObject", "params": {"device": "M2", "obis": "1-0:32.7.0"}}',
        {"device": "M2", **VOLTS, "connectorId": "one"},
        {"devices": ["M2"], **VOLTS},
        {"device": "Kitchen", **VOLTS},
        {"command": "readObject", "params": {"device": "Kitchen", **VOLTS}, "connectorId": "one"},
    ],
)
async def test_the_arguments_are_found_wherever_the_interface_puts_them(
    tmp_path: Path, params: Any
) -> None:
    bench = Bench(tmp_path, "M1", "M2", connector_id="one")
    bench.gateway.rename("M2", "Kitchen")
    answer = bench.ask("readObject", params)
    assert answer["result"]["accepted"] == ["Kitchen" if "Kitchen" in str(params) else "M2"]
    await bench.work()
    ((name, outcome),) = bench.outcomes()
    assert (name, outcome["method"]) == ("M2", "readObject")
    assert outcome["result"] > 200


@pytest.mark.parametrize(
    ("params", "accepted"),
    [
        ({}, ["M1", "M2", "M3"]),
        (None, ["M1", "M2", "M3"]),
        ({"device": "*"}, ["M1", "M2", "M3"]),
        ({"device": None}, ["M1", "M2", "M3"]),
        ({"device": ["M3", "M1", "M3"]}, ["M3", "M1"]),
        ({"device": "M3", "devices": ["M1"]}, ["M3", "M1"]),
        ('device=["M1", "M3"];', ["M1", "M3"]),
    ],
)
async def test_one_several_or_all(tmp_path: Path, params: Any, accepted: list[str]) -> None:
    for form in (False, True):
        bench = Bench(tmp_path, "M1", "M2", "M3")
        answer = (bench.form if form else bench.ask)("readClock", params)
        assert answer["result"]["accepted"] == accepted
        await bench.work()
        assert [name for name, _ in bench.outcomes()] == accepted


async def test_all_are_told_by_their_names_on_the_platform(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1", "M2")
    bench.gateway.rename("M1", "M2")
    bench.gateway.rename("M2", "M1")
    assert bench.ask("readClock")["result"]["accepted"] == ["M2", "M1"]
    await bench.work()
    bench.attributes.clear()
    bench.ask("readClock", {"device": "M1"})
    await bench.work()
    assert [name for name, _ in bench.outcomes()] == ["M2"]


async def test_a_call_for_another_connector_is_not_for_us(tmp_path: Path) -> None:
    benches = [Bench(tmp_path, "M1", connector_id="one"), Bench(tmp_path, "M1", connector_id="two")]
    for order in ((0, 1), (1, 0)):
        params = {"command": "readClock", "params": {"device": "M1"}, "connectorId": "two"}
        content = {"method": "custom_readClock", "params": params, "id": "3"}
        answer = [benches[at].downlink.connector_call(content) for at in order][-1]
        assert answer["result"]["accepted"] == ["M1"]
    for bench in benches:
        await bench.work()
    assert [len(bench.attributes) for bench in benches] == [0, 2]
    assert benches[0].form("readClock", connectorId="x") == {"error": "no such connector: x"}


async def test_a_bare_value_of_a_configured_method(tmp_path: Path) -> None:
    own = {"method": "setLimit", "requestType": "set", **LIMIT}
    bench = Bench(tmp_path, serverSideRpc=[own])
    answer = bench.ask("setLimit", {"command": "setLimit", "device": "M1", "params": 4711})
    assert "result" in answer
    await bench.work()
    assert bench.outcomes() == [("M1", {"method": "setLimit", "result": 4711})]


# What cannot be done


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("readObjct", {"device": "M1", **VOLTS}, "no such method: readObjct"),
        ("readObject", {"device": "M9", **VOLTS}, "this connector polls no device M9"),
        ("readObject", {"device": "M1"}, "`obis` is missing"),
        ("readObject", {"device": "M1", "obis": "x"}, "'x' is not an OBIS code"),
        ("readObject", {"device": "M1", **VOLTS, "x": 1}, "unknown parameter `x`"),
        ("readObject", {}, "`obis` is missing"),
        ("writeObject", {"device": "M1", **LIMIT}, "does not allow writing to 0-0:17.0.0"),
        ("disconnectRelay", {"device": "*"}, "does not allow writing to 0-0:96.3.10"),
        ("disconnectRelay", {}, 'name the `device`, or give "*" for all'),
        ("readClock", {"device": []}, "name the `device`"),
        ("getVoltage", {"device": "M1"}, "no such method: getVoltage"),
    ],
)
async def test_what_cannot_be_done_is_not_accepted(
    tmp_path: Path, method: str, params: Any, says: str
) -> None:
    bench = Bench(tmp_path, allowWrite=False)
    for answer in (bench.ask(method, params), bench.form(method, params)):
        assert answer.keys() == {"error"}
        assert says in answer["error"]
    await bench.work()
    assert bench.attributes == []
    assert bench.meters.jobs == []


async def test_who_refuses_is_told_beside_who_accepts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1", "M2")
    answer = bench.ask("readClock", {"device": ["M1", "M9"]})
    assert answer["result"] == {
        "accepted": ["M1"],
        "refused": {"M9": "this connector polls no device M9"},
        "outcome": "client attribute dlmsLastCall",
    }


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_reason_is_that_of_the_connector_that_polls_the_device(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    benches = [Bench(tmp_path, "M1"), Bench(tmp_path, "M2")]
    content = {"method": "custom_nothing", "params": {"device": "M1"}}
    answer = [benches[at].downlink.connector_call(content) for at in order][-1]
    assert answer == {"error": "no such method: nothing"}


async def test_a_flood_of_names_gets_a_short_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    names = ["M1", *(f"{n}" * 1000 for n in range(1000))]
    answer = bench.ask("readClock", {"device": names})
    assert answer["result"]["accepted"] == ["M1"]
    assert len(str(bench.ask("readClock", {"device": names[1:]}))) < 2000
    assert len(str(answer)) < 2000


async def test_nothing_is_accepted_before_there_are_meters(tmp_path: Path) -> None:
    """A change to all meters would pass, as it is not known yet that it is one."""
    bench = Bench(tmp_path, "M1", "M2", starting=True)
    for params in ({}, {"device": "M1"}):
        answer = bench.ask("disconnectRelay", params)
        assert answer == {"error": "the connector is starting; try again"}
    bench.downlink.start(bench.meters, None)
    await bench.work()
    assert bench.meters.jobs == []


async def test_all_devices_accept_or_none(tmp_path: Path) -> None:
    """The loop may end at any moment: what is told is true of each device."""
    bench = Bench(tmp_path, "M1", "M2", "M3")
    bench.lasts = 1
    accepted = bench.ask("readClock").get("result", {}).get("accepted", [])
    await bench.work()
    assert [name for name, _ in bench.outcomes()] == accepted
    bench.lasts = 0
    assert bench.ask("readClock") == {"error": "the connector is stopped"}


# The answer as the reply


def call(bench: Bench, method: str, params: Any, number: int = 5) -> bool:
    content = {"method": f"custom_{method}", "params": params}
    return bench.downlink.gateway_call(number, content)


async def test_the_answer_of_one_device_is_the_reply(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1", "M2", connector_id="one")
    form = {"command": "readObject", "params": {"device": "M2", **VOLTS}, "connectorId": "one"}
    assert call(bench, "readObject", form)
    assert call(bench, "readObject", form), "sent again"
    assert bench.gateway.replies == []
    await bench.work()
    ((device, number, content),) = bench.gateway.replies
    assert (device, number) == (None, "5")
    assert content["result"] > 200
    assert bench.outcomes() == [("M2", {"method": "readObject", **content})]


async def test_a_refusal_is_the_reply_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, allowWrite=False)
    assert call(bench, "disconnectRelay", {"device": "M1"})
    await bench.work()
    ((_, _, content),) = bench.gateway.replies
    assert "does not allow writing to 0-0:96.3.10" in content["error"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("readClock", {}),
        ("readClock", {"device": "*"}),
        ("readClock", {"device": "M9"}),
        ("readClock", {"device": ["M1", "M2"]}),
        ("readClock", {"device": "M1", "connectorId": "two"}),
    ],
)
async def test_other_calls_go_the_gateways_way(tmp_path: Path, method: str, params: Any) -> None:
    bench = Bench(tmp_path, "M1", "M2", connector_id="one")
    assert not call(bench, method, params)
    for content in ({"method": "gateway_ping"}, {"method": None}, {}):
        assert not bench.downlink.gateway_call(5, content)
    assert bench.queued == []


def test_a_reply_comes_before_the_form_gives_up(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path)
        bench.meters.delay_s = 6.0
        form = {"command": "readObject", "params": {"device": "M1", **VOLTS}}
        assert call(bench, "readObject", form)
        await bench.work()
        await asyncio.sleep(4.6)
        accepted = {"accepted": ["M1"], "outcome": "client attribute dlmsLastCall"}
        assert bench.gateway.replies == [(None, "5", {"result": accepted})]
        await asyncio.sleep(2)
        assert bench.outcomes()[0][1]["result"] > 200
        assert len(bench.gateway.replies) == 1

    fake_time.run(test())


def test_a_change_that_the_form_has_given_up_is_not_begun(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path)
        bench.meters.delay_s = 6.0
        form = {"command": "disconnectRelay", "params": {"device": "M1"}}
        assert call(bench, "disconnectRelay", form)
        await bench.work()
        await asyncio.sleep(10)
        ((_, _, content),) = bench.gateway.replies
        assert "nothing was done" in content["error"]
        assert bench.meters.links["M1"].meter.relay_state == 1

    fake_time.run(test())


def test_who_waits_longer_gets_the_answer_later(tmp_path: Path) -> None:
    async def test() -> None:
        bench = Bench(tmp_path)
        bench.meters.delay_s = 15.0
        assert call(bench, "readObject", {"device": "M1", **VOLTS, "timeout": 20})
        await bench.work()
        await asyncio.sleep(16)
        ((_, _, content),) = bench.gateway.replies
        assert content["result"] > 200

    fake_time.run(test())


async def test_the_end_answers_open_calls(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert call(bench, "readClock", {"device": "M1"})
    bench.downlink.close()
    bench.stopped = True
    assert call(bench, "readClock", {"device": "M1"}, number=6)
    assert bench.gateway.replies == [
        (None, "5", {"error": STOPPED}),
        (None, "6", {"error": STOPPED}),
    ]


def test_parameters_of_any_shape_are_read() -> None:
    shapes: list[Any] = [None, 5, "x", "{", [], [1]]
    shapes += [{"params": 1}, {"command": 1}, {"connectorId": []}]
    for params in shapes:
        ConnectorCall.read({"method": 5, "params": params}, "custom")
