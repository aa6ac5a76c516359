"""What is asked of callers, and what it costs; `test_dial_in` meets them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import pytest

from dlms_connector.config.model import Device
from dlms_connector.errors import RefusedError
from dlms_connector.fleet.introduction import Introduction, StrangerError
from dlms_connector.link.dial_in_link import Call
from dlms_connector.protocol.client import Client
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
