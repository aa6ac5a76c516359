"""Questions and their answers: protection, late answers, refusals."""

from __future__ import annotations

import pytest

from dlms_connector.errors import (
    DlmsError,
    LinkTimeoutError,
    ProtocolError,
    RepeatedError,
    SecurityError,
    ServiceError,
)
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.services.conversation import MAX_PASSED_OVER, Conversation, InvokeIds
from tests.support.apdus import Open, PlainLink, hold, in_turn


def h(text: str) -> bytes:
    return bytes.fromhex(text)


GET = h("C0 01 C3 00 08 00 00 01 00 00 FF 02 00")
ANSWER = h("C4 01 C3 00 11 01")


class Sealed(Open):
    """Protection that anybody can see through: an octet in front."""

    ciphered = True

    def protect(self, apdu: bytes) -> bytes:
        return b"\xff" + apdu

    def unprotect(self, apdu: bytes) -> bytes:
        if apdu[:1] != b"\xff":
            raise SecurityError("deciphering", "it came in clear")
        return apdu[1:]


def ask(*answers: bytes, request: bytes = GET, previous: bytes = b"") -> bytes:
    conversation = Conversation(PlainLink(), Open())
    return hold(conversation.ask(request, "testing", previous=previous), lambda _: answers)


def test_an_answer() -> None:
    assert ask(ANSWER) == ANSWER


@pytest.mark.parametrize("flags", ["03", "83", "43", "C3"])
def test_priority_and_service_class_need_not_come_back(flags: str) -> None:
    answer = h(f"C4 01 {flags} 00 11 01")
    assert ask(answer) == answer


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("C1 01 C1 00", "C5 01 C1 00"),
        ("C3 01 C1 00", "C7 01 C1 00"),
        ("D9 C0 00 00 07 00", "DA C0 00 00 07 00"),
        ("05 01 02 FA 08", "0C 01 00 00"),
        ("06 01 02 FA 08 01 00", "0D 01 00"),
    ],
)
def test_every_service_has_its_answer(request_: str, answer: str) -> None:
    assert ask(ANSWER, h(answer), request=h(request_)) == h(answer)


def test_requests_and_answers_are_protected() -> None:
    link, heard = PlainLink(), list[bytes]()
    conversation = Conversation(link, Sealed())
    talk = conversation.ask(GET, "testing", repeatable=True)
    assert hold(talk, in_turn(b"\xff" + ANSWER), heard) == ANSWER
    assert heard == [b"\xff" + GET]
    assert link.repeatable == [False]  # the same octets again would be a replay
    with pytest.raises(SecurityError):
        hold(conversation.ask(GET, "testing"), in_turn(ANSWER))


class Counted(Sealed):
    """The octet in front counts."""

    count = 0

    def protect(self, apdu: bytes) -> bytes:
        self.count += 1
        return bytes([self.count]) + apdu


def test_a_ciphered_read_is_asked_again_with_another_counter() -> None:
    link, heard = PlainLink(), list[bytes]()
    conversation = Conversation(link, Counted(), afresh=2)
    lossy = in_turn(b"", b"", b"\xff" + ANSWER)
    talk = conversation.ask(GET, "testing", repeatable=True)
    assert hold(talk, lossy, heard) == ANSWER
    assert heard == [bytes([count]) + GET for count in (1, 2, 3)]
    assert link.repeatable == [False] * 3
    with pytest.raises(LinkTimeoutError) as caught:
        hold(conversation.ask(GET, "testing", repeatable=True), in_turn())
    assert caught.value.tries == 3
    with pytest.raises(LinkTimeoutError, match="asked once"):
        hold(conversation.ask(GET, "testing"), in_turn())


@pytest.mark.parametrize("unasked", ["0F 00000001 00 00", "C2 00 00 03", "18 00"])
def test_what_is_said_unasked_in_clear_is_passed_over(unasked: str) -> None:
    conversation = Conversation(PlainLink(), Sealed())
    answers = [h(unasked), b"\xff" + ANSWER]
    assert hold(conversation.ask(GET, "testing"), lambda _: answers) == ANSWER
    with pytest.raises(ProtocolError, match="to something else"):
        hold(conversation.ask(GET, "testing"), lambda _: answers[:1])


