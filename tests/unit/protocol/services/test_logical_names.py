"""GET, SET and ACTION against answers of every kind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.cosem import AttributeRef, ByEntry, MethodRef
from dlms_connector.errors import (
    DlmsError,
    LinkTimeoutError,
    ObjectError,
    ProtocolError,
    ServiceError,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import Data, DataType, encode, encode_length
from dlms_connector.protocol.services.blocks import MAX_EMPTY_BLOCKS
from dlms_connector.protocol.services.conversation import MAX_PASSED_OVER, Conversation
from dlms_connector.protocol.services.logical_names import LogicalNames
from dlms_connector.protocol.services.selection import Selector
from dlms_connector.protocol.talk import Talk
from tests.support.apdus import Answering, Open, PlainLink, hold, in_turn

T = TypeVar("T")

CLOCK = AttributeRef(8, Obis.parse("0-0:1.0.0"), 2)
ENERGY = AttributeRef(3, Obis.parse("1-1:1.8.0"), 2)
SCALER = AttributeRef(3, Obis.parse("1-1:1.8.0"), 3)
RELAY = MethodRef(70, Obis.parse("0-0:96.3.10"), 1)
TIME = Data(DataType.OCTET_STRING, bytes.fromhex("07D20C04030A060BFF007800"))
LONG = Data(DataType.OCTET_STRING, bytes(range(200)))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


class Meter:
    """The services over a plain link, and what was heard there."""

    def __init__(self, *, room: int = 0xFFFF, fixed: int | None = None) -> None:
        self.link = PlainLink()
        self.heard: list[bytes] = []
        conversation = Conversation(self.link, Open(), fixed)
        select = Selector(from_utc=False, skip=frozenset()).encode
        self.services = LogicalNames(conversation, lambda: room, select)

    def hold(self, talk: Talk[T], answering: Answering) -> T:
        return hold(talk, answering, self.heard)

    def get(self, *answers: str) -> Data | ObjectError:
        return self.hold(self.services.get(CLOCK), in_turn(*map(h, answers)))

    def get_list(self, *answers: str) -> list[Data | ObjectError]:
        talk = self.services.get_list([ENERGY, SCALER])
        return self.hold(talk, in_turn(*map(h, answers)))


@pytest.fixture
def meter() -> Meter:
    return Meter()


class TestGet:
    def test_the_request_and_the_answer_of_a_real_meter(self, meter: Meter) -> None:
        assert meter.get("C4 01 81 00 09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00") == TIME
        assert meter.heard == [h("C0 01 C1 00 08 00 00 01 00 00 FF 02 00")]
        assert meter.link.repeatable == [True]

    def test_invoke_ids_go_round_and_leave_out_zero(self, meter: Meter) -> None:
        for turn in range(16):
            invoke_id = turn % 15 + 1
            meter.get(f"C4 01 {0xC0 | invoke_id:02X} 00 00")
            assert meter.heard[-1][2] == 0xC0 | invoke_id

    def test_a_fixed_invoke_id(self) -> None:
        meter = Meter(fixed=0)
        meter.get("C4 01 00 00 00")
        meter.get("C4 01 00 00 00")
        assert [request[2] for request in meter.heard] == [0xC0, 0xC0]

    def test_what_the_meter_will_not_give(self, meter: Meter) -> None:
        result = meter.get("C4 01 C1 01 04")
        assert isinstance(result, ObjectError)
        assert result.code == 4
        assert "0-0:1.0.0" in str(result)

    def test_a_late_answer_is_passed_over(self, meter: Meter) -> None:
        late, right = h("C4 01 C7 00 11 07"), h("C4 01 C1 00 11 01")
        result = meter.hold(meter.services.get(CLOCK), lambda _: [late, right])
        assert result == Data(DataType.UNSIGNED, 1)

    @pytest.mark.parametrize(
        "stray",
        [
            "C5 01 C1 00",
            "0F 00 00 00 01 00 00",
            "C2 00 00 03 01 01 01 08 00 FF 02 11 01",
            "C4 01",
            "00",
            "C4 01 C2 FF FF",
        ],
    )
    def test_what_answers_something_else_is_passed_over(self, meter: Meter, stray: str) -> None:
        answers = [h(stray), h("C4 01 C1 00 11 01")]
        result = meter.hold(meter.services.get(CLOCK), lambda _: answers)
        assert result == Data(DataType.UNSIGNED, 1)

    def test_a_forged_invoke_id_is_never_used(self, meter: Meter) -> None:
        with pytest.raises(ProtocolError, match=r"invoke-id 2 instead of 1; .*fixedInvokeId"):
            meter.get("C4 01 C2 00 11 01")

    def test_silence_is_silence(self, meter: Meter) -> None:
        with pytest.raises(LinkTimeoutError):
            meter.get()

    def test_a_flood_of_others_ends(self, meter: Meter) -> None:
        flood = [h("C4 01 C2 00 11 01")] * (MAX_PASSED_OVER + 1)
        with pytest.raises(ProtocolError, match="none to this request"):
            meter.hold(meter.services.get(CLOCK), lambda _: flood)

    @pytest.mark.parametrize(
        ("answer", "error", "problem"),
        [
            ("D8 01 01", ServiceError, "service-not-allowed, operation-not-possible"),
            ("D8 02 02", ServiceError, "service-unknown, service-not-supported"),
            ("D8 01 06 00 00 00 09", ServiceError, "invocation-counter-error"),
            ("D8 09 09", ServiceError, "state error 9, service error 9"),
            ("0E 05 03 02", ServiceError, "service: service-unsupported"),
            ("C4 01 C1 00 11", ProtocolError, "cut short"),
            ("C4 01 C1 00 11 01 00", ProtocolError, "1 octets too many"),
            ("C4 01 C1 02 11 01", ProtocolError, "neither data nor"),
            ("C4 03 C1 01 00 11 01", ProtocolError, "GetList is no answer"),
            ("C4 07 C1 00", ProtocolError, "no known kind"),
            ("D8 01", ProtocolError, "cut short"),
        ],
    )
    def test_refusals_and_nonsense(
        self, meter: Meter, answer: str, error: type[DlmsError], problem: str
    ) -> None:
        with pytest.raises(error, match=problem):
            meter.get(answer)

    def test_selective_access(self, meter: Meter) -> None:
        ref = AttributeRef(7, Obis.parse("1-0:99.1.0"), 2, ByEntry(first=2, last=3, first_column=1))
        meter.hold(meter.services.get(ref), in_turn(h("C4 01 C1 00 01 00")))
        assert meter.heard[0] == h(
            "C0 01 C1 00 07 01 00 63 01 00 FF 02 01 02"
            "02 04 06 00 00 00 02 06 00 00 00 03 12 00 01 12 00 00"
        )


def blocks(
    value: bytes, size: int, choice: Callable[[int, int, bool, bytes], bytes]
) -> dict[int, bytes]:
    """Return the answers by number of the block."""
    parts = [value[at : at + size] for at in range(0, len(value), size)]
    return {
        number: choice(0xC1, number, number == len(parts), part)
        for number, part in enumerate(parts, 1)
    }


def get_block(invoke: int, number: int, last: bool, part: bytes) -> bytes:
    head = bytes((0xC4, 2, invoke, last)) + number.to_bytes(4, "big") + b"\x00"
    return head + encode_length(len(part)) + part


def asked_block(request: bytes) -> int:
    """Return the number of the block that follows the one a request names."""
    return int.from_bytes(request[3:7], "big") + 1 if request[1] == 2 else 1


class TestBlocksOfGet:
    def serve(self, value: bytes, size: int = 50) -> Answering:
        answers = blocks(value, size, get_block)
        return lambda request: [answers[asked_block(request)]]

    def test_all_blocks_are_put_together(self, meter: Meter) -> None:
        assert meter.hold(meter.services.get(CLOCK), self.serve(encode(LONG))) == LONG
        assert meter.heard[1] == h("C0 02 C1 00 00 00 01")
        assert len(meter.heard) == 5
        assert meter.link.repeatable == [True, False, False, False, False]

    def test_blocks_of_a_list(self, meter: Meter) -> None:
        value = b"\x02\x00" + encode(LONG) + b"\x01\x03"
        first, second = meter.hold(meter.services.get_list([ENERGY, SCALER]), self.serve(value, 9))
        assert first == LONG
        assert isinstance(second, ObjectError)
        assert second.code == 3

    def test_endless_empty_blocks_end(self, meter: Meter) -> None:
        with pytest.raises(ProtocolError, match="blocks were empty"):
            meter.hold(
                meter.services.get(CLOCK), lambda r: [get_block(0xC1, asked_block(r), False, b"")]
            )
        assert len(meter.heard) == MAX_EMPTY_BLOCKS + 1

    def test_endless_blocks_end(self, meter: Meter) -> None:
        with pytest.raises(ProtocolError, match="does not end"):
            meter.hold(
                meter.services.get(CLOCK),
                lambda r: [get_block(0xC1, asked_block(r), False, bytes(0xFFFF))],
            )

    @pytest.mark.parametrize("wrong", [2, 7, 0xFFFFFFFF])
    def test_a_transfer_does_not_begin_in_the_middle(self, meter: Meter, wrong: int) -> None:
        with pytest.raises(ProtocolError, match=f"block {wrong} came"):
            meter.hold(meter.services.get(CLOCK), in_turn(get_block(0xC1, wrong, False, b"\x09")))

    @pytest.mark.parametrize("wrong", [3, 0])
    def test_a_block_in_the_wrong_place_is_refused(self, meter: Meter, wrong: int) -> None:
        answers = (get_block(0xC1, 1, False, b"\x09"), get_block(0xC1, wrong, True, b"\x00"))
        with pytest.raises(ProtocolError, match=f"block {wrong} came instead of block 2"):
            meter.hold(meter.services.get(CLOCK), in_turn(*answers))

    def test_the_first_block_may_come_twice(self, meter: Meter) -> None:
        first, last = get_block(0xC1, 1, False, b"\x09"), get_block(0xC1, 2, True, b"\x00")
        answers = {1: [first, first], 2: [last]}
        result = meter.hold(meter.services.get(CLOCK), lambda r: answers[asked_block(r)])
        assert result == Data(DataType.OCTET_STRING, b"")

    @pytest.mark.parametrize("end", ["C4 02 C1 01 00 00 00 02 01 0F", "C4 01 C1 01 0F"])
    def test_a_transfer_that_the_meter_aborts(self, meter: Meter, end: str) -> None:
        answers = in_turn(get_block(0xC1, 1, False, b"\x09"), h(end))
        result = meter.hold(meter.services.get(CLOCK), answers)
        assert isinstance(result, ObjectError)
        assert result.code == 15

    @pytest.mark.parametrize("end", ["C4 02 C1 01 00 00 00 02 01 0F", "C4 01 C1 01 0F"])
    def test_a_list_that_the_meter_aborts(self, meter: Meter, end: str) -> None:
        answers = in_turn(get_block(0xC1, 1, False, b"\x09"), h(end))
        with pytest.raises(ServiceError, match="long-get-aborted"):
            meter.hold(meter.services.get_list([ENERGY, SCALER]), answers)


class TestGetList:
    def test_each_item_has_its_own_result(self, meter: Meter) -> None:
        first, second = meter.get_list("C4 03 C1 02 00 06 00 00 00 07 01 04")
        assert first == Data(DataType.DOUBLE_LONG_UNSIGNED, 7)
        assert isinstance(second, ObjectError)
        assert "attribute 3" in str(second)
        assert meter.heard == [
            h("C0 03 C1 02 00 03 01 01 01 08 00 FF 02 00 00 03 01 01 01 08 00 FF 03 00")
        ]

    def test_empty_arrays_and_nothing_keep_their_places(self, meter: Meter) -> None:
        assert meter.get_list("C4 03 C1 02 00 01 00 00 00") == [
            Data(DataType.ARRAY, ()),
            Data(DataType.NULL),
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            "C4 03 C1 01 00 11 01",
            "C4 03 C1 03 00 11 01 00 11 01 00 11 01",
            "C4 03 C1 00",
            "C4 03 C1 02 00 11 01",
            "C4 03 C1 02 00 11 01 00 11",
            "C4 03 C1 84 FF FF FF FF 00 11 01",
            "C4 03 C1 02 00 11 01 00 11 01 55",
            "C4 03 C1 02 07 11 01 00 11 01",
            "C4 01 C1 01 03",
            "C4 01 C1 00 11 01",
            "C4 09 C1 00",
            "D8 01 02",
            "0E 05 03 02",
        ],
    )
    def test_lists_that_make_no_sense_can_be_asked_for_singly(
        self, meter: Meter, answer: str
    ) -> None:
        with pytest.raises(ServiceError):
            meter.get_list(answer)


class TestSet:
    def test_the_request_and_the_answer_of_a_real_meter(self, meter: Meter) -> None:
        assert meter.hold(meter.services.set(CLOCK, TIME), in_turn(h("C5 01 81 00"))) is None
        assert meter.heard == [
            h("C1 01 C1 00 08 00 00 01 00 00 FF 02 00 09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00")
        ]
        assert meter.link.repeatable == [False]

    def test_what_the_meter_will_not_take(self, meter: Meter) -> None:
        error = meter.hold(meter.services.set(CLOCK, TIME), in_turn(h("C5 01 C1 03")))
        assert error is not None
        assert error.code == 3

    def test_a_list(self, meter: Meter) -> None:
        writes = [(CLOCK, TIME), (ENERGY, Data(DataType.UNSIGNED, 1))]
        first, second = meter.hold(meter.services.set_list(writes), in_turn(h("C5 05 C1 02 00 0C")))
        assert first is None
        assert second is not None
        assert second.code == 12
        assert meter.heard[0] == (
            h("C1 04 C1 02 00 08 00 00 01 00 00 FF 02 00 00 03 01 01 01 08 00 FF 02 00 02")
            + encode(TIME)
            + h("11 01")
        )

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            ("C5 05 C1 03 00 00 00", "3 results"),
            ("C5 04 C1 00", "cut short"),  # gurux.dlms 4.0.47, which knows no such list
        ],
    )
    def test_a_list_answered_by_no_such_list(self, meter: Meter, answer: str, problem: str) -> None:
        talk = meter.services.set_list([(CLOCK, TIME), (CLOCK, TIME)])
        with pytest.raises(ServiceError, match=problem):
            meter.hold(talk, in_turn(h(answer)))

    @pytest.mark.parametrize("count", [1, 2])
    def test_a_long_value_goes_in_blocks(self, count: int) -> None:
        meter = Meter(room=60)
        taken = bytearray()

        def answering(request: bytes) -> Iterable[bytes]:
            assert len(request) <= 60
            start = {2: 13, 5: 4 + 10 * count, 3: 3}[request[1]]
            last, number = request[start], request[start + 1 : start + 5]
            taken.extend(request[start + 6 :])
            if not last:
                return [h("C5 02 C1") + number]
            return [h("C5 03 C1 00") + number if count == 1 else h("C5 04 C1 02 00 03") + number]

        if count == 1:
            assert meter.hold(meter.services.set(CLOCK, LONG), answering) is None
            assert taken == encode(LONG)
        else:
            talk = meter.services.set_list([(CLOCK, LONG), (ENERGY, TIME)])
            first, second = meter.hold(talk, answering)
            assert first is None
            assert second is not None
            assert taken == b"\x02" + encode(LONG) + encode(TIME)

    def test_a_transfer_that_the_meter_aborts(self) -> None:
        meter = Meter(room=60)
        answers = in_turn(h("C5 02 C1 00 00 00 01"), h("C5 03 C1 11 00 00 00 02"))
        error = meter.hold(meter.services.set(CLOCK, LONG), answers)
        assert error is not None
        assert error.code == 17

    def test_a_block_that_was_not_sent_is_not_taken(self) -> None:
        meter = Meter(room=60)
        with pytest.raises(ProtocolError, match="block 2 was taken instead of 1"):
            meter.hold(meter.services.set(CLOCK, LONG), in_turn(h("C5 02 C1 00 00 00 02")))

    @pytest.mark.parametrize("early", ["C5 01 C1 00", "C5 03 C1 00 00 00 00 01", "C5 05 C1 01 00"])
    def test_success_before_the_last_block_is_none(self, early: str) -> None:
        meter = Meter(room=60)
        with pytest.raises(ProtocolError, match="SetDone is no answer"):
            meter.hold(meter.services.set(CLOCK, LONG), in_turn(h(early)))

    def test_what_fits_no_pdu_is_not_sent(self) -> None:
        meter = Meter(room=20)
        with pytest.raises(ServiceError, match="does not fit a PDU of 20"):
            meter.hold(meter.services.set(CLOCK, LONG), in_turn())
        assert meter.heard == []


class TestAction:
    @pytest.mark.parametrize(
        ("answer", "returned"),
        [
            ("C7 01 C1 00 00", None),
            ("C7 01 C1 00", None),
            ("C7 01 C1 00 01 01 00", None),  # success, and a Data-Access-Result of success
            ("C7 01 C1 00 01 00 11 05", Data(DataType.UNSIGNED, 5)),
        ],
    )
    def test_a_method_is_carried_out(
        self, meter: Meter, answer: str, returned: Data | None
    ) -> None:
        argument = Data(DataType.INTEGER, 0)
        assert meter.hold(meter.services.action(RELAY, argument), in_turn(h(answer))) == returned
        assert meter.heard == [h("C3 01 C1 00 46 00 00 60 03 0A FF 01 01 0F 00")]
        assert meter.link.repeatable == [False]

    def test_no_argument(self, meter: Meter) -> None:
        meter.hold(meter.services.action(RELAY, None), in_turn(h("C7 01 C1 00 00")))
        assert meter.heard == [h("C3 01 C1 00 46 00 00 60 03 0A FF 01 00")]

    @pytest.mark.parametrize("answer", ["C7 01 C1 03 00", "C7 01 C1 03", "C7 01 C1 00 01 01 03"])
    def test_what_the_meter_will_not_do(self, meter: Meter, answer: str) -> None:
        with pytest.raises(ObjectError, match="read-write-denied"):
            meter.hold(meter.services.action(RELAY, None), in_turn(h(answer)))

    @pytest.mark.parametrize("result", [encode(LONG), b"\x00\x01\x00" + encode(LONG)])
    def test_what_it_returns_in_blocks(self, meter: Meter, result: bytes) -> None:
        def block(invoke: int, number: int, last: bool, part: bytes) -> bytes:
            head = bytes((0xC7, 2, invoke, last)) + number.to_bytes(4, "big")
            return head + encode_length(len(part)) + part

        answers = blocks(result, 50, block)
        talk = meter.services.action(RELAY, None)
        assert meter.hold(talk, lambda request: [answers[asked_block(request)]]) == LONG
        assert meter.heard[1] == h("C3 02 C1 00 00 00 01")

    def test_success_before_the_last_block_is_none(self) -> None:
        meter = Meter(room=60)
        with pytest.raises(ProtocolError, match="ActionDone is no answer"):
            meter.hold(meter.services.action(RELAY, LONG), in_turn(h("C7 01 C1 00 00")))

    def test_an_argument_that_the_meter_refuses_midway(self) -> None:
        meter = Meter(room=60)
        with pytest.raises(ObjectError, match="long-set-aborted"):
            meter.hold(meter.services.action(RELAY, LONG), in_turn(h("C7 01 C1 11 00")))

    def test_a_long_argument_goes_in_blocks(self) -> None:
        meter = Meter(room=60)
        taken = bytearray()

        def answering(request: bytes) -> Iterable[bytes]:
            assert len(request) <= 60
            start = {4: 12, 6: 3}[request[1]]
            taken.extend(request[start + 6 :])
            number = request[start + 1 : start + 5]
            return [h("C7 01 C1 00 00") if request[start] else h("C7 04 C1") + number]

        assert meter.hold(meter.services.action(RELAY, LONG), answering) is None
        assert taken == encode(LONG)
        assert meter.heard[0][:12] == h("C3 04 C1 00 46 00 00 60 03 0A FF 01")


ANSWERS = [
    "C4 01 C1 00 02 02 0F FD 16 21",
    "C4 03 C1 02 00 06 00 00 00 07 01 04",
    "C4 02 C1 00 00 00 00 01 00 02 09 05",
    "C4 02 C1 01 00 00 00 01 00 02 11 05",
    "C5 01 C1 00",
    "C7 02 C1 01 00 00 00 01 02 11 05",
    "C7 01 C1 00 01 00 09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00",
    "D8 01 02",
]


@given(st.sampled_from(ANSWERS), st.data())
def test_mutated_answers_raise_nothing_but_ours(answer: str, draw: st.DataObject) -> None:
    octets = bytearray(h(answer))
    for _ in range(draw.draw(st.integers(1, 3))):
        octets[draw.draw(st.integers(0, len(octets) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(1, len(octets)))
    talks: list[Callable[[LogicalNames], Talk[object]]] = [
        lambda services: services.get(CLOCK),
        lambda services: services.get_list([ENERGY, SCALER]),
        lambda services: services.set(CLOCK, TIME),
        lambda services: services.action(RELAY, None),
    ]
    for talk in talks:
        meter = Meter()
        with contextlib.suppress(DlmsError):
            meter.hold(talk(meter.services), lambda _: [bytes(octets[:cut])])
