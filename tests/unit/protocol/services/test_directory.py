"""Object lists whose count is not that of their entries, by both kinds of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError, ProtocolError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import Data, DataType, encode_length
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import Directory, ObjectList
from dlms_connector.protocol.services.logical_names import LogicalNames
from dlms_connector.protocol.services.selection import Selector
from dlms_connector.protocol.services.short_names import ShortNames
from dlms_connector.protocol.talk import Talk
from tests.support.apdus import Answering, Open, PlainLink, hold, in_turn

T = TypeVar("T")

ENERGY = AttributeRef(3, Obis.parse("1-0:1.8.0"), 2)
#: Base name, class, version and logical name; by logical names without the base name.
BY_SHORT_NAME = bytes.fromhex("0204 100100 120003 1100 0906 0100010800FF".replace(" ", ""))
BY_LOGICAL_NAME = bytes.fromhex(
    "0204 120003 1100 0906 0100010800FF 0202 0101 0203 0F02 1601 00 0100".replace(" ", "")
)


def listed(entry: bytes, announced: int, there: int, *, cut: int = 0) -> bytes:
    whole = entry * there
    return b"\x01" + encode_length(announced) + whole[: len(whole) - cut]


def by_logical_names(octets: bytes, *, blocks: bool) -> list[bytes]:
    if not blocks:
        return [b"\xc4\x01\xc1\x00" + octets]
    half = len(octets) // 2
    parts = octets[:half], octets[half:]
    return [
        b"\xc4\x02\xc1" + bytes((number == 2,)) + number.to_bytes(4, "big") + b"\x00"
        + encode_length(len(part)) + part
        for number, part in enumerate(parts, 1)
    ]  # fmt: skip


def by_short_names(octets: bytes, *, blocks: bool) -> list[bytes]:
    if not blocks:
        return [b"\x0c\x01\x00" + octets]
    whole = b"\x01\x00" + octets
    half = len(whole) // 2
    parts = whole[:half], whole[half:]
    return [
        b"\x0c\x01\x02" + bytes((number == 2,)) + number.to_bytes(2, "big")
        + encode_length(len(part)) + part
        for number, part in enumerate(parts, 1)
    ]  # fmt: skip


def held(talk: Talk[T], *answers: bytes) -> T:
    answering: Answering = in_turn(*answers)
    return hold(talk, answering, [])


def logical_names() -> LogicalNames:
    select = Selector(from_utc=False, skip=frozenset()).encode
    return LogicalNames(Conversation(PlainLink(), Open()), lambda: 0xFFFF, select)


def short_names(directory: Directory) -> ShortNames:
    select = Selector(from_utc=False, skip=frozenset()).encode
    return ShortNames(Conversation(PlainLink(), Open()), lambda: 0xFFFF, select, directory)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize(("announced", "there", "cut"), [(5, 3, 0), (300, 4, 7), (2, 3, 0)])
def test_a_list_that_lies_about_its_length_gives_the_entries_that_are_there(
    announced: int, there: int, cut: int, blocks: bool
) -> None:
    whole = there - (cut > 0)
    octets = listed(BY_LOGICAL_NAME, announced, there, cut=cut)
    found = held(logical_names().object_list(), *by_logical_names(octets, blocks=blocks))
    assert isinstance(found, ObjectList)
    assert (found.count, found.announced) == (whole, announced)
    octets = listed(BY_SHORT_NAME, announced, there, cut=cut)
    directory = Directory()
    found = held(short_names(directory).object_list(), *by_short_names(octets, blocks=blocks))
    assert isinstance(found, ObjectList)
    assert (found.count, found.announced) == (whole, announced)
    assert directory.attribute(ENERGY) == 0x0108


def test_short_names_are_read_with_such_a_list() -> None:
    answers = by_short_names(listed(BY_SHORT_NAME, 9, 1), blocks=False)
    value = held(short_names(Directory()).get(ENERGY), *answers, b"\x0c\x01\x00\x11\x07")
    assert value == Data(DataType.UNSIGNED, 7)


@pytest.mark.parametrize("form", [by_logical_names, by_short_names])
@pytest.mark.parametrize("octets", [b"\x01\x05", b"\x11\x05", b"\x02\x01\x11\x05", b"\x01"])
def test_what_has_no_entry_at_all_is_no_list(
    form: Callable[..., list[bytes]], octets: bytes
) -> None:
    services = logical_names() if form is by_logical_names else short_names(Directory())
    with pytest.raises(ProtocolError, match="object list"):
        held(services.object_list(), *form(octets, blocks=False))


def test_a_refused_list_is_told_with_its_code() -> None:
    for talk, answer in (
        (logical_names().object_list(), b"\xc4\x01\xc1\x01\x03"),
        (short_names(Directory()).object_list(), b"\x0c\x01\x01\x03"),
    ):
        found = held(talk, answer)
        assert isinstance(found, ObjectError)
        assert found.code == 3


def test_a_list_as_compact_array_is_learned_too() -> None:
    # Structures of long, long-unsigned, unsigned and octet-string: one of them.
    compact = bytes.fromhex("13 02 04 10 12 11 09 0C 0100 0003 00 06 0100010800FF")
    directory = Directory()
    found = held(short_names(directory).object_list(), b"\x0c\x01\x00" + compact)
    assert isinstance(found, ObjectList)
    assert directory.attribute(ENERGY) == 0x0108
