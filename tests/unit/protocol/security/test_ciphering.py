"""AES-GCM as DLMS uses it, against the Green Book's sample and another implementation."""

from __future__ import annotations

import pytest
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums.Security import Security
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import ConfigError, ProtocolError, SecurityError
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
from dlms_connector.protocol.acse.initiate import InitiateRequest, InitiateResponse
from dlms_connector.protocol.security.ciphering import (
    AUTHENTICATED,
    ENCRYPTED,
    PROTECTIONS,
    CountUp,
    Keys,
)
from dlms_connector.protocol.security.protection import GLOBAL, Protection

TITLE = bytes.fromhex("4D4D4D0000BC614E")
COUNTER = 0x01234567
BLOCK = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AUTHENTICATION = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
PLAIN = bytes.fromhex("C0010000080000010000FF0200")
KEYS = Keys(0, BLOCK, AUTHENTICATION)
BOTH = AUTHENTICATED | ENCRYPTED
SUITES = {
    0: KEYS,
    1: Keys(1, BLOCK, AUTHENTICATION),
    2: Keys(2, BLOCK * 2, AUTHENTICATION * 2),
}

#: Green Book, the worked example of a glo-get-request for the time of the clock.
SAMPLE = {
    AUTHENTICATED: "10 01234567 C0010000080000010000FF0200 06725D910F9221D263877516",
    ENCRYPTED: "20 01234567 411312FF935A47566827C467BC",
    BOTH: "30 01234567 411312FF935A47566827C467BC 7D825C3BE4A77C3FCC056B6B",
}


@pytest.mark.parametrize("protection", SAMPLE)
def test_the_sample_of_the_green_book(protection: int) -> None:
    sealed = bytes.fromhex(SAMPLE[protection])
    assert KEYS.seal(protection, TITLE, COUNTER, PLAIN) == sealed
    unsealed = KEYS.unseal(TITLE, sealed, protection)
    assert (unsealed.control, unsealed.counter, unsealed.plain) == (protection, COUNTER, PLAIN)


#: Green Book, the worked example of opening and closing an association with LOW and a dedicated
#: key; both sides use the same title and counter there.
INITIATE_REQUEST = "01011000112233445566778899AABBCCDDEEFF0000065F1F0400007E1F04B0"
INITIATE_RESPONSE = "0800065F1F0400007C1F04000007"
AARQ = (
    "6066 A109060760857405080103 A60A04084D4D4D0000BC614E 8A020780 8B0760857405080201"
    "AC0A80083132333435363738 BE34 0432 2130 3001234567"
    "801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE68 41DB204D39EE6FDB8E356855"
)
AARE = (
    "6148 A109060760857405080103 A203020100 A305A103020100 A40A04084D4D4D0000BC614E"
    "BE23 0421 281F 3001234567 891214A0845E475714383F65BC19 745CA235906525E4F3E1C893"
)


def test_the_association_of_the_green_book() -> None:
    request = InitiateRequest.parse(bytes.fromhex(INITIATE_REQUEST))
    assert request.dedicated_key == bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    assert request.max_pdu == 1200
    client = Protection(KEYS, BOTH, TITLE, CountUp(COUNTER))
    ciphered = client.protect(request.encode(), GLOBAL)
    aarq = Aarq(Context.LN_CIPHERED, ciphered, Mechanism.LOW, b"12345678", TITLE)
    assert aarq.encode() == bytes.fromhex(AARQ)

    response = InitiateResponse.parse(bytes.fromhex(INITIATE_RESPONSE))
    aare = Aare.parse(bytes.fromhex(AARE))
    assert (aare.context, aare.result, aare.title) == (Context.LN_CIPHERED, 0, TITLE)
    assert aare.encode() == bytes.fromhex(AARE)
    assert aare.user_information is not None
    sealed = aare.user_information[2:]
    assert InitiateResponse.parse(KEYS.unseal(TITLE, sealed, BOTH).plain) == response

    released = encode_release(RLRQ, user_information=ciphered)
    assert released == bytes.fromhex("6239 800100 BE34 0432") + ciphered
    rlre = bytes.fromhex("6328 800100") + bytes.fromhex(AARE)[-37:]
    assert parse_release(rlre, RLRE) == aare.user_information


