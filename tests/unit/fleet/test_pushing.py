"""Meters that push in a fleet: beside polls, between replies, and only."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress

import pytest

from dlms_connector.config import Device, PushListener
from dlms_connector.fleet.fleet import Fleet
from dlms_connector.fleet.pushing import PushesOnlyError
from dlms_connector.meter import Statistics
from dlms_connector.obis import Obis
from dlms_connector.reading import Reading
from dlms_connector.simulator import Meter, MeterOptions, push, simulate
from dlms_connector.simulator.serving import frame_notification
from tests.support.fake_meter import RecordingSink, device

LOG = logging.getLogger("test.fleet")
DEVICE_NAME = Obis.parse("0-0:42.0.0")
ENERGY = Obis.parse("1-0:1.8.0")
_SECONDS = 30.0


def readings(sink: RecordingSink, name: str, obis: Obis) -> list[Reading]:
    polls = [poll for _, poll in sink.polls.get(name, ())]
    return [one for poll in polls for one in poll.readings if one.obis == obis]


def pusher(name: str = "P1") -> Device:
    return Device.model_validate(
        {
            "deviceName": name,
            "connection": {"type": "push"},
            "push": {
                "peer": "127.0.0.1",
                "layouts": [
                    {
                        "objects": [
                            {"obis": "0-0:1.0.0", "class": "clock"},
                            {"obis": "0-0:42.0.0", "class": "data"},
                            {"obis": "1-0:1.8.0", "scaler": 0, "unit": "Wh"},
                        ]
                    }
                ],
            },
        }
    )


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_what_a_polled_meter_pushes_between_replies_is_taken(framing: str) -> None:
    """Its order is read from the push setup, its scalers are those of the polls."""
    options = MeterOptions(framing=framing, faults=["push-while-asked"])  # type: ignore[arg-type]
    async with simulate([options]) as (server,):
        connection = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 5000}
        dlms = {"interfaceType": framing}
        one = device("M1", connection=connection, dlms=dlms, pollPeriod=150)
        sink = RecordingSink()
        fleet = Fleet([one], sink, LOG)
        running = asyncio.ensure_future(fleet.run())

        def taken() -> bool:
            return len(readings(sink, "M1", DEVICE_NAME)) >= 3

        await asyncio.wait_for(sink.until(taken), _SECONDS)
        running.cancel()
        await asyncio.wait({running})
    energy = readings(sink, "M1", ENERGY)
    assert {(reading.key, reading.unit) for reading in energy} == {("1-0:1.8.0", "Wh")}
    assert sink.state_names("M1") == ["online"]


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
async def test_what_a_meter_pushes_between_two_polls_is_taken(framing: str) -> None:
    options = MeterOptions(framing=framing)  # type: ignore[arg-type]
    async with simulate([options]) as (server,):
        connection = {"host": "127.0.0.1", "port": server.port, "timeoutMs": 5000}
        dlms = {"interfaceType": framing}
        one = device("M1", connection=connection, dlms=dlms, pollPeriod=500)
        sink = RecordingSink()
        fleet = Fleet([one], sink, LOG)
        running = asyncio.ensure_future(fleet.run())
        end = asyncio.get_running_loop().time() + _SECONDS
        while not readings(sink, "M1", DEVICE_NAME):
            assert asyncio.get_running_loop().time() < end
            server.say(frame_notification(server.meter))
            await asyncio.sleep(0.3)
        running.cancel()
        await asyncio.wait({running})
    assert sink.state_names("M1") == ["online"]


async def test_a_meter_that_only_pushes() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    listener = PushListener(host="127.0.0.1", port=port, allow=("127.0.0.0/8",))
    sink = RecordingSink()
    fleet = Fleet([pusher()], sink, LOG, listeners=[listener])
    running = asyncio.ensure_future(fleet.run())
    assert fleet.state("P1") is None
    meter = Meter(MeterOptions(framing="WRAPPER"))
    end = asyncio.get_running_loop().time() + _SECONDS
    while not sink.polls:
        assert asyncio.get_running_loop().time() < end
        with suppress(OSError):  # it does not listen yet
            await push(meter, "127.0.0.1", port)
        await asyncio.sleep(0.02)
    assert fleet.state("P1") == "online"
    assert sink.state_names("P1") == ["online"]
    assert fleet.statistics("P1") == Statistics()
    fleet.reconnect("P1")
    fleet.refresh("P1", 3, ENERGY)
    with pytest.raises(PushesOnlyError, match="P1 only pushes"):
        await fleet.submit("P1", lambda client: client.get([]), timeout_s=1)
    running.cancel()
    await asyncio.wait({running})
    with pytest.raises(OSError):  # noqa: PT011 (whatever the system says)
        await push(meter, "127.0.0.1", port)
