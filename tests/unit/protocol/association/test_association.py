"""Associations, against the frames of meters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from dlms_connector.config.model import Dlms, Workarounds
from dlms_connector.errors import ProtocolError, RefusedError
from dlms_connector.protocol.acse.acse import Aare, Context, encode_release
from dlms_connector.protocol.acse.initiate import InitiateResponse
from dlms_connector.protocol.association.association import Association
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

#: As captured, but for its second octet: the client that was listened to announced 36 and
#: sent 38 octets, which its meter did not mind.
AARQ_LOW = bytes.fromhex(
    "60 38 A1 09 06 07 60 85 74 05 08 01 01 8A 02 07 80 8B 07 60 85 74 05 08 02 01"
    "AC 0C 80 0A 32 32 32 32 32 32 32 32 32 32 BE 10 04 0E 01 00 00 00 06 5F 1F 04"
    "00 00 7E 1F 04 B0"
)
AARE_ACCEPTED = bytes.fromhex(
    "61 29 A1 09 06 07 60 85 74 05 08 01 01 A2 03 02 01 00 A3 05 A1 03 02 01 00"
    "BE 10 04 0E 08 00 06 5F 1F 04 00 00 30 1D 19 00 00 07"
)


class Meter:
    """A data link whose far end answers whole APDUs."""

    def __init__(self, *answers: bytes | Callable[[bytes], bytes]) -> None:
        self._answers = list(answers)
        self.heard: list[bytes] = []

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        self.heard.append(apdu)
        answer = self._answers.pop(0)
        yield from ()
        return answer if isinstance(answer, bytes) else answer(apdu)

    def connect(self) -> Talk[None]:
        yield from ()

    disconnect = connect

    def receive(self) -> Talk[bytes]:
        return self.exchange(b"")


def finish(talk: Talk[T]) -> T:
    """Run a talk that needs no bytes from outside."""
    try:
        next(talk)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("the talk waits for bytes")


def association(workarounds: Workarounds | None = None, **dlms: Any) -> Association:
    return Association(Dlms(**dlms), workarounds or Workarounds(), None)


def test_low_password_of_ten_twos() -> None:
    meter = Meter(AARE_ACCEPTED)
    mine = association(Workarounds(max_pdu=1200), authentication="LOW", password="2222222222")
    agreed = finish(mine.open(meter))
    assert meter.heard == [AARQ_LOW]
    assert agreed.conformance == {
        "attribute0-with-get",
        "block-transfer-with-get",
        "get",
        "set",
        "selective-access",
        "action",
    }
    assert agreed.max_pdu == 0x1900
    assert agreed.dlms_version == 6
    assert agreed.server_system_title is None


def aare(result: int = 0, diagnostic: int = 0, **fields: Any) -> bytes:
    information = InitiateResponse(frozenset({"get"}), 500).encode()
    fields = {"user_information": information, "context": Context.LN, **fields}
    return Aare(result=result, diagnostic=diagnostic, **fields).encode()


def test_no_authentication() -> None:
    meter = Meter(aare())
    assert finish(association().open(meter)).max_pdu == 500
    assert meter.heard == [
        bytes.fromhex("601DA1090607608574050801 01BE10040E01000000065F1F040000 7E1F FFFF")
    ]


def test_what_the_meter_pushes_meanwhile_is_passed_over() -> None:
    pushed = bytes.fromhex("0F 00000001 00 00")
    meter = Meter(pushed, pushed, aare())
    assert finish(association().open(meter)).max_pdu == 500
    assert meter.heard[1:] == [b"", b""]
    with pytest.raises(ProtocolError, match="came instead of an AARE"):
        finish(association().open(Meter(*[pushed] * 99)))


@pytest.mark.parametrize(
    ("diagnostic", "words", "key"),
    [
        (1, "rejected-permanent, no-reason-given", "dlms.clientAddress"),
        (2, "application-context-name-not-supported", "dlms.referencing"),
        (11, "authentication-mechanism-name-not-recognised", "dlms.authentication"),
        (13, "authentication-failure", "dlms.password"),
        (14, "authentication-required", "dlms.authentication"),
        (99, "diagnostic 99", "dlms.clientAddress"),
    ],
)
def test_refusals_name_the_key(diagnostic: int, words: str, key: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        finish(association().open(Meter(aare(1, diagnostic, user_information=None))))
    assert key in caught.value.hint


def test_refused_by_the_provider() -> None:
    with pytest.raises(RefusedError, match="no-common-acse-version"):
        finish(association().open(Meter(aare(2, 2, by_provider=True))))


def test_refused_by_the_xdlms_layer() -> None:
    with pytest.raises(RefusedError, match="initiate: pdu-size-too-short"):
        finish(association().open(Meter(aare(1, 1, user_information=b"\x0e\x01\x06\x03"))))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x61",
        aare()[:-5],
        aare(user_information=None),
        aare(user_information=b""),
        aare(user_information=b"garbage"),
        aare(context=Context.SN),
        aare(context=None),
        bytes.fromhex("C4 01 C1 00 09 00"),
    ],
)
def test_nonsense(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        finish(association().open(Meter(answer)))


@pytest.mark.parametrize(
    ("answer", "max_pdu"),
    [
        (aare()[:1] + b"\x2a" + aare()[2:], 500),
        (aare()[:1] + b"\x28" + aare()[2:], 500),
        (aare() + b"\x00\x00", 500),
        (aare()[:-1], 500),
        (aare()[:-2], 500),
        (aare()[:-3], 128),
        (b"\xe6\xe7\x00" + aare(), 500),
        (b"\xe6\xe7\x00\xe6\xe7\x00" + aare(), 500),
        (b"\xe6\xe6\x00" + aare(), 500),
    ],
)
def test_an_aare_that_is_not_quite_right_is_taken_and_told_once(
    answer: bytes, max_pdu: int
) -> None:
    told: list[str] = []
    mine = Association(Dlms(), Workarounds(), None, Remarks(told.append))
    for _ in range(3):
        assert finish(mine.open(Meter(answer))).max_pdu == max_pdu
    assert len(told) in (1, 2)
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("asked", "told", "key"),
    [
        ("LN", Context.SN, "set dlms.referencing to SN"),
        ("SN", Context.LN, "set dlms.referencing to LN"),
    ],
)
def test_an_aare_for_the_other_kind_of_names(asked: str, told: Context, key: str) -> None:
    for result, error in ((0, ProtocolError), (1, RefusedError)):
        with pytest.raises(error) as caught:
            finish(association(referencing=asked).open(Meter(aare(result, result, context=told))))
        assert key in caught.value.hint
    assert "short names" in str(caught.value) or "no-reason" in str(caught.value)


def test_another_mechanism_than_a_password_is_told() -> None:
    told: list[str] = []
    mine = Association(
        Dlms(authentication="LOW", password="1"), Workarounds(), None, Remarks(told.append)
    )
    assert finish(mine.open(Meter(aare(mechanism=2)))).max_pdu == 500
    assert "names the mechanism HIGH" in told[0]
    assert "dlms.authentication" in told[0]


UNASKED = [
    "0F 40000001 00 02 01 11 05",
    "10 40000001 00",
    "18 00 01 02 FA 08 00",
    "C2 00 0001 0000600100FF 02 11 05",
    "CA 12 30 00000001 00112233445566778899AABB",
    "38 12 30 00000001 00112233445566778899AABB",
    "DB 08 4D4D4D0000BC614E 12 30 00000001 00112233445566778899AABB",
    "DC 08 4D4D4D0000BC614E 12 30 00000001 00112233445566778899AABB",
    "DD 00 00 00 00 00 00 05 20 00000001",
    "DF 00 00 00 00 00 03 0F0000 04 01020304",
    "E0 40 0001 0000 03 0F4000",
]


@pytest.mark.parametrize("pushed", UNASKED)
def test_what_is_pushed_before_the_aare_costs_nothing(pushed: str) -> None:
    heard: list[bytes] = []
    mine = Association(Dlms(), Workarounds(), None, Remarks(on_unasked=heard.append))
    push = bytes.fromhex(pushed)
    assert finish(mine.open(Meter(push, push, aare()))).max_pdu == 500
    assert heard == [push, push]


def test_blocks_of_a_push_before_the_aare_are_one_push() -> None:
    blocks = [bytes.fromhex(f"E0 40 {number:04X} 0000 02 0000") for number in range(1, 200)]
    last = bytes.fromhex("E0 C0 00C8 0000 02 0000")
    assert finish(association().open(Meter(*blocks, last, aare()))).max_pdu == 500


@pytest.mark.parametrize("late", ["C4 01 C1 00 11 05", "0C 01 00 11 05", "CC 05 10 00", "63 00"])
def test_a_late_answer_before_the_aare_costs_nothing_over_the_wrapper(late: str) -> None:
    mine = association(interface_type="WRAPPER")
    assert finish(mine.open(Meter(bytes.fromhex(late), aare()))).max_pdu == 500


@pytest.mark.parametrize("context", [Context.LN_CIPHERED, Context.SN_CIPHERED])
def test_an_aare_that_names_ciphering_that_nobody_asked_for(context: Context) -> None:
    # jDLMS 1.8.0 answers so to any AARQ with a password.
    assert finish(association().open(Meter(aare(context=context)))).max_pdu == 500


def test_release_is_tolerant() -> None:
    crooked = (b"\x63\x00", b"\x63\x04\x80\x01\x00", b"\x63\x03\x80\x01\x00\x00", b"\x63")
    for answer in (encode_release(0x63), *crooked, b"\xd8\x01\x01", b""):
        meter = Meter(answer)
        finish(association(interface_type="WRAPPER").close(meter))
        assert meter.heard == [bytes.fromhex("6203800100")]


def test_the_disc_of_hdlc_is_release_enough() -> None:
    meter = Meter()
    finish(association(interface_type="HDLC").close(meter))
    assert meter.heard == []
