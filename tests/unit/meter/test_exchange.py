from __future__ import annotations

import asyncio

import pytest

from dlms_connector.errors import LinkClosedError, LinkTimeoutError, ProtocolError
from dlms_connector.meter.exchange import converse
from dlms_connector.protocol.directive import Directive, LineSettings, Pause
from dlms_connector.protocol.talk import Talk
from tests.support.links import FakeLink
from tests.support.talks import Script

closed: list[str] = []


def ask(*questions: bytes) -> Talk[list[bytes]]:
    """Ask, give up never, return what was answered."""
    closed.clear()
    answers = []
    try:
        for question in questions:
            answers.append((yield question))
    finally:
        closed.append("closed")
    return answers


async def test_questions_and_answers() -> None:
    link = FakeLink(Script([b"A", b"B"]))
    assert await converse(ask(b"a", b"b"), link, timeout_s=1) == [b"A", b"B"]
    assert link.sent == [b"a", b"b"]


async def test_a_talk_without_a_word() -> None:
    link = FakeLink(Script([]))
    assert await converse(ask(), link, timeout_s=1) == []
    assert link.sent == []


async def test_silence_is_told() -> None:
    link = FakeLink(Script([b"", b"B"]))
    assert await converse(ask(b"a", b"b", b""), link, timeout_s=1) == [b"", b"B", b""]


async def test_the_time_for_a_reply_begins_with_the_question() -> None:
    link = FakeLink(Script([b"A", b"B"]))
    await converse(ask(b"a", b"", b"b"), link, timeout_s=100)
    first, second, third = link.deadlines
    assert first == second  # what trickles in does not prolong it
    assert third > second
    assert first - asyncio.get_running_loop().time() == pytest.approx(100, abs=5)


async def test_after_silence_the_time_begins_again() -> None:
    link = FakeLink(Script([b""]))
    await converse(ask(b"a", b"", b""), link, timeout_s=100)
    first, second, third = link.deadlines
    assert first < second < third


async def test_the_whole_is_bounded() -> None:
    link = FakeLink(Script([]))
    with pytest.raises(LinkTimeoutError) as caught:
        await converse(ask(b"a", b"b"), link, timeout_s=100, overall_s=0)
    assert (caught.value.tries, caught.value.received) == (1, 0)
    assert closed == ["closed"]


async def test_a_talk_may_return_what_it_has_when_the_time_is_over() -> None:
    def talk() -> Talk[str]:
        try:
            yield b"a"
        except LinkTimeoutError:
            return "at least this"
        return "all"

    assert await converse(talk(), FakeLink(Script([])), timeout_s=9, overall_s=0) == "at least this"


async def test_a_talk_that_will_not_end_is_ended() -> None:
    def talk() -> Talk[None]:
        try:
            yield b"a"
        except LinkTimeoutError:
            yield b"one more"

    with pytest.raises(LinkTimeoutError):
        await converse(talk(), FakeLink(Script([])), timeout_s=9, overall_s=0)


async def test_the_peer_hangs_up() -> None:
    link = FakeLink(Script([b"AB"]), hangs_up_after=1)
    with pytest.raises(LinkClosedError) as caught:
        await converse(ask(b"a", b"", b"b"), link, timeout_s=1)
    assert caught.value.received == 2
    assert closed == ["closed"]


async def test_a_goodbye_may_find_nobody() -> None:
    def goodbye() -> Talk[str]:
        try:
            yield b"bye"
        except LinkClosedError:
            return "gone already"
        return "bye"

    link = FakeLink(Script([]))
    await link.close()
    assert await converse(goodbye(), link, timeout_s=1) == "gone already"


async def test_errors_of_the_talk_pass() -> None:
    def talk() -> Talk[None]:
        yield b"a"
        raise ProtocolError("testing", "what came")

    with pytest.raises(ProtocolError, match="what came"):
        await converse(talk(), FakeLink(Script([b"A"])), timeout_s=1)


class Deaf(FakeLink):
    """Never receives anything, not even silence."""

    async def receive(self, deadline: float) -> bytes:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def test_cancelling_closes_the_talk() -> None:
    task = asyncio.ensure_future(converse(ask(b"a"), Deaf(Script([])), timeout_s=1))
    await asyncio.sleep(0)
    assert closed == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == ["closed"]


async def test_pause_before_sending() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await converse(ask(b"a", b"b"), FakeLink(Script([b"A", b"B"])), timeout_s=1, pause_s=0.01)
    assert loop.time() - start >= 0.0195


class FakeSerialLink(FakeLink):
    """Has settings; notes in which order things happen."""

    async def configure(self, baudrate: int, bytesize: int, parity: str, stopbits: int) -> None:
        self.sent.append(f"{baudrate} {bytesize}{parity}{stopbits}".encode())


async def test_line_settings_are_applied_behind_what_they_carry() -> None:
    link = FakeSerialLink(Script([b"noise of the change", b"A"]))
    talk = ask(LineSettings(300, 7, "E", send=b"ack"), b"a")
    assert await converse(talk, link, timeout_s=1) == [b"", b"A"]
    assert link.sent == [b"ack", b"300 7E1", b"a"]


async def test_a_link_without_settings_still_sends() -> None:
    link = FakeLink(Script([b"", b"A"]))
    talk = ask(LineSettings(9600), LineSettings(9600, send=b"ack"), b"a")
    assert await converse(talk, link, timeout_s=1) == [b"", b"", b"A"]
    assert link.sent == [b"ack", b"a"]


async def test_a_talk_may_pause_but_not_beyond_its_end() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await converse(ask(Pause(0.01)), FakeLink(Script([])), timeout_s=1)
    assert loop.time() - start >= 0.0095
    await converse(ask(Pause(1000)), FakeLink(Script([])), timeout_s=1, overall_s=0)


async def test_an_unknown_directive_does_nothing() -> None:
    assert await converse(ask(Directive()), FakeLink(Script([])), timeout_s=1) == [b""]


@pytest.mark.parametrize(
    ("questions", "answers", "count"),
    [
        ((b"a", b"a", b"a", b""), [b"", b"", b"A", b"B"], 2),
        ((b"a", b"", b""), [b"", b"", b""], 0),
        ((b"a", b"", b"a"), [b"", b"", b"A"], 1),
        ((Pause(0.0), b"a"), [b"A"], 0),
        ((b"a", Pause(0.0), b"a"), [b"", b"A"], 0),
    ],
    ids=["sent again", "listening on", "sent after listening", "a pause before", "a pause between"],
)
async def test_what_is_sent_again_after_silence_is_counted(
    questions: tuple[bytes, ...], answers: list[bytes], count: int
) -> None:
    repeated: list[bool] = []
    link = FakeLink(Script(answers))
    await converse(ask(*questions), link, timeout_s=1, repeated=lambda: repeated.append(True))
    assert len(repeated) == count
