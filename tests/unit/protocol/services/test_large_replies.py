"""Replies that hold more than was asked for: refused before they are built, or read in slices.

What is built is counted, not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import ObjectError, ServiceError, TooLargeError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import axdr, compact_array, slices
from dlms_connector.protocol.data.axdr import (
    Data,
    DataType,
    array,
    encode,
    encode_length,
    structure,
)
from dlms_connector.protocol.data.budget import MAX_ROW
from dlms_connector.protocol.data.slices import SLICE
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.services.access import Access
from dlms_connector.protocol.services.allowance import ASKED, POLLED, STRANGER, Allowance
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import Directory
from dlms_connector.protocol.services.logical_names import LogicalNames
from dlms_connector.protocol.services.selection import Selector
from dlms_connector.protocol.services.short_names import ShortNames
from dlms_connector.protocol.talk import Talk
from tests.support.apdus import Open, PlainLink, hold, in_turn

REFS = [AttributeRef(3, Obis.parse(f"1-0:{n}.8.0"), 2) for n in range(1, 6)]
PROFILE = AttributeRef(7, Obis.parse("1-0:99.1.0"), 2)
NUMBER = AttributeRef(1, Obis.parse("0-0:96.1.0"), 2)
MOMENT = Data(DataType.DATE_TIME, bytes.fromhex("07EA060101 0A000000 8000 00"))


def swollen(octets: int) -> bytes:
    """Return 61 values for each octet: rows of nothing with one number."""
    row = b"\x13\x02\x3c" + bytes(59) + b"\x11"
    return row + encode_length(octets) + bytes(octets)


#: Nine hundred octets that are fifty thousand values and more; each array within its limits.
SWOLLEN = swollen(500)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the values that are built."""
    count = [0]

    def make(*args: Any) -> Data:
        count[0] += 1
        return Data(*args)

    for module in (axdr, compact_array, slices):
        monkeypatch.setattr(module, "Data", make)
    return count


def select() -> Callable[..., bytes]:
    return Selector(from_utc=False, skip=frozenset()).encode


def by_name(allowance: Allowance = POLLED, kind: type[LogicalNames] = LogicalNames) -> LogicalNames:
    conversation = Conversation(PlainLink(), Open())
    return kind(conversation, lambda: 0xFFFF, select(), allowance.budget)


def by_short_name(allowance: Allowance = POLLED, *, known: bool = True) -> ShortNames:
    names = {(one.class_id, one.obis): 0x1000 for one in (*REFS, PROFILE, NUMBER)}
    directory = Directory(names) if known else Directory()
    conversation = Conversation(PlainLink(), Open())
    return ShortNames(conversation, lambda: 0xFFFF, select(), directory, lambda: allowance)


def listed(count: int, values: bytes) -> bytes:
    return b"\xc4\x03\xc1" + encode_length(count) + values


def blocks(whole: bytes, size: int = 60_000) -> Iterator[bytes]:
    """Yield the answers of a GET with block transfer."""
    for number, at in enumerate(range(0, len(whole), size), 1):
        part = whole[at : at + size]
        last = bytes((at + size >= len(whole),))
        head = b"\xc4\x02\xc1" + last + number.to_bytes(4, "big") + b"\x00"
        yield head + encode_length(len(part)) + part