def test_a_block_that_comes_again_is_passed_over() -> None:
    block, following = h("C4 02 C3 00 00 00 00 01 00 00"), h("C4 02 C3 01 00 00 00 02 00 00")
    request = h("C0 02 C3 00 00 00 01")
    assert ask(block, following, request=request, previous=block) == following


def test_silence() -> None:
    with pytest.raises(LinkTimeoutError):
        ask()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("C4 01 C0 00 11 01", "invoke-id 0 instead of 3; .*workarounds.fixedInvokeId"),
        ("C5 01 C3 00", "the only answer was to something else"),
        ("C4 01", "the only answer was to something else"),
    ],
)
def test_only_other_answers(answer: str, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        ask(h(answer))


def test_a_flood_of_other_answers() -> None:
    with pytest.raises(ProtocolError, match=f"{MAX_PASSED_OVER} answers came"):
        ask(*[h("C4 01 C2 00 11 01")] * 1000)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("D8 01 02", "testing: service-not-allowed, service-not-supported"),
        ("0E 05 03 01", "testing: service: pdu-size"),
    ],
)
def test_refusals(answer: str, problem: str) -> None:
    with pytest.raises(ServiceError, match=problem):
        ask(h("C4 01 C2 00 11 01"), h(answer))


def test_what_is_repeatable_is_asked_again_when_a_late_answer_took_its_time() -> None:
    late, heard = h("C4 01 C2 00 11 02"), list[bytes]()
    conversation = Conversation(PlainLink(), Open(), afresh=1)
    talk = conversation.ask(GET, "testing", repeatable=True)
    assert hold(talk, in_turn(late, ANSWER), heard) == ANSWER
    assert heard == [GET, GET]
    with pytest.raises(ProtocolError, match="invoke-id 2 instead of 3"):
        hold(conversation.ask(GET, "testing", repeatable=True), in_turn(late, late))
    with pytest.raises(ProtocolError, match="invoke-id 2 instead of 3"):
        hold(conversation.ask(GET, "testing"), in_turn(late, ANSWER))


def test_invoke_ids() -> None:
    counting = Conversation(PlainLink(), Open())
    assert [counting.next_invoke_id() for _ in range(17)] == [*range(1, 16), 1, 2]
    ids = InvokeIds()
    for expected in ([1, 2], [3, 4]):  # one association after the other
        associated = Conversation(PlainLink(), Open(), None, ids)
        assert [associated.next_invoke_id() for _ in range(2)] == expected
    fixed = Conversation(PlainLink(), Open(), 7)
    assert [fixed.next_invoke_id() for _ in range(2)] == [7, 7]


PUSHES = (
    "0F 40000001 00 02 01 11 05",
    "18 00 01 02 FA 08 00",
    "C2 00 0001 0000600100FF 02 11 05",
    "CA 12 30 00000001 00112233445566778899AABB",
    "D2 12 30 00000001 00112233445566778899AABB",
    "DB 08 4D4D4D0000BC614E 12 30 00000001 00112233445566778899AABB",
    "DD 00 00 00 00 00 00 05 20 00000001",
    "DF 00 00 00 00 00 03 0F0000 04 01020304",
    "E0 40 0001 0000 03 0F4000",
)


class Plain(Open):
    """No protection was agreed: what is ciphered is refused."""

    def unprotect(self, apdu: bytes) -> bytes:
        if apdu[:1] in (b"\xdb", b"\xdf"):
            raise ProtocolError("reading a reply", "it is ciphered")
        return apdu


@pytest.mark.parametrize("pushed", PUSHES)
@pytest.mark.parametrize("request_", ["C0", "05"])
def test_a_push_before_an_answer_costs_nothing_and_is_passed_on(pushed: str, request_: str) -> None:
    request = {"C0": GET, "05": h("05 01 02 FA 08")}[request_]
    answer = {"C0": ANSWER, "05": h("0C 01 00 11 01")}[request_]
    heard: list[bytes] = []
    conversation = Conversation(PlainLink(), Plain(), remarks=Remarks(on_unasked=heard.append))
    answers = [h(pushed)] * 5 + [answer]
    assert hold(conversation.ask(request, "testing"), lambda _: answers) == answer
    assert heard == [h(pushed)] * 5


