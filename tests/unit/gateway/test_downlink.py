"""Between the gateway's threads and the meters' loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlms_connector.commands.dispatcher import STOPPED
from dlms_connector.gateway.downlink import Downlink
from dlms_connector.simulator.encoding.data import octets
from dlms_converters.downlink import DLMSDownlinkConverter
from tests.support.commands import LOG, MetersInMemory, device

LIMIT = {"key": "limit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
VOLTS = {"obis": "1-0:32.7.0"}


class Gateway:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replies: list[Any] = []
        self.online = True
        self.broken = False
        self.tb_client = SimpleNamespace(is_connected=lambda: self.online)

    def send_rpc_reply(self, *, device: str, req_id: int, content: Any) -> None:
        if self.broken:
            raise RuntimeError("the gateway is in trouble")
        self.replies.append((device, req_id, content))

    def get_config_path(self) -> str:
        return str(self.folder)


class Bench:
    def __init__(self, folder: Path, *names: str, audit: bool = False, **keys: Any) -> None:
        self.gateway = Gateway(folder)
        self.devices = [device(name, **keys) for name in names or ("M1",)]
        self.attributes: list[Any] = []
        self.telemetry: list[Any] = []
        self.meters = MetersInMemory()
        self.queued: list[Callable[[], None]] = []
        self.stopped = False
        for one in self.devices:
            self.meters.add(one)
        self.downlink = Downlink(
            self.gateway,
            "custom",
            self.devices,
            {one.device_name: DLMSDownlinkConverter(one, LOG) for one in self.devices},
            run=self.run,
            tell_attributes=lambda one, values: self.attributes.append((one.device_name, values)),
            tell_telemetry=lambda one, key, value: self.telemetry.append((key, value)),
            audit_telemetry=audit,
            log=LOG,
        )
        self.folder = folder

    def run(self, job: Callable[[], None]) -> bool:
        self.queued.append(job)
        return not self.stopped

    def call(self, method: str, params: Any = None, *, device: str = "M1", number: Any = 1) -> None:
        data = {"id": number, "method": method, "params": params}
        self.downlink.device_call({"device": device, "data": data, "id": number})

    async def work(self) -> None:
        """Do what was handed over to the loop."""
        self.downlink.start(self.meters, self.folder)
        queued, self.queued = self.queued, []
        for job in queued:
            job()
        for _ in range(30):
            await asyncio.sleep(0)


async def test_a_call_and_its_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readObject", VOLTS, number=7)
    bench.call("readObject", VOLTS, number=7)
    assert bench.gateway.replies == []
    await bench.work()
    ((name, number, content),) = bench.gateway.replies
    assert (name, number) == ("M1", 7)
    assert isinstance(content["result"], float | int)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"device": "M1"},
        {"device": "M1", "data": None},
        {"device": "M1", "data": []},
        {"device": "M1", "data": {"id": 3}},
        {"device": "M1", "data": {"id": 3, "method": 5}},
        {"device": "M1", "data": {"id": 3, "method": None}},
        {"device": "M1", "data": {"method": "readClock"}},
        {"device": "M1", "data": {"method": "readClock", "id": "x"}},
        {"device": "M1", "data": {"method": "readClock", "id": True}},
        {"device": ["M1"], "data": {"method": "readClock", "id": 3}},
        {"device": {"a": 1}, "data": {"method": "readClock", "id": 3}},
    ],
)
async def test_nonsense_is_answered_where_it_can_be(tmp_path: Path, content: Any) -> None:
    bench = Bench(tmp_path)
    bench.downlink.device_call(content)
    await bench.work()
    data = content.get("data")
    known = isinstance(data, dict) and data.get("id") == 3
    assert len(bench.gateway.replies) == known
    assert all("error" in content for _, _, content in bench.gateway.replies)


async def test_huge_parameters(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readObject", {"obis": "9" * 1_000_000}, number=1)
    bench.call("x" * 1_000_000, None, number=2)
    bench.call("writeObject", {**VOLTS, "value": [[[]]] * 100_000}, number=3)
    await bench.work()
    assert all(len(str(content)) < 1000 for _, _, content in bench.gateway.replies)
    assert len(bench.gateway.replies) == 3


async def test_before_there_are_meters(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readClock")
    bench.downlink.online("M1")
    for job in bench.queued:
        job()
    assert bench.gateway.replies == [
        ("M1", 1, {"error": "M1: the connector is starting; try again"})
    ]


async def test_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readClock", number=1)
    bench.downlink.close()
    bench.downlink.close()
    bench.call("readClock", number=2)
    await bench.work()
    assert bench.gateway.replies == [
        ("M1", 1, {"error": STOPPED}),
        ("M1", 2, {"error": STOPPED}),
    ]
    bench.stopped = True
    stopped = {"error": "the connector is stopped"}
    assert bench.downlink.connector_call({"method": "custom_readClock"}) == stopped


async def test_without_a_loop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stopped = True
    bench.call("readClock")
    assert bench.gateway.replies == [("M1", 1, {"error": f"M1: {STOPPED}"})]


async def test_an_answer_that_the_platform_missed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, allowWrite=True)
    bench.gateway.broken, bench.gateway.online = True, False
    bench.call("disconnectRelay")
    await bench.work()
    bench.gateway.broken, bench.gateway.online = False, True
    bench.call("disconnectRelay")
    bench.call("disconnectRelay")
    assert len(bench.gateway.replies) == 1
    assert len(bench.meters.jobs) == 1


@pytest.mark.parametrize(("size", "fits"), [(5000, True), (25_000, False)])
async def test_a_long_answer_is_whole_or_refused(tmp_path: Path, size: int, fits: bool) -> None:
    bench = Bench(tmp_path)
    (link,) = bench.meters.links.values()
    link.meter.put(1, "0-0:96.1.0", 2, octets(b"\xff" * size))
    bench.call("readObject", {"obis": "0-0:96.1.0", "class": "data"})
    await bench.work()
    ((_, _, content),) = bench.gateway.replies
    assert (content.get("result") == "FF" * size) is fits
    assert ("too much for one message" in content.get("error", "")) is not fits


async def test_parameters_nested_too_deeply(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deep: Any = []
    for _ in range(100_000):  # more than any Python follows in C
        deep = [deep]
    for number, params in enumerate((deep, {"obis": deep}, {**VOLTS, "x": deep})):
        bench.call("readObject", params, number=number)
    await bench.work()
    errors = [content["error"] for _, _, content in bench.gateway.replies]
    assert len(errors) == 3
    assert "M1: the parameters are nested too deeply" in errors


async def test_an_answer_too_large_for_a_message(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.call("readProfile", {"obis": "1-0:99.1.0", "last": 5000})
    await bench.work()
    ((_, _, content),) = bench.gateway.replies
    assert "too much for one message; ask for less" in content["error"]


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
    assert bench.downlink.connector_call({"method": None, "params": [1]})["result"]
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
    bench.downlink.start(bench.meters, bench.folder)
    answer = bench.downlink.connector_call({"method": "custom_readObject", "params": params})
    assert answer["result"]["accepted"] == ["M2"]
    await bench.work()
    ((name, values),) = bench.attributes
    assert name == "M2"
    assert values["dlmsLastCall"]["result"] > 200


async def test_a_method_that_no_device_has(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "M1")
    bench.downlink.start(bench.meters, bench.folder)
    answer = bench.downlink.connector_call({"method": "custom_readObjct", "params": {}})
    assert answer == {"error": "no such method: readObjct"}


async def test_what_changes_meters_is_not_done_to_all_by_leaving_out_the_device(
    tmp_path: Path,
) -> None:
    own = {"method": "cutOff", "requestType": "action", "obis": "0-0:96.3.10", "class": 70}
    bench = Bench(tmp_path, "M1", "M2", serverSideRpc=[own])
    bench.downlink.start(bench.meters, bench.folder)
    for method in ("disconnectRelay", "set", "activateImage", "cutOff"):
        answer = bench.downlink.connector_call({"method": f"custom_{method}", "params": {}})
        assert answer == {"error": f'{method}: name the `device`, or give "*" for all'}
    everyone = {"method": "custom_syncClock", "params": {"device": "*"}}
    assert bench.downlink.connector_call(everyone)["result"]["accepted"] == ["M1", "M2"]


@pytest.mark.parametrize(
    "content",
    [{}, {"device": "M1"}, {"data": {"limit": 1}}, {"device": "M1", "data": []},
     {"device": ["M1"], "data": {}}, {"device": "M1", "data": {}},
     {"device": "M9", "data": {"limit": 1}}, {"device": "M1", "data": {"deleted": ["limit"]}}],
)  # fmt: skip
async def test_shared_attributes_that_mean_nothing(tmp_path: Path, content: Any) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT])
    bench.downlink.attributes(content)
    await bench.work()
    assert bench.meters.jobs == []
    assert bench.attributes == []


async def test_shared_attributes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT], audit=True)
    assert bench.downlink.shared_keys("M1") == ["limit"]
    assert bench.downlink.shared_keys("renamed") == ["limit"]
    bench.downlink.attributes({"device": "M1", "data": {"limit": 4000, "other": 1}})
    await bench.work()
    assert bench.attributes == [("M1", {"limit": 4000, "dlmsLastWriteError": ""})]
    assert bench.telemetry == [
        (
            "dlmsAudit",
            "shared attribute limit: writing 0-0:17.0.0 attribute 4 (class 71): 9200 -> 4000: done",
        )
    ]


async def test_a_call_to_what_an_attribute_holds_lets_it_be_written_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attributeUpdates=[LIMIT])
    wanted = {"device": "M1", "data": {"limit": 4000}}
    bench.downlink.start(bench.meters, None)
    for step in (wanted, None, wanted):
        if step:
            bench.downlink.attributes(step)
        else:
            target = {"obis": "0-0:17.0.0", "class": 71, "attribute": 4}
            bench.call("writeObject", {**target, "value": 5})
        for job in bench.queued:
            job()
        bench.queued.clear()
        for _ in range(20):
            await asyncio.sleep(0)
    assert bench.meters.links["M1"].meter.value(71, b"\0\0\x11\0\0\xff", 4).value == 4000
