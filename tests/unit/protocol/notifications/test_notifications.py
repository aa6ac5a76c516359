"""What meters send unasked, as APDUs."""

from __future__ import annotations

import pytest

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ProtocolError, SecurityError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, DateTime, encode, structure
from dlms_connector.protocol.notifications import (
    AGREED,
    BROADCAST,
    Blocks,
    confirmation,
    envelope,
    opened,
    parse,
)
from dlms_connector.protocol.security import DEDICATED, GLOBAL, Keys
from tests.support.pushes import (
    AUTHENTICATION_KEY,
    KEY,
    NOON,
    blocks,
    data_notification,
    general_glo,
    obis,
    u32,
)

TITLE = b"MMM\0\0\0\0\1"
BODY = structure(obis("1-0:1.8.0"), u32(7))
BOTH = 0x30


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("moment", [NOON, b""])
def test_both_forms_of_the_date_time(tagged: bool, moment: bytes) -> None:
    found = parse(data_notification(BODY, moment, tagged=tagged))
    assert found.body == BODY
    assert found.moment == (DateTime.parse(NOON) if moment else None)
    assert found.invoke_id == b""


def test_a_typed_date_time() -> None:
    assert parse(b"\x0f\0\0\0\1\x19" + NOON + encode(BODY)).moment == DateTime.parse(NOON)


def test_a_date_time_that_tells_nothing_is_none() -> None:
    assert parse(data_notification(BODY, b"\xff" * 9 + b"\x80\x00\xff")).moment is None


def test_a_confirmation_is_asked_for() -> None:
    found = parse(data_notification(BODY, invoke=b"\x40\0\0\x05"))
    assert confirmation(found.invoke_id) == bytes.fromhex("10 40000005 00")


def test_names_with_tag_and_length_exchanged() -> None:
    octets = data_notification(BODY).replace(b"\x09\x06\x01\x00", b"\x06\x09\x01\x00")
    assert parse(octets).body == BODY


def test_an_event_notification() -> None:
    name = Obis.parse("0-0:97.98.20")
    plain = b"\xc2\x01\x0c" + NOON + b"\0\1" + name.octets + b"\2" + encode(u32(4))
    found = parse(plain)
    assert found.attributes == ((AttributeRef(1, name, 2), u32(4)),)
    assert found.moment == DateTime.parse(NOON)
    assert parse(b"\xc2\x00" + plain[15:]).moment is None


def test_an_information_report() -> None:
    plain = b"\x18\x00\x02\x02\x2b\xc8\x02\x2c\x08\x02" + encode(u32(1)) + encode(u32(2))
    assert parse(plain).variables == ((0x2BC8, u32(1)), (0x2C08, u32(2)))
    dated = b"\x18\x01\x0e20260601120015" + plain[2:]
    moment = parse(dated).moment
    assert moment is not None
    assert str(moment) == "2026-06-01 12:00:15"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xc4\x01\xc1\x00\x12\x00\x01",
        data_notification(BODY)[:-1],
        data_notification(BODY) + b"\0",
        b"\x0f\0\0\0\1\x05" + bytes(5) + encode(BODY),
        b"\x18\x00\x01\x01\x00\x01\x11\x05",
        b"\x18\x00\x02\x02\x2b\xc8\x02\x2c\x08\x01\x11\x05",
        b"\x0f\0\0\0\1\0" + b"\x01\x84\xff\xff\xff\xff",
        b"\x0f\0\0\0\1\0" + b"\x01\x01" * 500 + b"\x00",
        b"\x0f\0\0\0\1\0" + b"\x01\x82\x20\x00" + bytes(0x2000),
    ],
)
def test_what_is_none_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(octets)


# Ciphered


def test_general_glo() -> None:
    plain = data_notification(BODY)
    found = envelope(general_glo(plain, TITLE, 9))
    assert found is not None
    assert (found.title, found.kind) == (TITLE, GLOBAL)
    unsealed = opened(found, Keys(0, KEY, AUTHENTICATION_KEY), TITLE, BOTH)
    assert (unsealed.plain, unsealed.counter) == (plain, 9)


def test_less_protected_than_agreed() -> None:
    found = envelope(general_glo(data_notification(BODY), TITLE, 9, 0x20))
    assert found is not None
    with pytest.raises(SecurityError, match="less protected"):
        opened(found, Keys(0, KEY, AUTHENTICATION_KEY), TITLE, BOTH)


@pytest.mark.parametrize("at", range(10, 60, 3))
def test_a_flipped_bit_has_a_wrong_tag(at: int) -> None:
    apdu = bytearray(general_glo(data_notification(BODY), TITLE, 9))
    apdu[at % len(apdu)] ^= 4
    with pytest.raises(ProtocolError):
        _read(bytes(apdu))


def _read(apdu: bytes) -> None:
    found = envelope(apdu)
    assert found is not None
    opened(found, Keys(0, KEY, AUTHENTICATION_KEY), TITLE, BOTH)


