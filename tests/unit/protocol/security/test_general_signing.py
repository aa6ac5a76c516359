"""general-signing: who says what to whom, in answer to what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError, SecurityError
from dlms_connector.protocol.security.general_signing import Signed, Signing
from dlms_connector.protocol.security.signing import Signer
from tests.support.secured_meter import (
    CLIENT_NUMBER,
    CLIENT_TITLE,
    SERVER_NUMBER,
    SERVER_TITLE,
)

CLIENT_PAIR = derive_private_key(CLIENT_NUMBER, SECP256R1())
METER_PAIR = derive_private_key(SERVER_NUMBER, SECP256R1())
CLIENT = Signer(1, CLIENT_PAIR, METER_PAIR.public_key())
METER = Signer(1, METER_PAIR, CLIENT_PAIR.public_key())
GET = bytes.fromhex("C001C100080000010000FF0200")
VALUE = bytes.fromhex("C401C1000600003039")


def ask() -> tuple[Signing, Signed]:
    """Sign a request; return the client's side and what the meter reads."""
    signing = Signing(CLIENT, CLIENT_TITLE)
    signing.peer = SERVER_TITLE
    return signing, Signed.parse(signing.sign(GET), METER)


def test_there_and_back() -> None:
    signing, request = ask()
    assert (request.originator, request.recipient) == (CLIENT_TITLE, SERVER_TITLE)
    assert request.content == GET
    answer = Signed(request.transaction, SERVER_TITLE, CLIENT_TITLE, VALUE)
    assert signing.open(answer.encode(METER)) == VALUE


def test_what_it_looks_like() -> None:
    apdu = Signed(bytes(8), CLIENT_TITLE, SERVER_TITLE, GET).encode(CLIENT)
    fields = f"08{'00' * 8} 08{CLIENT_TITLE.hex()} 08{SERVER_TITLE.hex()} 00 00 0D{GET.hex()} 40"
    assert apdu[:-64] == bytes.fromhex("DF" + fields)


@pytest.mark.parametrize(
    "change",
    [
        {"transaction": b"12345678"},
        {"originator": b"SOMEBODY"},
        {"originator": CLIENT_TITLE},
        {"recipient": b"SOMEBODY"},
    ],
)
def test_answers_to_somebody_or_something_else(change: dict[str, bytes]) -> None:
    signing, request = ask()
    answer = replace(Signed(request.transaction, SERVER_TITLE, CLIENT_TITLE, VALUE), **change)
    with pytest.raises(SecurityError):
        signing.open(answer.encode(METER))


def test_our_own_request_is_no_answer() -> None:
    signing = Signing(CLIENT, CLIENT_TITLE)
    signing.peer = SERVER_TITLE
    with pytest.raises(SecurityError, match="signature"):
        signing.open(signing.sign(GET))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(1, 255), st.integers(0, 3))
def test_not_a_bit_may_change(where: int, flip: int, cut: int) -> None:
    signing, request = ask()
    apdu = bytearray(Signed(request.transaction, SERVER_TITLE, CLIENT_TITLE, VALUE).encode(METER))
    apdu[where % len(apdu)] ^= flip
    with pytest.raises(ProtocolError):
        signing.open(bytes(apdu[: len(apdu) - cut]))