def theirs(suite: int, protection: int, counter: int, plain: bytes) -> bytes:
    """What gurux makes of it, without tag and length."""
    repeat = 2 if suite == 2 else 1
    parameter = AesGcmParameter(0xC8, bytearray(TITLE), BLOCK * repeat, AUTHENTICATION * repeat)
    parameter.security = Security(protection)
    parameter.securitySuite = suite
    parameter.invocationCounter = counter
    whole = bytes(GXDLMSChippering.encryptAesGcm(parameter, bytearray(plain)))
    header = 2 if whole[1] < 0x80 else 2 + (whole[1] & 0x7F)
    return whole[header:]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(SUITES)),
    st.sampled_from([AUTHENTICATED, ENCRYPTED, BOTH]),
    st.integers(0, 0xFFFFFFFF),
    st.binary(min_size=1, max_size=200),
)
def test_seals_as_gurux_does(suite: int, protection: int, counter: int, plain: bytes) -> None:
    sealed = SUITES[suite].seal(protection, TITLE, counter, plain)
    assert sealed == theirs(suite, protection, counter, plain)
    assert SUITES[suite].unseal(TITLE, sealed, protection).plain == plain


@settings(deadline=None)
@given(
    st.sampled_from([AUTHENTICATED, BOTH]),
    st.binary(max_size=60),
    st.integers(0, 10_000),
    st.integers(1, 255),
)
def test_not_a_bit_may_change(protection: int, plain: bytes, where: int, flip: int) -> None:
    sealed = bytearray(KEYS.seal(protection, TITLE, 7, plain))
    sealed[where % len(sealed)] ^= flip
    with pytest.raises(SecurityError):
        KEYS.unseal(TITLE, bytes(sealed), protection)


@pytest.mark.parametrize("protection", [AUTHENTICATED, BOTH])
def test_every_cut_is_noticed(protection: int) -> None:
    sealed = KEYS.seal(protection, TITLE, 7, PLAIN)
    for size in range(len(sealed)):
        with pytest.raises(ProtocolError):
            KEYS.unseal(TITLE, sealed[:size], protection)


def test_the_senders_title_is_part_of_the_seal() -> None:
    with pytest.raises(SecurityError, match="tag"):
        KEYS.unseal(b"SOMEBODY", KEYS.seal(BOTH, TITLE, 7, PLAIN), BOTH)


@pytest.mark.parametrize(
    ("agreed", "sent"),
    [
        (BOTH, AUTHENTICATED),
        (BOTH, ENCRYPTED),
        (AUTHENTICATED, ENCRYPTED),
        (ENCRYPTED, AUTHENTICATED),
    ],
)
def test_less_than_agreed(agreed: int, sent: int) -> None:
    with pytest.raises(SecurityError, match="less protected"):
        KEYS.unseal(TITLE, KEYS.seal(sent, TITLE, 7, PLAIN), agreed)


def test_more_than_agreed_is_welcome() -> None:
    assert KEYS.unseal(TITLE, KEYS.seal(BOTH, TITLE, 7, PLAIN), AUTHENTICATED).plain == PLAIN


def test_another_suite_than_agreed() -> None:
    with pytest.raises(SecurityError, match="suite 1 instead of 0"):
        KEYS.unseal(TITLE, SUITES[1].seal(BOTH, TITLE, 7, PLAIN), BOTH)


@pytest.mark.parametrize("control", [0x00, 0x31, 0x70, 0xB0])
def test_control_octets_that_were_not_agreed(control: int) -> None:
    sealed = bytes([control]) + KEYS.seal(BOTH, TITLE, 7, PLAIN)[1:]
    with pytest.raises(SecurityError):
        KEYS.unseal(TITLE, sealed, BOTH)


def test_a_nul_control_is_no_protection_even_if_none_was_agreed() -> None:
    with pytest.raises(SecurityError, match="less protected"):
        KEYS.unseal(TITLE, bytes(30), 0)


@pytest.mark.parametrize(("suite", "size"), [(0, 15), (1, 32), (2, 16)])
def test_keys_have_the_size_of_the_suite(suite: int, size: int) -> None:
    with pytest.raises(ConfigError) as caught:
        Keys(suite, bytes(size), bytes(size))
    assert len(caught.value.problems) == 2
    assert "blockCipherKey" in caught.value.problems[0]


def test_keys_do_not_show() -> None:
    assert repr(KEYS) == "<keys of suite 0>"


def test_names_of_protection() -> None:
    assert PROTECTIONS["AUTHENTICATION_ENCRYPTION"] == BOTH


def test_counting_up() -> None:
    counter = CountUp(5)
    counter.resync(3)
    assert counter.next() == 5
    counter.resync(10)
    counter.confirm()
    assert counter.next() == 10
