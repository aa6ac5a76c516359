"""Requests that Gurux builds: right to the octet, quiet, and cheap the second time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dlms_connector.errors import CommandError
from dlms_connector.protocol.services import codec

CLOCK = bytes((0, 0, 1, 0, 0, 255))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("invoke_id", [0, 1, 15])
def test_get(invoke_id: int) -> None:
    request = codec.get_request(8, CLOCK, 2, invoke_id)
    assert request == h(f"C0 01 {0xC0 | invoke_id:02X} 00 08 00 00 01 00 00 FF 02 00")


@pytest.mark.parametrize("class_id", [1, 8, 70, 151, 9999, 0xFFFF])
def test_any_class(class_id: int) -> None:
    request = codec.get_request(class_id, bytes(6), 127, 1)
    assert request == h("C0 01 C1") + class_id.to_bytes(2, "big") + bytes(6) + h("7F 00")


def test_set() -> None:
    value = h("09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00")
    request = codec.set_request(8, CLOCK, 2, value, 3)
    assert request == h("C1 01 C3 00 08 00 00 01 00 00 FF 02 00") + value


def test_a_long_value_stays_whole() -> None:
    value = h("09 82 FF FF") + bytes(0xFFFF)
    assert codec.set_request(8, CLOCK, 2, value, 3)[13:] == value


def test_action() -> None:
    relay = bytes((0, 0, 96, 3, 10, 255))
    assert codec.action_request(70, relay, 1, h("0F 00"), 2) == h(
        "C3 01 C2 00 46 00 00 60 03 0A FF 01 01 0F 00"
    )
    assert codec.action_request(70, relay, 1, None, 2) == h(
        "C3 01 C2 00 46 00 00 60 03 0A FF 01 00"
    )


def test_selective_access() -> None:
    request = codec.get_request(8, CLOCK, 2, 1)
    assert codec.select(request, h("02 00")) == request[:-1] + h("01 02 00")


def test_what_gurux_will_not_build() -> None:
    with pytest.raises(CommandError, match="cannot be built"):
        codec.get_request(8, CLOCK, 0, 1)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    codec.get_request(12345, bytes(6), 3, 1)
    codec.set_request(12345, bytes(6), 3, b"\x00", 1)
    codec.action_request(12345, bytes(6), 3, b"\x00", 1)
    assert capfd.readouterr() == ("", "")


def test_gurux_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, dlms_connector.protocol.client as client;sys.exit('gurux_dlms' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
