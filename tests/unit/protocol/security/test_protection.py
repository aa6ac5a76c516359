"""Which APDUs are ciphered how, and which replies are believed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import CounterError, DlmsError, ProtocolError, SecurityError
from dlms_connector.protocol.security.ciphering import AUTHENTICATED, ENCRYPTED, CountUp, Keys
from dlms_connector.protocol.security.protection import (
    CIPHERED,
    DEDICATED,
    GLOBAL,
    Protection,
    is_ciphered,
)
from tests.support.secured_meter import (
    CLIENT_TITLE,
    SERVER_TITLE,
    authentication_key,
    block_key,
)

BOTH = AUTHENTICATED | ENCRYPTED
GET = bytes.fromhex("C001C100080000010000FF0200")
VALUE = bytes.fromhex("C401C1000600003039")
OTHER_KEY = bytes(range(0x40, 0x50))


def pair(protection: int = BOTH) -> tuple[Protection, Protection]:
    keys = Keys(0, block_key(0), authentication_key(0))
    client = Protection(keys, protection, CLIENT_TITLE, CountUp())
    meter = Protection(keys, protection, SERVER_TITLE, CountUp())
    client.peer, meter.peer = SERVER_TITLE, CLIENT_TITLE
    return client, meter


def dedicated(*sides: Protection) -> None:
    for side in sides:
        side.use_dedicated(Keys(0, OTHER_KEY, authentication_key(0)))


@pytest.mark.parametrize("protection", [AUTHENTICATED, ENCRYPTED, BOTH])
@pytest.mark.parametrize("with_dedicated", [False, True])
@pytest.mark.parametrize("general", [False, True])
def test_there_and_back(protection: int, with_dedicated: bool, general: bool) -> None:
    client, meter = pair(protection)
    client.general = meter.general = general
    if with_dedicated:
        dedicated(client, meter)
    request = client.protect(GET)
    tags = {(False, False): 0xC8, (True, False): 0xD0, (False, True): 0xDB, (True, True): 0xDC}
    assert request[0] == tags[with_dedicated, general]
    assert is_ciphered(request)
    assert meter.unprotect(request) == GET
    assert client.unprotect(meter.protect(VALUE)) == VALUE


@pytest.mark.parametrize(
    ("plain", "ciphered"),
    [
        (0x01, 0x21), (0x05, 0x25), (0x06, 0x26), (0x08, 0x28), (0x0C, 0x2C), (0x0D, 0x2D),
        (0x0E, 0x2E), (0x16, 0x36), (0x18, 0x38), (0xC0, 0xC8), (0xC1, 0xC9), (0xC2, 0xCA),
        (0xC3, 0xCB), (0xC4, 0xCC), (0xC5, 0xCD), (0xC7, 0xCF),
    ],
)  # fmt: skip
def test_tags_of_the_global_key(plain: int, ciphered: int) -> None:
    assert CIPHERED[GLOBAL][plain] == ciphered


def test_tags_of_the_dedicated_key() -> None:
    chosen = {plain: CIPHERED[DEDICATED][plain] for plain in (0x05, 0x0C, 0xC0, 0xC4, 0xC7)}
    assert chosen == {0x05: 0x45, 0x0C: 0x4C, 0xC0: 0xD0, 0xC4: 0xD4, 0xC7: 0xD7}


def test_what_an_rlrq_carries_is_ciphered_as_in_the_aarq() -> None:
    client, _ = pair()
    client.general = True
    assert client.protect(b"\x01initiate", GLOBAL)[0] == 0x21


def test_services_without_a_tag_of_their_own_go_general() -> None:
    client, meter = pair()
    access = bytes.fromhex("D9 00000001 00 00 00 00")
    assert client.protect(access)[0] == 0xDB
    assert meter.unprotect(client.protect(access)) == access


def test_a_plain_reply_is_refused() -> None:
    with pytest.raises(SecurityError, match="in clear"):
        pair()[0].unprotect(VALUE)


@pytest.mark.parametrize("error", ["D8 01 02", "0E 01 06 01", "D8 01 05"])
def test_errors_may_come_in_clear(error: str) -> None:
    assert pair()[0].unprotect(bytes.fromhex(error)) == bytes.fromhex(error)


def test_the_counter_that_the_meter_wants() -> None:
    with pytest.raises(CounterError) as caught:
        pair()[0].unprotect(bytes.fromhex("D8 01 06 00 00 12 34"))
    assert caught.value.expected == 0x1234
    with pytest.raises(CounterError) as caught:
        pair()[0].unprotect(bytes.fromhex("D8 01 06"))
    assert caught.value.expected is None


@pytest.mark.parametrize("with_dedicated", [False, True])
def test_a_replayed_reply_is_refused(with_dedicated: bool) -> None:
    client, meter = pair()
    if with_dedicated:
        dedicated(client, meter)
    first, second = meter.protect(VALUE), meter.protect(VALUE)
    client.unprotect(second)
    for stale in (second, first):
        with pytest.raises(SecurityError, match="repeated"):
            client.unprotect(stale)


@pytest.mark.parametrize("protection", [AUTHENTICATED, ENCRYPTED, BOTH])
def test_a_forged_counter_does_not_lock_out_the_meter(protection: int) -> None:
    """Where nothing is authenticated, what is deciphered with it makes no sense."""
    client, meter = pair(protection)
    forged = bytearray(meter.protect(VALUE))
    forged[3:7] = b"\xff\xff\xff\xff"
    with pytest.raises(SecurityError, match="tag"):
        client.unprotect(bytes(forged))
    assert client.unprotect(meter.protect(VALUE)) == VALUE


def test_each_key_has_its_own_counter() -> None:
    client, meter = pair()
    client.unprotect(meter.protect(VALUE))
    late = meter.protect(VALUE)
    dedicated(client, meter)
    client.unprotect(meter.protect(VALUE))
    assert client.unprotect(late) == VALUE


@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_kept_between_associations(fresh: bool) -> None:
    client, meter = pair()
    old = meter.protect(VALUE)
    client.unprotect(old)
    client.begin(fresh=fresh, peer=SERVER_TITLE)
    if fresh:
        assert client.unprotect(old) == VALUE
    else:
        with pytest.raises(SecurityError, match="repeated"):
            client.unprotect(old)


def test_the_dedicated_key_ends_with_its_association() -> None:
    client, meter = pair()
    dedicated(client, meter)
    late = meter.protect(VALUE)
    client.begin(fresh=True, peer=SERVER_TITLE)
    with pytest.raises(SecurityError, match="dedicated key that was not agreed"):
        client.unprotect(late)


def test_nobody_else_may_answer() -> None:
    client, meter = pair()
    meter.general = True
    client.peer = b"SOMEBODY"
    with pytest.raises(SecurityError, match="instead of"):
        client.unprotect(meter.protect(VALUE))


def test_our_own_request_is_no_reply() -> None:
    client, _ = pair()
    client.general = True
    with pytest.raises(SecurityError):
        client.unprotect(client.protect(VALUE))


def test_the_title_may_come_with_the_first_general_reply_or_be_left_out() -> None:
    client, meter = pair()
    meter.general = True
    client.begin(fresh=True, peer=None)
    client.unprotect(meter.protect(VALUE))
    assert client.peer == SERVER_TITLE
    without = bytearray(meter.protect(VALUE))
    del without[2:10]
    without[1] = 0
    assert client.unprotect(bytes(without)) == VALUE


def test_an_unknown_meter_cannot_be_verified() -> None:
    client, meter = pair()
    client.begin(fresh=True, peer=None)
    with pytest.raises(SecurityError) as caught:
        client.unprotect(meter.protect(VALUE))
    assert "dlms.serverSystemTitle" in caught.value.hint


def test_the_outer_tag_must_be_of_what_it_covers() -> None:
    client, meter = pair()
    reply = meter.protect(VALUE)
    with pytest.raises(SecurityError, match="covers no APDU with the tag C7"):
        client.unprotect(b"\xcf" + reply[1:])


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("left", [0, 1, 11])
def test_a_cut_tag_is_no_accident(left: int, general: bool) -> None:
    """Whoever cuts it off may say that there is none, or not; a value so short has no room."""
    client, meter = pair()
    meter.general = general
    reply = meter.protect(VALUE)
    at = 10 if general else 1
    for control in (reply[at + 1], reply[at + 1] & ~0x10):
        sealed = bytes([control]) + reply[at + 2 : len(reply) - 12 + left]
        with pytest.raises(SecurityError):
            client.unprotect(reply[:at] + bytes([len(sealed)]) + sealed)


@pytest.mark.parametrize(
    "apdu", ["", "CC", "CC 05 30", "CC 03 30 00 00 00", "DB 08 41 42", "DB 00"]
)
def test_cut_short(apdu: str) -> None:
    with pytest.raises(ProtocolError):
        pair()[0].unprotect(bytes.fromhex(apdu))


def test_octets_behind_the_reply() -> None:
    client, meter = pair()
    with pytest.raises(ProtocolError, match="too many"):
        client.unprotect(meter.protect(VALUE) + b"\0")


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 6),
)
def test_no_mutated_reply_is_ever_used(
    general: bool, changes: list[tuple[int, int]], cut: int
) -> None:
    client, meter = pair()
    meter.general = general
    reply = meter.protect(VALUE)
    mutated = bytearray(reply)
    for where, octet in changes:
        mutated[where % len(mutated)] = octet
    if cut:
        del mutated[-cut:]
    if mutated == reply:
        return
    try:
        plain = client.unprotect(bytes(mutated))
    except DlmsError:
        return
    # What is left are other forms of the same octets, or an error, which carries no value.
    assert plain == VALUE or plain[0] in (0xD8, 0x0E)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_noise_raises_our_errors_only(noise: bytes) -> None:
    try:
        plain = pair()[0].unprotect(noise)
    except DlmsError:
        return
    assert plain[0] in (0xD8, 0x0E)


def forged(number: int, general: bool, plain: bytes = VALUE) -> bytes:
    """Return what anybody can send where nothing is authenticated: the key is not needed."""
    sealed = bytes([ENCRYPTED]) + number.to_bytes(4, "big") + bytes(len(plain))
    if general:
        return b"\xdb\x08" + SERVER_TITLE + bytes([len(sealed)]) + sealed
    return b"\xcc" + bytes([len(sealed)]) + sealed


@pytest.mark.parametrize("number", [0xFFFF_FFFF, 0x7FFF_FFFF, 20_000])
@pytest.mark.parametrize("first", [True, False])
def test_an_unauthenticated_counter_locks_nobody_out(number: int, first: bool) -> None:
    client, meter = pair(ENCRYPTED)
    client.general = meter.general = True
    client.begin(fresh=False, peer=SERVER_TITLE)
    client.general = True
    if not first:
        assert client.unprotect(meter.protect(VALUE)) == VALUE
        with pytest.raises(SecurityError, match="too far ahead") as caught:
            client.unprotect(forged(number, general=True))
        assert client.unprotect(meter.protect(VALUE)) == VALUE  # it has moved nothing
    else:
        client.unprotect(forged(number, general=True))  # nothing tells that it is no reply
        with pytest.raises(SecurityError, match="repeated") as caught:
            client.unprotect(meter.protect(VALUE))
    assert "ENCRYPTION does not authenticate" in caught.value.hint
    client.begin(fresh=False, peer=SERVER_TITLE)
    assert client.unprotect(meter.protect(VALUE)) == VALUE


def test_a_counter_of_a_dedicated_key_is_forged_as_easily() -> None:
    client, meter = pair(ENCRYPTED)
    dedicated(client, meter)
    client.unprotect(meter.protect(VALUE))
    sealed = forged(0xFFFF_FFFF, general=True)
    with pytest.raises(SecurityError, match="too far ahead"):
        client.unprotect(b"\xdc" + sealed[1:])
    assert client.unprotect(meter.protect(VALUE)) == VALUE


def test_the_counter_of_another_meter_does_not_count() -> None:
    """Meters that share a key count each for itself."""
    counter = CountUp()
    keys = Keys(0, block_key(0), authentication_key(0))
    for title, first in ((SERVER_TITLE, 500), (b"SERVER02", 1)):
        client = Protection(keys, BOTH, CLIENT_TITLE, counter)
        meter = Protection(keys, BOTH, title, CountUp(first))
        client.begin(fresh=False, peer=title)
        assert client.unprotect(meter.protect(VALUE)) == VALUE


def test_a_repeated_reply_names_what_to_set_if_the_meter_began_again() -> None:
    client, meter = pair()
    reply = meter.protect(VALUE)
    client.unprotect(reply)
    with pytest.raises(SecurityError, match="repeated") as caught:
        client.unprotect(reply)
    assert "serverCounterRestarts" in caught.value.hint
