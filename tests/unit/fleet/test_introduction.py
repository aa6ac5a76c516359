"""What is asked of callers, and what it costs; `test_dial_in` meets them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import LinkTimeoutError, RefusedError
from dlms_connector.fleet.introduction import Introduction, StrangerError
from dlms_connector.link.dial_in_link import Call
from dlms_connector.protocol.client import Client, make_client
from dlms_connector.protocol.services.allowance import ASKED, POLLED, STRANGER
from dlms_connector.protocol.services.directory import Directory
from dlms_connector.state.counters import InvocationCounter, counter_of

LOG = logging.getLogger("test.introduction")


class Caller:
    """One who is connected and says nothing."""

    peer = "10.0.0.7"
    is_open = False

    async def open(self) -> None:
        pass

    def drain(self) -> bytes:
        return b""


class Mute(Caller):
    """One who takes what is sent and does not answer."""

    is_open = True
    bytes_in = bytes_out = 0

    def send(self, data: bytes) -> None:
        pass

    async def receive(self, deadline: float) -> bytes:
        raise LinkTimeoutError(1, 0)


async def test_a_first_talk_uses_no_number_twice(tmp_path: Path) -> None:
    """Neither again in the next call, nor one that the polls use."""
    device = Device.model_validate(
        {
            "deviceName": "M7",
            "connection": {"type": "listen", "port": 4059, "systemTitle": "53494D0000000001"},
            "dlms": {
                "interfaceType": "WRAPPER",
                "authentication": "HIGH_GMAC",
                "security": "AUTHENTICATION_ENCRYPTION",
                "systemTitle": "4D4D4D0000BC614E",
                "authenticationKey": "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
                "blockCipherKey": "000102030405060708090A0B0C0D0E0F",
            },
        }
    )
    numbers: list[int] = []

    def make_client(
        device: Device,
        counter: InvocationCounter | None = None,
        directory: Directory | None = None,
    ) -> Client:
        assert counter is not None
        numbers.append(counter.next())
        raise RefusedError("opening", "a test")

    polls = counter_of(device, tmp_path)
    assert polls is not None
    introduction = Introduction([device], make_client, LOG, tmp_path)
    for _ in range(3):
        numbers.append(polls.next())
        with pytest.raises(StrangerError, match="a test"):
            await introduction(cast("Call", Caller()))
    assert len(numbers) == 6
    assert numbers == sorted(set(numbers))


async def test_a_caller_may_say_the_least() -> None:
    """Whoever is not identified: neither the first talk nor the one for a counter takes more."""
    device = Device.model_validate(
        {
            "deviceName": "M7",
            "connection": {"type": "listen", "port": 4059, "serialNumber": "7"},
            "dlms": {"interfaceType": "WRAPPER"},
        }
    )
    made: list[Client] = []

    def make(
        device: Device,
        counter: InvocationCounter | None = None,
        directory: Directory | None = None,
    ) -> Client:
        made.append(make_client(device, counter, directory))
        return made[-1]

    introduction = Introduction([device], make, LOG)
    with pytest.raises(StrangerError):
        await introduction(cast("Call", Mute()))
    assert [client.allowance for client in made] == [STRANGER]
    values, octets = STRANGER.values, STRANGER.octets
    for other in (POLLED, ASKED):
        assert values < other.values
        assert octets < other.octets
