"""Pushes that arrive between two polls."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config import Device
from dlms_connector.meter.unread import unread_of
from dlms_connector.protocol.data import structure
from tests.support.pushes import data_notification, general_glo, hdlc, obis, u32, wrapped

APDU = data_notification(structure(obis("1-0:1.8.0"), u32(5)))
CIPHERED = general_glo(APDU, b"MMM\0\0\0\0\1", 4)
ANSWER = b"\xc4\x01\xc1\x00\x11\x05"


def taken(octets: bytes, **dlms: Any) -> list[bytes]:
    device = Device.model_validate(
        {"deviceName": "m", "connection": {"host": "h"}, "dlms": {"interfaceType": "HDLC", **dlms}}
    )
    found: list[bytes] = []
    unread_of(device, found.append)(octets)
    return found


def test_pushes_among_other_things() -> None:
    line = b"RING\r\n" + hdlc(APDU, size=9) + hdlc(ANSWER) + hdlc(CIPHERED)
    assert taken(line) == [APDU, CIPHERED]
    assert taken(wrapped(APDU) + wrapped(ANSWER), interfaceType="WRAPPER") == [APDU]


def test_what_may_be_an_answer_is_none() -> None:
    assert taken(hdlc(CIPHERED), generalCiphering=True) == []


@pytest.mark.parametrize("octets", [b"", b"NO CARRIER", bytes(500), b"\0\1\0\1\0\1\0\0" + APDU])
@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
def test_noise(octets: bytes, framing: str) -> None:
    assert taken(octets, interfaceType=framing) == []