class TestAList:
    def test_values_share_one_budget(self, built: list[int]) -> None:
        """Each is small enough alone."""
        answer = listed(5, (b"\x00" + swollen(100)) * 5)
        with pytest.raises(ServiceError, match="more than 8512 values"):
            hold(by_name().get_list(REFS), in_turn(answer))
        assert built[0] < 9000

    @pytest.mark.parametrize("count", [0, 1, 4, 6, 20_000])
    def test_count_is_held_against_the_question_before_a_value_is_read(
        self, built: list[int], count: int
    ) -> None:
        answer = listed(count, b"\x00\x12\x00\x01" * count)
        with pytest.raises(ServiceError, match=f"{count} results came back"):
            hold(by_name().get_list(REFS), in_turn(answer))
        assert built[0] == 0

    def test_that_comes_in_blocks(self, built: list[int]) -> None:
        whole = b"\x05" + (b"\x00" + SWOLLEN) * 5
        with pytest.raises(ServiceError, match="more than 8512 values"):
            hold(by_name().get_list(REFS), in_turn(*blocks(whole, 300)))
        assert built[0] < 9000

    def test_that_comes_in_too_many_blocks(self, built: list[int]) -> None:
        heard: list[bytes] = []
        whole = b"\x05" + (b"\x00" + encode(Data(DataType.OCTET_STRING, bytes(60_000)))) * 5
        with pytest.raises(ServiceError, match="more than 70656 octets"):
            hold(by_name().get_list(REFS), in_turn(*blocks(whole)), heard)
        assert built[0] == 0
        assert len(heard) == 2

    def test_of_access(self, built: list[int]) -> None:
        head = b"\xda\xc0\x00\x00\x01\x00\x00"
        answer = head + b"\x82\x4e\x20" + b"\x00" * 20_000 + b"\x82\x4e\x20" + b"\x01\x00" * 20_000
        with pytest.raises(ServiceError, match="20000 results came back"):
            hold(by_name(kind=Access).get_list(REFS), in_turn(answer))
        assert built[0] == 0
        answer = head + b"\x05" + SWOLLEN * 5 + b"\x05" + b"\x01\x00" * 5
        with pytest.raises(ServiceError, match="more than 8512 values"):
            hold(by_name(kind=Access).get_list(REFS), in_turn(answer))
        assert built[0] < 9000

    def test_by_short_names(self, built: list[int]) -> None:
        answer = b"\x0c\x05" + (b"\x00" + SWOLLEN) * 5
        with pytest.raises(ServiceError, match="more than 8512 values"):
            hold(by_short_name().get_list(REFS), in_turn(answer))
        assert built[0] < 9000
        with pytest.raises(ServiceError, match="200 results came back"):
            hold(by_short_name().get_list(REFS), in_turn(b"\x0c\x81\xc8" + b"\x00\x00" * 200))

    def test_of_what_was_asked_is_read(self) -> None:
        rows = encode(array(*[structure(MOMENT, MOMENT)] * 1000))
        answer = listed(5, b"\x00" + rows + b"\x00\x11\x07" * 4)
        first, *others = hold(by_name().get_list(REFS), in_turn(answer))
        assert isinstance(first, Data)
        assert len(first.value) == 1000
        assert others == [Data(DataType.UNSIGNED, 7)] * 4


