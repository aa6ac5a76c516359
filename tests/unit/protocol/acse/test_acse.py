"""AARQ and AARE, also as another client writes them."""

from __future__ import annotations

import pytest
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.secure import GXDLMSSecureClient
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.acse.acse import (
    RLRE,
    RLRQ,
    Aare,
    Aarq,
    Context,
    Mechanism,
    encode_release,
    parse_release,
)
from dlms_connector.protocol.acse.initiate import InitiateRequest
from dlms_connector.protocol.security.ciphering import PROTECTIONS, CountUp, Keys
from dlms_connector.protocol.security.protection import GLOBAL, Protection
from tests.support.secured_meter import CLIENT_TITLE, authentication_key, block_key

CHALLENGE = b"0123456789ABCDEF"
ALL = "AUTHENTICATION_ENCRYPTION"


def theirs(mechanism: str, security: str, by_logical_name: bool) -> bytes:
    client = GXDLMSSecureClient(
        by_logical_name, 1, 1, Authentication[mechanism], "Gurux123", InterfaceType.PDU
    )
    client.ciphering.systemTitle = CLIENT_TITLE
    client.ciphering.blockCipherKey = block_key(0)
    client.ciphering.authenticationKey = authentication_key(0)
    client.ciphering.invocationCounter = 77
    client.ciphering.security = Security[security]
    client.settings.useCustomChallenge = True
    client.settings.ctoSChallenge = bytearray(CHALLENGE)
    (apdu,) = client.aarqRequest()
    return bytes(apdu)


@pytest.mark.parametrize("mechanism", ["NONE", "LOW", "HIGH_MD5", "HIGH_GMAC", "HIGH_SHA256"])
@pytest.mark.parametrize("security", ["NONE", "AUTHENTICATION", ALL])
@pytest.mark.parametrize("by_logical_name", [True, False])
def test_as_gurux(mechanism: str, security: str, by_logical_name: bool) -> None:
    other = theirs(mechanism, security, by_logical_name)
    number = Mechanism[mechanism]
    read = Aarq.parse(other)
    ciphered = security != "NONE"
    context = Context(1 + (not by_logical_name) + 2 * ciphered)
    keys = Keys(0, block_key(0), authentication_key(0))
    information = read.user_information
    if ciphered:
        meter = Protection(keys, PROTECTIONS[security], b"SERVER01", CountUp())
        meter.peer = CLIENT_TITLE
        information = meter.unprotect(information)
        request = InitiateRequest.parse(information)
        client = Protection(keys, PROTECTIONS[security], CLIENT_TITLE, CountUp(77))
        information = client.protect(request.encode(), GLOBAL)
    proof = {0: None, 1: b"Gurux123"}.get(number, CHALLENGE)
    titled = ciphered or mechanism in ("HIGH_GMAC", "HIGH_SHA256")
    title = CLIENT_TITLE if titled else None
    expected = Aarq(context, information, number or None, proof, title)
    if read.mechanism == 0:
        # Where it ciphers without authentication, gurux names the lowest level; we name none.
        assert read.mechanism == Mechanism.NONE
    else:
        assert expected.encode() == other


@given(
    st.sampled_from(Context),
    st.binary(max_size=80),
    st.none() | st.sampled_from(Mechanism),
    st.none() | st.binary(max_size=64),
    st.none() | st.binary(min_size=8, max_size=8),
)
def test_requests_there_and_back(
    context: Context,
    information: bytes,
    mechanism: Mechanism | None,
    proof: bytes | None,
    title: bytes | None,
) -> None:
    aarq = Aarq(context, information, mechanism, proof, title)
    assert Aarq.parse(aarq.encode()) == aarq


@given(
    st.none() | st.sampled_from(Context),
    st.integers(0, 2),
    st.integers(0, 14),
    st.booleans(),
    st.none() | st.binary(max_size=64),
    st.none() | st.binary(max_size=80),
)
def test_answers_there_and_back(
    context: Context | None,
    result: int,
    diagnostic: int,
    by_provider: bool,
    challenge: bytes | None,
    information: bytes | None,
) -> None:
    aare = Aare(
        context,
        result,
        diagnostic,
        by_provider,
        title=b"SERVER01",
        mechanism=Mechanism.HIGH_MD5,
        challenge=challenge,
        user_information=information,
    )
    assert Aare.parse(aare.encode()) == aare


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "A203020100 A203020100",
        "A20302010000",
        "A204 02020000",
        "A203040100",
        "A203020100 A305A403020100",
        "A203020100 A10906076085740508 0201",
        "A203020100 A10806066085740508 01",
        "A203020100 AA02 8100",
        "A203020100 BE00",
    ],
)
def test_answers_that_make_no_sense(fields: str) -> None:
    content = bytes.fromhex(fields)
    with pytest.raises(ProtocolError):
        Aare.parse(bytes([0x61, len(content)]) + content)


def test_requests_that_make_no_sense() -> None:
    for apdu in ("", "60", "6000", "61 00", "60 0B A109060760857405080101"):
        with pytest.raises(ProtocolError):
            Aarq.parse(bytes.fromhex(apdu))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_noise(content: bytes) -> None:
    for tag, parse in ((0x60, Aarq.parse), (0x61, Aare.parse)):
        for apdu in (content, bytes([tag, len(content)]) + content):
            try:
                parse(apdu)
            except ProtocolError:
                continue


def test_words() -> None:
    assert Aare(1, 1, 3).words == "rejected-permanent, calling-AP-title-not-recognized"
    assert Aare(1, 2, 2, True).words == "rejected-transient, no-common-acse-version"
    assert Aare(1, 9, 99).words == "result 9, diagnostic 99"


def test_secrets_do_not_show() -> None:
    assert "Gurux" not in repr(Aarq(1, b"Gurux", 1, b"Gurux123"))


def test_releases() -> None:
    assert encode_release(RLRQ) == bytes.fromhex("6203800100")
    assert parse_release(encode_release(RLRE, 0, b"info"), RLRE) == b"info"
    with pytest.raises(ProtocolError):
        parse_release(b"\xd8\x01\x01", RLRE)
