"""Our associations with the simulated meter, which was written apart from them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, derive_private_key

from dlms_connector.config.model import Workarounds
from dlms_connector.errors import CounterError, RefusedError, SecurityError
from dlms_connector.protocol.association.association import Association
from dlms_connector.protocol.security.ciphering import CountUp
from dlms_connector.protocol.security.signing import write_public_key
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.services.session import Session
from tests.support.secured_meter import (
    CLIENT_NUMBER,
    SECRET,
    SERVER_NUMBER,
    Line,
    authentication_key,
    block_key,
    finish,
    secured,
)

ALL = "AUTHENTICATION_ENCRYPTION"
HIGH = ["HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA"]
LN_GET = bytes.fromhex("C001C10008 0000010000FF 02 00")
SN_READ = bytes.fromhex("05 01 02 FA00")


def meet(faults: tuple[str, ...] = (), counter: CountUp | None = None, **fields: Any) -> Any:
    suite = fields.get("security_suite", 0)
    curve = SECP384R1() if suite == 2 else SECP256R1()
    client, server = (derive_private_key(n, curve) for n in (CLIENT_NUMBER, SERVER_NUMBER))
    if fields.get("authentication") == "HIGH_ECDSA":
        fields["signing_key"] = CLIENT_NUMBER.to_bytes(48 if suite == 2 else 32, "big")
        fields["server_signing_key"] = write_public_key(server.public_key())
    dlms = secured(**{"password": SECRET[:16], **fields})
    options = MeterOptions(
        framing="WRAPPER",
        referencing=dlms.referencing,
        client_address=1,
        authentication=dlms.authentication,
        password=SECRET[:16],
        security=dlms.security,
        security_suite=dlms.security_suite,
        block_cipher_key=block_key(suite),
        authentication_key=authentication_key(suite),
        signing_key=server,
        client_verifying_key=client.public_key(),
        faults=faults,
    )
    meter = Meter(options)
    session = Session(meter)
    line = Line(lambda apdu: session.answer(apdu, 1) or b"")
    return Association(dlms, Workarounds(), counter or CountUp(5000)), line, meter


def ask(mine: Association, line: Line, request: bytes = LN_GET) -> bytes:
    return mine.unprotect(finish(line.exchange(mine.protect(request))))


@pytest.mark.parametrize("mechanism", ["NONE", "LOW", *HIGH])
@pytest.mark.parametrize("security", ["NONE", "AUTHENTICATION", "ENCRYPTION", ALL])
@pytest.mark.parametrize("referencing", ["LN", "SN"])
def test_every_mechanism_and_protection(mechanism: str, security: str, referencing: str) -> None:
    mine, line, meter = meet(authentication=mechanism, security=security, referencing=referencing)
    finish(mine.open(line))
    request = LN_GET if referencing == "LN" else SN_READ
    assert ask(mine, line, request)[:1] == (b"\xc4" if referencing == "LN" else b"\x0c")
    finish(mine.close(line))
    assert line.said[-1][0] == 0x63
    assert meter.seen["refused"] == meter.seen["forged"] == meter.seen["replayed"] == 0


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("dedicated", [False, True])
@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("mechanism", ["HIGH_GMAC", "HIGH_ECDSA"])
def test_suites_and_forms(suite: int, dedicated: bool, general: bool, mechanism: str) -> None:
    mine, line, _ = meet(
        authentication=mechanism,
        security=ALL,
        security_suite=suite,
        general_ciphering=general,
        dedicated_key=block_key(suite) if dedicated else None,
    )
    for _ in range(2):
        finish(mine.open(line))
        assert ask(mine, line)[:4] == bytes.fromhex("C401C100")
        finish(mine.close(line))


def test_the_counter_catches_up_with_the_meter() -> None:
    mine, line, meter = meet(authentication="HIGH_GMAC", security=ALL, counter=CountUp(1))
    meter.received_counter = 100_000
    with pytest.raises((CounterError, RefusedError)) as caught:
        finish(mine.open(line))
    assert "dlms.invocationCounter" in caught.value.hint


@pytest.mark.parametrize("fault", ["plain-replies", "bad-tag", "replayed-counter"])
def test_what_is_not_to_be_believed(fault: str) -> None:
    mine, line, _ = meet((fault,), authentication="HIGH_GMAC", security=ALL)
    with pytest.raises(SecurityError):
        finish(mine.open(line))


def test_a_meter_that_does_not_know_the_secret() -> None:
    mine, line, _ = meet(("wrong-server-challenge",), authentication="HIGH_SHA256")
    with pytest.raises(SecurityError, match="wrong"):
        finish(mine.open(line))


def test_a_counter_that_must_begin_at_one() -> None:
    mine, line, _ = meet(("counter-from-one",), security=ALL, counter=CountUp(1))
    finish(mine.open(line))
    assert ask(mine, line)[:4] == bytes.fromhex("C401C100")
