"""What is proposed and agreed inside AARQ and AARE."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.acse.conformance import BITS
from dlms_connector.protocol.acse.initiate import (
    SN_NAME,
    InitiateRequest,
    InitiateResponse,
    describe_service_error,
)

SERVICES = st.frozensets(st.sampled_from(sorted(BITS)))
RESPONSE = bytes.fromhex("08 00 06 5F1F0400 00301D 1900 0007")


@given(SERVICES, st.integers(0, 0xFFFF), st.none() | st.binary(min_size=16, max_size=16))
def test_requests_there_and_back(services: frozenset[str], size: int, key: bytes | None) -> None:
    request = InitiateRequest(services, size, key)
    assert InitiateRequest.parse(request.encode()) == request
    assert key is None or "dedicated" not in repr(request)


@given(SERVICES, st.integers(0, 0xFFFF))
def test_responses_there_and_back(services: frozenset[str], size: int) -> None:
    response = InitiateResponse(services, size, SN_NAME)
    assert InitiateResponse.parse(response.encode()) == response


def test_a_meters_response() -> None:
    response = InitiateResponse.parse(RESPONSE)
    assert (response.max_pdu, response.vaa_name, response.dlms_version) == (0x1900, 7, 6)
    assert "get" in response.conformance


def test_optional_fields() -> None:
    with_quality = b"\x08\x01\x00" + RESPONSE[2:]
    short_tag = RESPONSE.replace(b"\x5f\x1f", b"\x5f")
    for form in (with_quality, short_tag):
        assert InitiateResponse.parse(form) == InitiateResponse.parse(RESPONSE)
    full = bytes.fromhex("01 00 0100 0105 06 5F1F0400007E1F 04B0")
    assert InitiateRequest.parse(full).max_pdu == 0x4B0


@pytest.mark.parametrize(
    "apdu", ["", "08", "09", "08 02", "08 00 06 5E", "08 00 06 5F1F03 000030 1900 0007"]
)
def test_nonsense(apdu: str) -> None:
    with pytest.raises(ProtocolError):
        InitiateResponse.parse(bytes.fromhex(apdu))


def test_every_cut_and_every_surplus_is_noticed() -> None:
    for size in range(len(RESPONSE)):
        with pytest.raises(ProtocolError):
            InitiateResponse.parse(RESPONSE[:size])
    with pytest.raises(ProtocolError, match="1 octets too many"):
        InitiateResponse.parse(RESPONSE + b"\0")


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_noise(apdu: bytes) -> None:
    for parse in (InitiateRequest.parse, InitiateResponse.parse, describe_service_error):
        try:
            parse(apdu)
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    ("apdu", "words"),
    [
        ("0E 01 06 01", "initiate: dlms-version-too-low"),
        ("0E 05 00 06", "application-reference: deciphering-error"),
        ("0E 05 05 09", "access: 9"),
        ("0E 05 63 01", "service error 99: 1"),
    ],
)
def test_service_errors_in_words(apdu: str, words: str) -> None:
    assert describe_service_error(bytes.fromhex(apdu)) == words
