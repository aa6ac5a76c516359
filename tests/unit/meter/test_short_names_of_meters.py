"""Meters with short names: a long object list on a slow line, and what is kept of it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import LinkTimeoutError
from dlms_connector.meter import Outcome, wanted
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Meter as SimulatedMeter
from dlms_connector.simulator import MeterOptions
from dlms_connector.simulator.services.short_name_map import base_names
from dlms_connector.state import ShortNameFile, short_names_of
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on

LOG = logging.getLogger("test.names")
MANY = {
    f"1-0:{c}.{d}.{e}": {
        "class": "register",
        "attributes": {"2": {"type": "double-long-unsigned", "value": e}},
    }
    for c in (101, 102, 103, 104, 105, 106, 107, 108)
    for d in (8, 9, 10, 11)
    for e in range(10)
}


def device(**more: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {"host": "h", "timeoutMs": 1500, "retries": 1},
            "dlms": {"referencing": "SN"},
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0", **more}],
        }
    )


class Bench:
    """A slow meter: each frame takes 0.7 s, and its list is longer than a poll may take."""

    def __init__(self, configured: Device, names: ShortNameFile | None = None, **more: Any) -> None:
        delay = more.pop("delay", 0.7)
        self.simulated = SimulatedMeter(
            MeterOptions(
                referencing="SN",
                hold_at=1_790_000_000,
                overrides=MANY,
                faults={"delay": delay},
                monotonic=lambda: asyncio.get_running_loop().time(),
                **more,
            )
        )
        self.link = SimulatedLink(self.simulated)
        self.device = configured
        self.meter = meter_on(configured, self.link, short_names=names)

    async def poll(self) -> Outcome:
        return await self.meter.poll(wanted(self.device))


def good(outcome: Outcome) -> bool:
    return not outcome.error and not outcome.poll.failures and len(outcome.poll.readings) == 1


def test_a_list_that_takes_longer_than_a_poll_is_read_to_its_end() -> None:
    async def test() -> None:
        bench = Bench(device())
        begun = asyncio.get_running_loop().time()
        assert good(await bench.poll())
        assert asyncio.get_running_loop().time() - begun > 30
        assert bench.link.opened == 1
        before = bench.link.sent
        assert good(await bench.poll())
        assert bench.link.sent - before == 1  # neither the list nor the scaler again
        await bench.meter.session.release()

    fake_time.run(test())


def test_a_list_that_takes_longer_than_a_poll_is_read_in_blocks_too() -> None:
    async def test() -> None:
        bench = Bench(device(), max_pdu=128)
        assert good(await bench.poll())
        await bench.meter.session.release()

    fake_time.run(test())


def test_a_meter_that_stops_in_the_middle_of_its_list_is_noticed_by_the_usual_timeout() -> None:
    async def test() -> None:
        bench = Bench(device())
        loop = asyncio.get_running_loop()
        loop.call_later(20, bench.simulated.faults.set, "silence")
        outcome = await bench.poll()
        assert isinstance(outcome.error, LinkTimeoutError)
        assert loop.time() < 60

    fake_time.run(test())


def test_a_call_learns_the_list_although_it_has_not_the_time_to_wait_for_it() -> None:
    def read(client: Client) -> Talk[Any]:
        return client.get([AttributeRef(3, Obis.parse("1-0:1.8.0"), 2)])

    async def test() -> None:
        bench = Bench(device())
        try:
            await bench.meter.run(read, timeout_s=10)
        except LinkTimeoutError:
            pass
        else:
            raise AssertionError("it had 10 s only")
        (value,) = await bench.meter.run(read, timeout_s=10)
        assert isinstance(value, Data)
        assert bench.link.opened == 1
        await bench.meter.session.release()

    fake_time.run(test())


def test_with_a_configured_base_name_the_list_is_not_read() -> None:
    async def test() -> None:
        plain = Bench(device(), delay=0)
        assert good(await plain.poll())
        names = base_names(plain.simulated)
        energy, export = (
            names[3, bytes((1, 0, 1, 8, 0, 255))],
            names[3, bytes((1, 0, 2, 8, 0, 255))],
        )
        bench = Bench(device(baseName=energy))
        begun = asyncio.get_running_loop().time()
        assert good(await bench.poll())
        assert asyncio.get_running_loop().time() - begun < 10
        assert bench.link.sent < 10
        wrong = Bench(device(baseName=f"0x{export:04X}"))
        outcome = await wrong.poll()
        assert good(outcome)
        assert outcome.poll.readings[0].value == (await plain.poll()).poll.readings[0].value

    fake_time.run(test())


async def test_names_are_kept_over_a_restart_and_proved(tmp_path: Path) -> None:
    file = short_names_of(device(), tmp_path, LOG)
    first = Bench(device(), file, delay=0)
    outcome = await first.poll()
    assert good(outcome)
    await first.meter.session.release()
    again = Bench(device(), short_names_of(device(), tmp_path, LOG), delay=0)
    assert good(await again.poll())
    assert again.link.sent < 10  # SNRM, AARQ, the proof, value and scaler
    await again.meter.session.release()
    # Another meter, with other names, is at the same address now.
    assert file is not None
    names, versions = file.load()
    file.save({object_: base ^ 0x0140 for object_, base in names.items()}, versions)
    other = Bench(device(), short_names_of(device(), tmp_path, LOG), delay=0)
    found = await other.poll()
    assert good(found)
    assert found.poll.readings[0].value == outcome.poll.readings[0].value
    assert file.load()[0] == names
    await other.meter.session.release()


class Doubling(SimulatedLink):
    """A link on which now and then an earlier answer comes once more, before the right one."""

    def __init__(self, *meters: SimulatedMeter) -> None:
        super().__init__(*meters)
        self.numbers: set[int] = set()
        self._last, self._late = b"", b""

    def send(self, data: bytes) -> None:
        super().send(data)
        if self.sent in self.numbers:
            self._late = self._last

    async def receive(self, deadline: float) -> bytes:
        if self._late:
            data, self._late = self._late, b""
            return data
        self._last = await super().receive(deadline)
        return self._last


def test_an_earlier_answer_that_comes_once_more_gives_no_wrong_value() -> None:
    """Over the wrapper nothing tells answers by short name apart but their order."""

    async def test(number: int) -> None:
        two = [{"key": f"e{e}", "obis": f"1-0:101.8.{e}"} for e in range(1, 6)]
        configured = Device.model_validate(
            {
                "deviceName": "M1",
                "connection": {"host": "h", "timeoutMs": 1500, "retries": 1},
                "dlms": {"referencing": "SN", "interfaceType": "WRAPPER"},
                "timeseries": [{"scaler": 0, "unit": "Wh", **one} for one in two],
                "workarounds": {"singleReads": True},
            }
        )
        bench = Bench(configured, framing="WRAPPER", delay=0.1)
        bench.link = link = Doubling(bench.simulated)
        bench.meter = meter_on(configured, link, now_ms=lambda: 0)
        assert not (await bench.poll()).error
        link.numbers = {link.sent + number}
        for _ in range(3):
            outcome = await bench.poll()
            for reading in outcome.poll.readings:
                assert reading.value == int(reading.key[1:]), reading
        await bench.meter.session.hang_up()

    for number in range(1, 5):
        fake_time.run(test(number))