class TestAValue:
    """Too large, it fails alone: the association goes on."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"\xc4\x01\xc1\x00" + SWOLLEN,
            b"\xc4\x01\xc1\x00" + b"\x01\x82\xea\x60" + bytes(60_000),
            b"\xc4\x01\xc1\x00" + b"\x01\x82\xea\x60" + b"\x00" * 59_998 + b"\x02\x00",
            b"\xc4\x01\xc1\x00" + b"\x13\x11\x82\xea\x60" + bytes(60_000),
            b"\xc4\x01\xc1\x00" + b"\x02\x05" + swollen(100) * 5,
            b"\xc4\x01\xc1\x00" + b"\x13\x01\x20\x00\x11\x82\x20\x00" + bytes(0x2000),
        ],
        ids=["swollen", "nothings", "mixed", "compact", "nested", "one row"],
    )
    def test_that_expands(self, built: list[int], answer: bytes) -> None:
        result = hold(by_name().get(REFS[0]), in_turn(answer))
        assert isinstance(result, TooLargeError)
        assert "reading" in str(result)
        assert "more than 8192 values" in str(result)
        assert built[0] <= MAX_ROW + 8

    def test_by_short_name(self, built: list[int]) -> None:
        for answer in (b"\x0c\x01\x00" + SWOLLEN, b"\x0c\x01\x00" + swollen(20_000)):
            result = hold(by_short_name().get(REFS[0]), in_turn(answer))
            assert isinstance(result, TooLargeError)
            assert built[0] <= 2 * MAX_ROW

    def test_in_blocks_ends_where_it_is_too_long(self, built: list[int]) -> None:
        heard: list[bytes] = []
        whole = encode(array(*[MOMENT] * 100_000))
        result = hold(by_name().get(REFS[0]), in_turn(*blocks(whole, 1000)), heard)
        assert isinstance(result, TooLargeError)
        assert "more than 65536 octets" in str(result)
        assert len(heard) == 66
        assert built[0] == 0

    def test_in_blocks_by_short_name(self) -> None:
        heard: list[bytes] = []

        def endless(request: bytes) -> list[bytes]:
            number = int.from_bytes(request[3:5], "big") + 1 if request[2] == 5 else 1
            part = encode_length(30_000) + bytes(30_000)
            return [b"\x0c\x01\x02\x00" + number.to_bytes(2, "big") + part]

        result = hold(by_short_name().get(REFS[0]), endless, heard)
        assert isinstance(result, TooLargeError)
        assert len(heard) == 3

    def test_of_a_method(self, built: list[int]) -> None:
        method = MethodRef(70, Obis.parse("0-0:96.3.10"), 1)
        answer = b"\xc7\x01\xc1\x00\x01\x00" + SWOLLEN
        with pytest.raises(TooLargeError, match="invoking"):
            hold(by_name().action(method, None), in_turn(answer))
        assert built[0] <= MAX_ROW + 8

    def test_of_bits_counts_each_of_them(self) -> None:
        bits = b"\x04\x83\x07\xff\xf8" + bytes(0xFFFF)
        rows = b"\x02\x20" + bits * 32
        result = hold(by_name(ASKED).get(REFS[0]), in_turn(*blocks(rows)))
        assert isinstance(result, TooLargeError)


class TestAStranger:
    @pytest.mark.parametrize("octets", [100, 500, 20_000])
    def test_says_no_more_than_a_number_needs(self, built: list[int], octets: int) -> None:
        answer = b"\xc4\x01\xc1\x00" + swollen(octets)
        assert isinstance(hold(by_name(STRANGER).get(NUMBER), in_turn(answer)), ObjectError)
        assert built[0] <= MAX_ROW + 8

    def test_may_say_its_number(self) -> None:
        answer = b"\xc4\x01\xc1\x00" + b"\x09\x08" + b"12345678"
        assert hold(by_name(STRANGER).get(NUMBER), in_turn(answer)) == Data(
            DataType.OCTET_STRING, b"12345678"
        )

    def test_lists_no_more_objects_than_a_meter_has(self, built: list[int]) -> None:
        services = by_short_name(STRANGER, known=False)
        entry = structure(
            Data(DataType.LONG, 0x100), Data(DataType.LONG_UNSIGNED, 1),
            Data(DataType.UNSIGNED, 0), Data(DataType.OCTET_STRING, NUMBER.obis.octets),
        )  # fmt: skip
        answer = b"\x0c\x01\x00" + encode(array(*[entry] * 3000))
        built[0] = 0
        with pytest.raises(Exception, match="more than 8192 values"):
            hold(services.get(NUMBER), in_turn(answer))
        assert built[0] <= MAX_ROW + 6


def listened(talk: Talk[Any], answers: Iterator[bytes], built: list[int]) -> tuple[Any, list[int]]:
    """Run a talk; return its result, and how many values were built between two breaths."""
    at_once: list[int] = []
    built[0] = 0
    try:
        out = next(talk)
        while True:
            if isinstance(out, Breath):
                at_once.append(built[0])
                built[0] = 0
                out = talk.send(b"")
            else:
                out = talk.send(next(answers))
    except StopIteration as done:
        return done.value, [*at_once, built[0]]


ROW = structure(MOMENT, Data(DataType.DOUBLE_LONG_UNSIGNED, 5), Data(DataType.UNSIGNED, 0))


class TestLongByNature:
    """The buffer of a profile, a list of objects: read in slices."""

    @pytest.mark.parametrize(
        "whole",
        [
            encode(array(*[ROW] * 20_000)),
            encode(Data(DataType.COMPACT_ARRAY, (ROW,) * 20_000)),
        ],
        ids=["array", "compact array"],
    )
    def test_a_buffer(self, built: list[int], whole: bytes) -> None:
        talk = by_name(ASKED).get(PROFILE)
        result, at_once = listened(talk, blocks(whole), built)
        assert result.value == (ROW,) * 20_000
        assert len(at_once) > 10
        assert max(at_once) <= SLICE + 8

    def test_a_buffer_in_one_reply(self, built: list[int]) -> None:
        answer = b"\xc4\x01\xc1\x00" + encode(array(*[ROW] * 2500))
        result, at_once = listened(by_name(ASKED).get(PROFILE), iter([answer]), built)
        assert len(result.value) == 2500
        assert max(at_once) <= SLICE + 8

    def test_a_buffer_by_short_name(self, built: list[int]) -> None:
        answer = b"\x0c\x01\x00" + encode(array(*[ROW] * 2500))
        result, at_once = listened(by_short_name(ASKED).get(PROFILE), iter([answer]), built)
        assert len(result.value) == 2500
        assert max(at_once) <= SLICE + 8

    def test_one_row_is_short(self, built: list[int]) -> None:
        row = encode(array(*[Data(DataType.NULL)] * 50_000))
        answer = b"\xc4\x01\xc1\x00\x01\x01" + row
        result, _ = listened(by_name(ASKED).get(PROFILE), iter([answer]), built)
        assert isinstance(result, TooLargeError)
        assert built[0] <= MAX_ROW + 8

    def test_a_poll_takes_no_such_buffer(self, built: list[int]) -> None:
        answer = b"\xc4\x01\xc1\x00" + encode(array(*[ROW] * 2500))
        result, _ = listened(by_name(POLLED).get(PROFILE), iter([answer]), built)
        assert isinstance(result, TooLargeError)
