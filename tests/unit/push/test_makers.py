"""Pushes in the shapes of makers' meters: the right values, or none at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dlms_connector.errors import LinkError
from dlms_connector.protocol.datalink import Arrivals, make_arrivals
from dlms_connector.push.caller import Caller
from tests.support.pushes import MAKERS, MakersPush
from tests.support.pushing import NOW_MS, Collected, receiver_of


class Desk:
    """A receiver with one device, and a reader of its line."""

    def __init__(self, push: MakersPush) -> None:
        self.sink = Collected()
        self.receiver = receiver_of(push.loaded, sink=self.sink)
        self.framing = push.framing
        self.caller = Caller("test")
        self.arrivals: Arrivals = make_arrivals(push.framing)

    def feed(self, data: bytes) -> None:
        try:
            for arrival in self.arrivals.feed(data):
                self.receiver.take(arrival.apdu, self.caller, arrival.source)
        except LinkError:
            self.arrivals = make_arrivals(self.framing)

    def silence(self) -> None:
        """Let the time pass in which a push must be complete."""
        self.arrivals.reset()
        self.caller.blocks.clear()


@pytest.fixture(params=MAKERS, ids=lambda push: push.maker)
def push(request: pytest.FixtureRequest) -> MakersPush:
    made: MakersPush = request.param
    return made


def assert_right(push: MakersPush, sink: Collected) -> None:
    values = sink.values
    assert push.values.items() <= values.items(), values
    assert not set(push.missing) & values.keys()
    expected_ms = push.ts_ms or NOW_MS
    assert {one.ts_ms for one in sink.readings} == {expected_ms}
    assert {one.quality for one in sink.readings} == {"good"}


def test_the_right_values(push: MakersPush) -> None:
    desk = Desk(push)
    desk.feed(push.line)
    assert_right(push, desk.sink)
    assert desk.sink.states == [("Meter", "online")]


def test_one_octet_at_a_time(push: MakersPush) -> None:
    desk = Desk(push)
    for octet in push.line:
        desk.feed(bytes((octet,)))
    assert_right(push, desk.sink)


def test_noise_before_and_behind(push: MakersPush) -> None:
    desk = Desk(push)
    desk.feed(b"\x00\xff\x68\x7e\x10" + push.line + b"\x12\x34\x7e")
    assert_right(push, desk.sink)


def test_cut_short_gives_nothing(push: MakersPush) -> None:
    for end in range(len(push.line) - 1):
        desk = Desk(push)
        desk.feed(push.line[:end])
        assert desk.sink.readings == [], end


def test_what_follows_a_push_that_was_cut_short_is_taken(push: MakersPush) -> None:
    for end in range(1, len(push.line) - 1, 7):
        desk = Desk(push)
        desk.feed(push.line[:end] + push.line + (b"" if push.framing == "HDLC" else bytes(300)))
        assert_right(push, desk.sink)


def test_a_lost_beginning_gives_nothing(push: MakersPush) -> None:
    for start in range(1, len(push.line) - 1, 3):
        desk = Desk(push)
        desk.feed(push.line[start:])
        right = {**desk.sink.values}
        assert right.items() <= all_values(push).items(), start


def test_a_flipped_bit_gives_nothing(push: MakersPush) -> None:
    right = all_values(push)
    for line in flipped(push.line):
        desk = Desk(push)
        desk.feed(line)
        desk.feed(bytes(300))
        assert desk.sink.values.items() <= right.items()
        assert {one.ts_ms for one in desk.sink.readings} <= {push.ts_ms or NOW_MS}


@pytest.mark.parametrize(
    "push", [one for one in MAKERS if one.ciphered], ids=lambda push: push.maker, indirect=True
)
def test_a_repetition_is_refused(push: MakersPush) -> None:
    """In clear nothing tells a repetition: it says the same of the same instant."""
    desk = Desk(push)
    desk.feed(push.line)
    count = len(desk.sink.readings)
    desk.silence()
    desk.feed(push.line)
    assert len(desk.sink.readings) == count


def all_values(push: MakersPush) -> dict[str, tuple[Any, str | None]]:
    desk = Desk(push)
    desk.feed(push.line)
    return desk.sink.values


def flipped(line: bytes) -> Iterator[bytes]:
    """Yield the line with one bit changed, at one bit of each octet."""
    for at in range(len(line)):
        changed = bytearray(line)
        changed[at] ^= 1 << (at * 5) % 8
        yield bytes(changed)
