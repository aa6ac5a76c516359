"""Questions and their answers: protection, late answers, refusals."""

from __future__ import annotations

import pytest

from dlms_connector.errors import (
    LinkTimeoutError,
    ProtocolError,
    SecurityError,
    ServiceError,
)
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
