"""Switching a simulated meter's relay in each of its control modes."""

from __future__ import annotations

import pytest

from dlms_connector.simulator.encoding.data import boolean, enum
from dlms_connector.simulator.objects.cosem_object import DENIED, AccessError
from tests.support.commands import Desk, device

STATE = {"outputState": True, "controlState": "connected", "controlMode": 2}
OFF = {"outputState": False, "controlState": "disconnected", "controlMode": 2}


def desk(mode: int = 2) -> Desk:
    one = Desk()
    one.meter.put(70, "0-0:96.3.10", 4, enum(mode))
    return one


async def test_off_and_on_again() -> None:
    one = desk()
    assert await one.result("getRelayState") == STATE
    assert await one.result("disconnectRelay") == OFF
    assert await one.result("disconnectRelay") == OFF
    assert await one.result("getRelayState", {"obis": "0-0:96.3.10"}) == OFF
    assert await one.result("reconnectRelay", "obis=0-0:96.3.10;") == STATE
    assert [event.sentence for event in one.events] == [
        f'call 1 disconnectRelay: disconnecting the relay: "{before}" -> '
        '{"outputState": false, "controlState": "disconnected", "controlMode": 2}: done'
        for before in ("connected", "disconnected")
    ] + [
        'call 1 reconnectRelay: reconnecting the relay: "disconnected" -> '
        '{"outputState": true, "controlState": "connected", "controlMode": 2}: done'
    ]


@pytest.mark.parametrize("mode", [1, 3, 5, 6])
async def test_somebody_has_to_come_to_the_meter(mode: int) -> None:
    one = desk(mode)
    await one.result("disconnectRelay")
    assert await one.result("reconnectRelay") == {
        "outputState": False,
        "controlState": "readyForReconnection",
        "controlMode": mode,
        "note": "somebody has to close the relay at the meter",
    }


async def test_a_relay_that_cannot_be_switched() -> None:
    one = desk(0)
    error = await one.error("disconnectRelay")
    assert error.endswith("the control mode is 0, in which the relay cannot be switched")
    assert "read-write-denied" in error
    assert '"connected" -> "disconnected": failed: disconnecting' in one.events[0].sentence


async def test_a_meter_that_does_nothing_is_found_out() -> None:
    one = desk(4)
    one.meter.put(70, "0-0:96.3.10", 3, enum(1))
    error = await one.error("disconnectRelay")
    assert "the meter accepted the command, but the relay is connected" in error
    assert error.endswith("the control mode is 4")


async def test_a_meter_without_a_relay() -> None:
    one = desk()
    error = await one.error("disconnectRelay", {"obis": "0-0:96.3.11"})
    assert "object-undefined" in error


async def test_only_the_relay_may_be_allowed() -> None:
    one = Desk((device(allowWrite=["0-0:96.3.10"]),))
    assert (await one.result("disconnectRelay"))["controlState"] == "disconnected"
    assert "does not allow writing" in await one.error("disconnectRelay", {"obis": "0-0:96.3.11"})


async def test_what_the_meter_keeps_back_is_no_failure_of_the_switching() -> None:
    one = desk()
    one.meter.put(70, "0-0:96.3.10", 3, AccessError(DENIED))
    assert await one.result("disconnectRelay") == {**OFF, "controlState": None}
    assert one.events[0].sentence.endswith(": done")
    assert (await one.result("reconnectRelay"))["outputState"] is True
    one.meter.put(70, "0-0:96.3.10", 2, boolean(True))
    assert "but the relay is connected" in await one.error("disconnectRelay")
    one.meter.put(70, "0-0:96.3.10", 2, AccessError(DENIED))
    told = await one.result("disconnectRelay")
    assert "accepted the command and does not tell its state: reading 0-0:96.3.10" in told["note"]
    assert "read-write-denied (3)" in await one.error("getRelayState")


async def test_a_refusal_by_a_meter_that_keeps_its_control_mode_back() -> None:
    one = desk()
    one.meter.put(70, "0-0:96.3.10", 4, AccessError(DENIED))
    error = await one.error("disconnectRelay")
    assert error.endswith("read-write-denied (3); the meter does not tell its control mode")


async def test_an_exception_is_a_refusal_too() -> None:
    one = desk(0)
    one.meter.faults.set("exception")
    error = await one.error("disconnectRelay")
    assert "M1: invoking 0-0:96.3.10 method 1 (class 70): " in error
    assert "failed: invoking" in one.events[0].sentence
