"""Read and Write by short name: names, lists, blocks, and answers of every kind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.cosem import AttributeRef, ByEntry, MethodRef
from dlms_connector.errors import DlmsError, ObjectError, ProtocolError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import (
    Data,
    DataType,
    array,
    encode,
    encode_length,
    structure,
)
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.services.blocks import MAX_EMPTY_BLOCKS
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import Directory
from dlms_connector.protocol.services.selection import Selector
from dlms_connector.protocol.services.short_names import ShortNames
from dlms_connector.protocol.talk import Talk
from tests.support.apdus import Answering, Open, PlainLink, hold, in_turn

T = TypeVar("T")

ENERGY = AttributeRef(3, Obis.parse("1-1:1.8.0"), 2)
SCALER = AttributeRef(3, Obis.parse("1-1:1.8.0"), 3)
PROFILE = AttributeRef(7, Obis.parse("1-0:99.1.0"), 2)
ABSENT = AttributeRef(3, Obis.parse("1-1:2.8.0"), 2)
RESET = MethodRef(3, ENERGY.obis, 1)
NUMBER = Data(DataType.DOUBLE_LONG_UNSIGNED, 7)
LONG = Data(DataType.OCTET_STRING, bytes(range(200)))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def entry(base: int, class_id: int, obis: Obis) -> Data:
    return structure(
        Data(DataType.LONG, base - 0x10000 if base > 0x7FFF else base),
        Data(DataType.LONG_UNSIGNED, class_id),
        Data(DataType.UNSIGNED, 0),
        Data(DataType.OCTET_STRING, obis.octets),
    )


LIST = array(entry(0x0100, 3, ENERGY.obis), entry(0x9A00, 7, PROFILE.obis))


def known() -> Directory:
    directory = Directory()
    directory.learn(LIST)
    return directory


class Meter:
    def __init__(self, *, room: int = 0xFFFF, directory: Directory | None = None) -> None:
        self.link = PlainLink()
        self.heard: list[bytes] = []
        select = Selector(from_utc=False, skip=frozenset()).encode
        self.services = ShortNames(
            Conversation(self.link, Open()), lambda: room, select, directory or known()
        )

    def hold(self, talk: Talk[T], answering: Answering) -> T:
        return hold(talk, answering, self.heard)


@pytest.fixture
def meter() -> Meter:
    return Meter()


class TestNames:
    def test_are_asked_of_the_meter_once(self) -> None:
        directory = Directory()
        meter = Meter(directory=directory)
        answers = in_turn(h("0C 01 00") + encode(LIST), h("0C 01 00 11 01"), h("0C 01 00 11 02"))
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 2)
        assert meter.heard == [h("05 01 02 FA 08"), h("05 01 02 01 08"), h("05 01 02 01 08")]

    def test_of_attributes_and_methods(self) -> None:
        directory = known()
        assert directory.attribute(SCALER) == 0x0110
        assert directory.attribute(PROFILE) == 0x9A08
        assert directory.attribute(ABSENT) is None
        assert directory.method(RESET) == 0x0128
        assert directory.method(MethodRef(7, PROFILE.obis, 2)) == 0x9A60
        assert directory.method(MethodRef(3, ABSENT.obis, 1)) is None
        assert directory.attribute(AttributeRef(17, Obis.parse("0-0:41.0.0"), 2)) == 0xFC08

    def test_of_methods_that_have_none(self) -> None:
        directory = Directory({(1, ENERGY.obis): 0x100})
        with pytest.raises(ServiceError, match="no methods by short name"):
            directory.method(MethodRef(1, ENERGY.obis, 1))

    def test_of_methods_where_later_versions_have_attributes(self) -> None:
        """A method must not be invoked by what may be the name of an attribute."""
        push = MethodRef(40, Obis.parse("0-0:25.9.0"), 1)
        for version, name in ((0, 0x0138), (1, None)):
            directory = Directory()
            directory.learn(
                array(
                    structure(
                        Data(DataType.LONG, 0x100),
                        Data(DataType.LONG_UNSIGNED, 40),
                        Data(DataType.UNSIGNED, version),
                        Data(DataType.OCTET_STRING, push.obis.octets),
                    )
                )
            )
            if name:
                assert directory.method(push) == name
            else:
                with pytest.raises(ServiceError, match="not known for version 1"):
                    directory.method(push)

    @pytest.mark.parametrize("listed", ["11 01", "01 01 11 01", "01 01 02 02 10 00 01 12 00 03"])
    def test_that_make_no_sense(self, listed: str) -> None:
        meter = Meter(directory=Directory())
        with pytest.raises(ProtocolError, match="object list"):
            meter.hold(meter.services.get(ENERGY), in_turn(h("0C 01 00") + h(listed)))

    def test_an_entry_that_makes_no_sense_costs_no_other(self) -> None:
        directory = Directory()
        directory.learn(array(Data(DataType.UNSIGNED, 1), structure(), *LIST.value))
        assert directory.attribute(SCALER) == 0x0110

    def test_there_are_none_beyond_two_octets(self) -> None:
        directory = Directory({(3, ENERGY.obis): 0xFFF8})
        assert directory.attribute(AttributeRef(3, ENERGY.obis, 1)) == 0xFFF8
        assert directory.attribute(ENERGY) is None
        assert directory.method(RESET) is None
        meter = Meter(directory=directory)
        result = meter.hold(meter.services.get(ENERGY), in_turn())
        assert isinstance(result, ObjectError)

    def test_that_the_meter_will_not_tell(self) -> None:
        meter = Meter(directory=Directory())
        with pytest.raises(ServiceError, match="read-write-denied"):
            meter.hold(meter.services.get(ENERGY), in_turn(h("0C 01 01 03")))


class TestRead:
    def test_one(self, meter: Meter) -> None:
        assert (
            meter.hold(meter.services.get(ENERGY), in_turn(h("0C 01 00 06 00 00 00 07"))) == NUMBER
        )
        assert meter.link.repeatable == [False]  # a late answer could not be told from another

    def test_what_the_meter_will_not_give(self, meter: Meter) -> None:
        result = meter.hold(meter.services.get(ENERGY), in_turn(h("0C 01 01 03")))
        assert isinstance(result, ObjectError)
        assert result.code == 3

    def test_what_the_meter_does_not_list(self, meter: Meter) -> None:
        result = meter.hold(meter.services.get(ABSENT), in_turn())
        assert isinstance(result, ObjectError)
        assert result.code == 4
        assert meter.heard == []

    def test_several(self, meter: Meter) -> None:
        answer = h("0C 02 00 06 00 00 00 07 01 0B")
        first, second, third = meter.hold(
            meter.services.get_list([ENERGY, ABSENT, SCALER]), in_turn(answer)
        )
        assert first == NUMBER
        assert isinstance(second, ObjectError)
        assert second.code == 4
        assert isinstance(third, ObjectError)
        assert third.code == 11
        assert meter.heard == [h("05 02 02 01 08 02 01 10")]

    def test_a_part_of_a_buffer(self, meter: Meter) -> None:
        ref = AttributeRef(7, PROFILE.obis, 2, ByEntry(first=1, last=2))
        meter.hold(meter.services.get(ref), in_turn(h("0C 01 00 01 00")))
        assert meter.heard[0] == h(
            "05 01 04 9A 08 02 02 04 06 00 00 00 01 06 00 00 00 02 12 00 01 12 00 00"
        )

    @pytest.mark.parametrize(
        "answer",
        ["0C 01 00 11 01", "0C 03 00 00 00 00 00 00", "0C 02 00 11 01", "0C 02 05 11 01 00 11 01",
         "0C 01 03 00 01", "D8 01 02"],
    )  # fmt: skip
    def test_lists_that_make_no_sense(self, meter: Meter, answer: str) -> None:
        with pytest.raises((ServiceError, ProtocolError)):
            meter.hold(meter.services.get_list([ENERGY, SCALER]), in_turn(h(answer)))

    @pytest.mark.parametrize(
        "answer",
        [
            "0C 02 00 11 01 00 11 01",
            "0C 01 00 11",
            "0C 01 00 11 01 05",
            "0C 00",
            "0C 01 02 01 00 01",
        ],
    )
    def test_answers_that_make_no_sense(self, meter: Meter, answer: str) -> None:
        with pytest.raises(ProtocolError):
            meter.hold(meter.services.get(ENERGY), in_turn(h(answer)))


def read_block(number: int, last: bool, part: bytes) -> bytes:
    head = bytes((0x0C, 1, 2, last)) + number.to_bytes(2, "big")
    return head + encode_length(len(part)) + part


def next_block(request: bytes) -> int:
    return int.from_bytes(request[3:5], "big") + 1 if request[2] == 5 else 1


class TestBlocksOfRead:
    @pytest.mark.parametrize("size", [1, 50, 201])
    def test_are_put_together(self, meter: Meter, size: int) -> None:
        whole = b"\x02\x00" + encode(LONG) + b"\x01\x03"

        def answering(request: bytes) -> Iterable[bytes]:
            number = next_block(request)
            last = number * size >= len(whole)
            return [read_block(number, last, whole[(number - 1) * size : number * size])]

        first, second = meter.hold(meter.services.get_list([ENERGY, SCALER]), answering)
        assert first == LONG
        assert isinstance(second, ObjectError)
        assert meter.heard[1] == h("05 01 05 00 01")

    def test_of_gurux_hold_the_data_alone(self) -> None:
        meter = Meter(directory=Directory())
        answers = in_turn(
            h(
                "0C010200000176010B020410FA0012000C110009060000280000FF02041000A01200011100090600"
                "002A0000FF02041000B0120001110009060000600100FF02041000C0120001110009060000600D00"
                "FF02041000D0120001110009060000603200FF02041000E01200011100090600002B0100FF020410"
                "00F0120003"
            ),
            h(
                "0C010201000252110009060100010800FF0204100120120003110009060100200700FF0204100150"
                "120008110009060000010000FF02041001E0120007110009060100630100FF020410025812004611"
                "000906000060030AFF"
            ),
            h("0C 01 00 12 00 E6"),
        )
        voltage = AttributeRef(3, Obis.parse("1-0:32.7.0"), 2)
        read = meter.hold(meter.services.get(voltage), answers)
        assert read == Data(DataType.LONG_UNSIGNED, 230)
        assert meter.heard == [h("05 01 02 FA 08"), h("05 01 05 00 01"), h("05 01 02 01 28")]

    @pytest.mark.parametrize("whole", ["02 01 00 01 00 00", "00 00 07", "0B"])
    def test_that_are_neither_results_nor_data(self, meter: Meter, whole: str) -> None:
        with pytest.raises(ProtocolError):
            meter.hold(meter.services.get(ENERGY), in_turn(read_block(1, True, h(whole))))

    def test_that_are_empty_end(self, meter: Meter) -> None:
        with pytest.raises(ProtocolError, match="blocks were empty"):
            meter.hold(
                meter.services.get(ENERGY), lambda r: [read_block(next_block(r), False, b"")]
            )
        assert len(meter.heard) == MAX_EMPTY_BLOCKS + 1

    @pytest.mark.parametrize("wrong", [1, 3, 0])
    def test_in_the_wrong_place(self, meter: Meter, wrong: int) -> None:
        answers = in_turn(read_block(1, False, b"\x01"), read_block(wrong, True, b"\x00"))
        with pytest.raises(ProtocolError, match="instead of block 2"):
            meter.hold(meter.services.get(ENERGY), answers)

    def test_that_the_meter_aborts(self, meter: Meter) -> None:
        answers = in_turn(read_block(1, False, b"\x01"), h("0C 01 01 0F"))
        with pytest.raises(ServiceError, match="long-get-aborted"):
            meter.hold(meter.services.get(ENERGY), answers)


class TestWrite:
    def test_one(self, meter: Meter) -> None:
        assert meter.hold(meter.services.set(ENERGY, NUMBER), in_turn(h("0D 01 00"))) is None
        assert meter.heard == [h("06 01 02 01 08 01 06 00 00 00 07")]

    def test_several(self, meter: Meter) -> None:
        writes = [(ENERGY, NUMBER), (ABSENT, NUMBER), (SCALER, NUMBER)]
        answers = in_turn(h("0D 02 00 01 03"))
        first, second, third = meter.hold(meter.services.set_list(writes), answers)
        assert first is None
        assert second is not None
        assert second.code == 4
        assert third is not None
        assert third.code == 3

    def test_the_same_twice(self, meter: Meter) -> None:
        talk = meter.services.set_list([(ENERGY, NUMBER), (ENERGY, NUMBER)])
        first, second = meter.hold(talk, in_turn(h("0D 02 01 03 00")))
        assert first is not None
        assert first.code == 3
        assert second is None

    @pytest.mark.parametrize(
        "answer", ["0D 02 00 00", "0D 00", "0D 01", "0D 01 05", "0D 01 02 00 01"]
    )
    def test_answers_that_make_no_sense(self, meter: Meter, answer: str) -> None:
        with pytest.raises(ProtocolError):
            meter.hold(meter.services.set(ENERGY, NUMBER), in_turn(h(answer)))

    def test_a_long_value_goes_in_blocks(self) -> None:
        meter = Meter(room=60)
        taken = bytearray()

        def answering(request: bytes) -> Iterable[bytes]:
            assert len(request) <= 60
            assert request[:3] == h("06 01 07")
            assert request[6:8] == h("01 09")
            taken.extend(request[9:])
            return [h("0D 01 00") if request[3] else h("0D 01 02") + request[4:6]]

        assert meter.hold(meter.services.set(ENERGY, LONG), answering) is None
        assert taken == h("01 02 01 08 01") + encode(LONG)

    def test_a_transfer_that_the_meter_aborts(self) -> None:
        meter = Meter(room=60)
        error = meter.hold(meter.services.set(ENERGY, LONG), in_turn(h("0D 01 01 13")))
        assert error is not None
        assert error.code == 19

    def test_success_before_the_last_block_is_none(self) -> None:
        meter = Meter(room=60)
        with pytest.raises(ProtocolError, match="before all is written"):
            meter.hold(meter.services.set(ENERGY, LONG), in_turn(h("0D 01 00")))

    @pytest.mark.parametrize("room", [-18, 10, 11])
    def test_what_fits_no_pdu_is_not_sent(self, room: int) -> None:
        meter = Meter(room=room)
        with pytest.raises(ServiceError, match=f"in PDUs of {room}"):
            meter.hold(meter.services.set(ENERGY, LONG), in_turn())

    def test_a_block_that_was_not_sent(self) -> None:
        meter = Meter(room=60)
        with pytest.raises(ProtocolError, match="block 9"):
            meter.hold(meter.services.set(ENERGY, LONG), in_turn(h("0D 01 02 00 09")))


class TestAction:
    def test_is_a_write_of_its_argument(self, meter: Meter) -> None:
        meter.hold(meter.services.action(RESET, None), in_turn(h("0D 01 00")))
        assert meter.heard == [h("06 01 02 01 28 01 0F 00")]

    def test_that_the_meter_will_not_do(self, meter: Meter) -> None:
        with pytest.raises(ObjectError, match="read-write-denied"):
            meter.hold(meter.services.action(RESET, NUMBER), in_turn(h("0D 01 01 03")))

    def test_of_an_object_that_the_meter_does_not_list(self, meter: Meter) -> None:
        with pytest.raises(ObjectError, match="object-undefined"):
            meter.hold(meter.services.action(MethodRef(3, ABSENT.obis, 1), None), in_turn())


ANSWERS = [
    "0C 01 00 06 00 00 00 07",
    "0C 02 00 11 01 01 03",
    "0C 01 02 00 00 01 02 01 00",
    "0D 01 00",
    "0D 01 02 00 01",
    "0E 05 03 02",
]


@given(st.sampled_from(ANSWERS), st.data())
def test_mutated_answers_raise_nothing_but_ours(answer: str, draw: st.DataObject) -> None:
    octets = bytearray(h(answer))
    octets[draw.draw(st.integers(0, len(octets) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(1, len(octets)))
    talks: list[Callable[[ShortNames], Talk[object]]] = [
        lambda services: services.get(ENERGY),
        lambda services: services.get_list([ENERGY, SCALER]),
        lambda services: services.set(ENERGY, LONG),
        lambda services: services.action(RESET, None),
    ]
    for talk in talks:
        meter = Meter(room=100)
        with contextlib.suppress(DlmsError):
            meter.hold(talk(meter.services), lambda _: [bytes(octets[:cut])])


class TestNamesWithoutTheList:
    """A list of hundreds of objects takes a slow meter a minute."""

    LOGICAL_NAME = h("0C 01 00 09 06 01 01 01 08 00 FF")

    def test_names_of_the_configuration_are_checked_once_and_used(self) -> None:
        directory = Directory()
        directory.tell({(3, ENERGY.obis): 0x0100})
        meter = Meter(directory=directory)
        answers = in_turn(self.LOGICAL_NAME, h("0C 01 00 11 01"), h("0C 01 00 11 02"))
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 2)
        assert meter.heard == [h("05 01 02 01 00"), h("05 01 02 01 08"), h("05 01 02 01 08")]

    def test_a_configured_name_that_cannot_be_checked_is_believed(self) -> None:
        directory = Directory()
        directory.tell({(3, ENERGY.obis): 0x0100})
        meter = Meter(directory=directory)
        answers = in_turn(h("0C 01 01 03"), h("0C 01 00 11 01"))
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)

    def test_a_wrong_name_reads_no_other_object(self) -> None:
        told: list[str] = []
        directory = Directory(remarks=Remarks(told.append))
        directory.tell({(3, ENERGY.obis): 0x0400})
        meter = Meter(directory=directory)
        other = h("0C 01 00 09 06 01 01 02 08 00 FF")
        answers = in_turn(other, h("0C 01 00") + encode(LIST), h("0C 01 00 11 01"))
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
        assert meter.heard == [h("05 01 02 04 00"), h("05 01 02 FA 08"), h("05 01 02 01 08")]
        assert "baseName 1024" in told[0]

    def test_names_of_an_earlier_run_are_checked_with_the_meter(self) -> None:
        for proof, asked in ((self.LOGICAL_NAME, 2), (h("0C 01 01 04"), 3)):
            directory = Directory()
            directory.remember({(3, ENERGY.obis): 0x0100}, {})
            meter = Meter(directory=directory)
            rest = [h("0C 01 00") + encode(LIST)] if asked == 3 else []
            answers = in_turn(proof, *rest, h("0C 01 00 11 01"))
            assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
            assert len(meter.heard) == asked

    def test_another_meter_at_the_same_address_is_noticed(self) -> None:
        directory = known()
        directory.forget()
        meter = Meter(directory=directory)
        moved = array(entry(0x0200, 3, ENERGY.obis))
        answers = in_turn(
            h("0C 01 00 09 06 01 01 02 08 00 FF"),
            h("0C 01 00") + encode(moved),
            h("0C 01 00 11 01"),
        )
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
        assert meter.heard[-1] == h("05 01 02 02 08")

    def test_an_object_that_is_not_among_the_names_of_an_earlier_run_is_looked_for_once(
        self,
    ) -> None:
        directory = Directory()
        directory.remember({(7, PROFILE.obis): 0x9A00}, {})
        meter = Meter(directory=directory)
        answers = in_turn(h("0C 01 00") + encode(LIST), h("0C 01 00 11 01"))
        assert meter.hold(meter.services.get(ENERGY), answers) == Data(DataType.UNSIGNED, 1)
        assert isinstance(meter.hold(meter.services.get(ABSENT), answers), ObjectError)
        assert meter.heard == [h("05 01 02 FA 08"), h("05 01 02 01 08")]

    def test_objects_with_a_fixed_name_need_no_list(self) -> None:
        meter = Meter(directory=Directory())
        name = AttributeRef(1, Obis.parse("0-0:42.0.0"), 2)
        assert meter.hold(meter.services.get(name), in_turn(h("0C 01 00 11 01")))
        assert meter.heard == [h("05 01 02 FD 08")]


class TestLateAnswers:
    """Nothing marks an answer by short name as that to this question."""

    def read(self, meter: Meter, *answers: str) -> Any:
        waiting = [h(answer) for answer in answers]
        return meter.hold(meter.services.get(ENERGY), lambda _: waiting)

    @pytest.mark.parametrize("late", ["0C 01 00 11 05", "0C 01 00 09 04 01020304", "0C 01 00 00"])
    def test_another_type_or_size_than_before_is_passed_over(self, meter: Meter, late: str) -> None:
        self.read(meter, "0C 01 00 06 00000007")
        assert self.read(meter, late, "0C 01 00 06 00000008").value == 8

    def test_a_string_of_another_length_than_before_is_passed_over(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 09 03 010203")
        assert self.read(meter, "0C 01 00 09 04 01020304", "0C 01 00 09 03 040506").value == h(
            "040506"
        )

    def test_a_long_list_is_passed_over_where_a_number_was(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 06 00000007")
        late = "0C 01 00 01 82 2000" + "11 01" * 0x2000
        assert self.read(meter, late, "0C 01 00 06 00000008").value == 8

    def test_a_value_of_any_length_is_held_against_a_long_one(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 01 82 0800" + "11 01" * 0x800)
        longer = "0C 01 00 01 82 1000" + "11 01" * 0x1000
        assert len(self.read(meter, "0C 01 00 11 05", longer).value) == 0x1000

    def test_values_in_a_list_are_held_against_their_own(self, meter: Meter) -> None:
        refs = [ENERGY, SCALER]
        right = h("0C 02 00 06 00000007 00 02 02 0F 00 16 1E")
        wrong = h("0C 02 00 02 02 0F 00 16 1E 00 06 00000007")
        assert meter.hold(meter.services.get_list(refs), in_turn(right))
        found = meter.hold(meter.services.get_list(refs), lambda _: [wrong, right])
        assert found[0] == NUMBER

    def test_alone_it_costs_the_association_and_is_believed_the_next_time(
        self, meter: Meter
    ) -> None:
        self.read(meter, "0C 01 00 06 00000007")
        with pytest.raises(ProtocolError, match="another type or size than before"):
            self.read(meter, "0C 01 00 11 05")
        assert self.read(meter, "0C 01 00 11 05").value == 5
        assert self.read(meter, "0C 01 00 06 00000009").value == 9

    def test_what_was_written_is_believed_at_once(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 09 03 010203")
        longer = Data(DataType.OCTET_STRING, h("01020304"))
        assert meter.hold(meter.services.set(ENERGY, longer), in_turn(h("0D 01 00"))) is None
        assert self.read(meter, "0C 01 00 09 04 01020304") == longer
        assert self.read(meter, "0C 01 00 11 05", "0C 01 00 09 03 010203").value == h("010203")

    def test_what_was_believed_wrongly_once_is_doubted_again(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 06 00000007")
        with pytest.raises(ProtocolError):
            self.read(meter, "0C 01 00 11 05")
        self.read(meter, "0C 01 00 06 00000008")
        with pytest.raises(ProtocolError):
            self.read(meter, "0C 01 00 11 05")

    def test_refusals_and_lists_have_any_size(self, meter: Meter) -> None:
        self.read(meter, "0C 01 00 01 01 11 05")
        assert isinstance(self.read(meter, "0C 01 01 03"), ObjectError)
        assert len(self.read(meter, "0C 01 00 01 02 11 05 11 06").value) == 2