def test_a_push_between_blocks_costs_nothing() -> None:
    block, push = h("C4 02 C3 00 00 00 00 01 00 00"), h(PUSHES[0])
    following = h("C4 02 C3 01 00 00 00 02 00 00")
    request = h("C0 02 C3 00 00 00 01")
    assert ask(push, block, push, following, request=request, previous=block) == following


def test_a_push_in_many_blocks_is_one_push() -> None:
    blocks = [h(f"E0 40 {number:04X} 0000 02 0000") for number in range(1, 200)]
    assert ask(*blocks, h("E0 C0 00C8 0000 02 0000"), ANSWER) == ANSWER


def test_a_flood_of_pushes_ends() -> None:
    with pytest.raises(ProtocolError, match="answers came"):
        ask(*[h(PUSHES[0])] * 1000)
    with pytest.raises(ProtocolError, match="answers came"):
        ask(*[h("E0 40 0001 0000 81 FF") + bytes(255)] * 3000)


def test_a_ciphered_apdu_that_is_no_answer_is_told_if_nothing_else_comes() -> None:
    with pytest.raises(SecurityError, match="in clear"):
        hold(
            Conversation(PlainLink(), Sealed()).ask(GET, "testing"),
            in_turn(h(PUSHES[5])),
        )


@pytest.mark.parametrize("octets", ["E6 E7 00", "E6 E7 00 E6 E7 00", "E6 E6 00"])
def test_llc_octets_before_an_apdu_are_taken_off_and_told_once(octets: str) -> None:
    told: list[str] = []
    conversation = Conversation(PlainLink(), Open(), remarks=Remarks(told.append))
    for _ in range(3):
        talk = conversation.ask(GET, "testing")
        assert hold(talk, lambda _: [h(octets) + ANSWER]) == ANSWER
    assert len(told) == 1


class Counting(Sealed):
    """Protection that takes each APDU once."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def unprotect(self, apdu: bytes) -> bytes:
        if apdu in self._seen:
            raise RepeatedError("deciphering", "it came before")
        plain = super().unprotect(apdu)
        self._seen.add(apdu)
        return plain


def converse(*answers: tuple[bytes, ...]) -> tuple[list[bytes], list[DlmsError]]:
    """Ask as often as there are answers; return them, and what was refused."""
    refused: list[DlmsError] = []
    remarks = Remarks(on_refused=refused.append)
    conversation = Conversation(PlainLink(), Counting(), remarks=remarks)
    left = iter(answers)
    found = []
    for _ in answers:
        talk = conversation.ask(GET, "testing", repeatable=True)
        found.append(hold(talk, lambda _: next(left)))
    return found, refused


@pytest.mark.parametrize(
    "first", [b"\xff" + ANSWER, h("61 03 A1 01 02"), h("63 00")], ids=["answer", "AARE", "RLRE"]
)
def test_what_is_played_back_is_refused_and_costs_nothing(first: bytes) -> None:
    """So it looks too if a converter or a network delivers an answer twice."""
    other = h("C4 01 C3 00 11 02")
    found, refused = converse((b"\xff" + ANSWER,), (first, b"\xff" + other))
    assert found == [ANSWER, other]
    assert [isinstance(error, SecurityError) for error in refused] == [True]


def test_what_is_played_back_is_told_if_nothing_else_comes() -> None:
    with pytest.raises(RepeatedError):
        converse((b"\xff" + ANSWER,), (b"\xff" + ANSWER,))


def test_a_flood_of_what_is_played_back_ends() -> None:
    with pytest.raises(RepeatedError):
        converse((b"\xff" + ANSWER,), (b"\xff" + ANSWER,) * 1000)


def test_an_answer_in_clear_is_waited_for_no_longer() -> None:
    with pytest.raises(SecurityError, match="in clear"):
        converse((ANSWER, b"\xff" + ANSWER))
