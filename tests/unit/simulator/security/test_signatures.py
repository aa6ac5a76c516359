"""Signed requests and replies of the simulated meter."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from dlms_connector.simulator.encoding.data import Reader
from dlms_connector.simulator.security import example_keys
from dlms_connector.simulator.services.session import Session
from tests.support.simulated import ask, make_meter, open_session, reference

VOLTAGE = b"\xc0\x01\xc1" + reference(3, "1-0:32.7.0", 2) + b"\x00"
CLIENT, METER = b"CLIENT01", b"SIM\x00\x00\x00\x00\x01"
ALGORITHMS: dict[int, Any] = {1: ec.ECDSA(hashes.SHA256()), 2: ec.ECDSA(hashes.SHA384())}
SIZES = {1: 32, 2: 48}


def signed(suite: int, content: bytes, recipient: bytes = METER) -> bytes:
    text = b"\x01\x07\x08" + CLIENT + bytes((len(recipient),)) + recipient + b"\x00\x00"
    text += bytes((len(content),)) + content
    numbers = decode_dss_signature(example_keys.client_key(suite).sign(text, ALGORITHMS[suite]))
    signature = b"".join(number.to_bytes(SIZES[suite], "big") for number in numbers)
    return b"\xdf" + text + bytes((len(signature),)) + signature


def session_of(suite: int) -> Session:
    return open_session(make_meter(signed_requests=True, security_suite=suite))


@pytest.mark.parametrize("suite", [1, 2])
def test_a_signed_request_has_a_signed_reply(suite: int) -> None:
    reply = ask(session_of(suite), signed(suite, VOLTAGE))
    reader = Reader(reply[1:])
    assert [reader.string() for _ in range(5)] == [b"\x07", METER, CLIENT, b"", b""]
    assert reader.string().startswith(b"\xc4\x01\xc1\x00\x12")
    text, signature = reply[1 : len(reply) - reader.left], reader.string()
    size = SIZES[suite]
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    key = example_keys.meter_key(suite).public_key()
    key.verify(encode_dss_signature(r, s), text, ALGORITHMS[suite])


def test_what_is_not_signed_well_is_refused() -> None:
    session = session_of(1)
    assert ask(session, VOLTAGE) == b"\xd8\x01\x03"
    good = signed(1, VOLTAGE)
    assert ask(session, good[:-1] + bytes((good[-1] ^ 1,))) == b"\xd8\x01\x05"
    assert ask(session, good + b"\x00") == b"\xd8\x01\x05"
    assert ask(session, signed(1, VOLTAGE, b"SOMEBODY")) == b"\xd8\x01\x05"