@pytest.mark.parametrize(("tag", "kind"), [(0xCA, GLOBAL), (0xD2, DEDICATED)])
def test_a_ciphered_event_notification_has_no_title(tag: int, kind: str) -> None:
    keys = Keys(0, KEY, AUTHENTICATION_KEY)
    plain = b"\xc2\x00\0\1" + Obis.parse("0-0:97.98.20").octets + b"\2\x11\x05"
    sealed = keys.seal(BOTH, TITLE, 3, plain)
    found = envelope(bytes((tag, len(sealed))) + sealed)
    assert found is not None
    assert (found.title, found.kind) == (None, kind)
    assert opened(found, keys, TITLE, BOTH).plain == plain
    other = keys.seal(BOTH, TITLE, 4, b"\x18" + plain[1:])
    found = envelope(bytes((tag, len(other))) + other)
    assert found is not None
    with pytest.raises(SecurityError, match="no APDU with the tag C2"):
        opened(found, keys, TITLE, BOTH)


def general_ciphering(key_info: bytes, control: int = BOTH) -> bytes:
    head = b"\x08" + bytes(7) + b"\1" + b"\x08" + TITLE + b"\x00" + b"\x00" + b"\x00"
    keys = Keys(0, KEY, AUTHENTICATION_KEY, broadcast=True)
    sealed = keys.seal(control, TITLE, 5, data_notification(BODY), head)
    return b"\xdd" + head + key_info + bytes((len(sealed),)) + sealed


@pytest.mark.parametrize(
    ("key_info", "kind"),
    [(b"\0", GLOBAL), (b"\1\0\0", GLOBAL), (b"\1\0\1", BROADCAST)],
)
def test_general_ciphering_names_its_key(key_info: bytes, kind: str) -> None:
    found = envelope(general_ciphering(key_info))
    assert found is not None
    assert (found.title, found.kind) == (TITLE, kind)
    unsealed = opened(found, Keys(0, KEY, AUTHENTICATION_KEY), TITLE, BOTH)
    assert parse(unsealed.plain).body == BODY


@pytest.mark.parametrize("key_info", [b"\1\1\0\x18" + bytes(24), b"\1\2\1\x01\x40" + bytes(0x40)])
def test_a_key_for_one_message_is_told(key_info: bytes) -> None:
    found = envelope(general_ciphering(key_info))
    assert found is not None
    assert found.kind == AGREED


def test_the_broadcast_key_is_marked_in_the_security_control() -> None:
    keys = Keys(0, KEY, AUTHENTICATION_KEY, broadcast=True)
    sealed = keys.seal(BOTH | 0x40, TITLE, 5, data_notification(BODY))
    found = envelope(b"\xdb\x08" + TITLE + bytes((len(sealed),)) + sealed)
    assert found is not None
    assert found.kind == BROADCAST
    assert opened(found, keys, TITLE, BOTH).counter == 5
    with pytest.raises(SecurityError, match="not agreed upon"):
        opened(found, Keys(0, KEY, AUTHENTICATION_KEY), TITLE, BOTH)


def test_what_is_in_clear_has_no_envelope() -> None:
    assert envelope(data_notification(BODY)) is None


@pytest.mark.parametrize("octets", [b"\xdb", b"\xdb\x03abc\x00", b"\xdd\x00\x00", b"\xca\x05ab"])
def test_malformed_envelopes(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        envelope(octets)


# Blocks


def test_blocks_are_joined() -> None:
    apdu = data_notification(BODY)
    joined = Blocks()
    results = [joined.add(block) for block in blocks(apdu, 10)]
    assert results == [None] * (len(results) - 1) + [apdu]
    assert not joined.begun


def test_a_ciphered_apdu_is_whole_though_its_last_block_is_not_marked() -> None:
    apdu = general_glo(data_notification(BODY), b"MMM\0\0\0\0\1", 1)
    *parts, end = blocks(apdu, 10)
    joined = Blocks()
    assert [joined.add(block) for block in parts] == [None] * len(parts)
    assert joined.add(bytes((0xE0, 0x01)) + end[2:]) == apdu
    assert not joined.begun


def test_a_lost_block_loses_the_whole() -> None:
    first, second, third, *_ = blocks(data_notification(BODY), 10)
    joined = Blocks()
    joined.add(first)
    with pytest.raises(ProtocolError, match="block 3 came instead of 2"):
        joined.add(third)
    with pytest.raises(ProtocolError, match="block 2 came instead of 1"):
        joined.add(second)


def test_a_first_block_begins_anew() -> None:
    apdu = data_notification(BODY)
    joined = Blocks()
    joined.add(blocks(apdu, 10)[0])
    assert [joined.add(block) for block in blocks(apdu, 10)][-1] == apdu


def test_endless_blocks_end() -> None:
    joined = Blocks()
    first, *others = blocks(bytes(66_000), 1000)
    joined.add(first)
    for block in others[:64]:
        joined.add(block)
    with pytest.raises(ProtocolError, match="more of it than an APDU has"):
        joined.add(others[64])
    with pytest.raises(ProtocolError):
        Blocks().add(b"\xe0\x40\x00\x01\x00\x00\x00")


def test_data_types_stay() -> None:
    assert parse(b"\x0f\0\0\0\1\0\x11\x05").body == Data(DataType.UNSIGNED, 5)
