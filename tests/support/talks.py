"""Drives talks without IO: a peer is a function from what was sent to what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

#: Told what was sent, returns what arrives for it; b"" is silence.
Peer = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Way:
    """How the bytes of a peer arrive: in which portions, and what follows each answer."""

    name: str
    at_once: int = 1 << 30
    trailing: bytes = b""


WHOLE = Way("whole")
DRIBBLED = Way("one byte at a time", at_once=1)


def trailed_by(data: bytes) -> Way:
    """Return a way in which every answer has bytes behind it."""
    return Way(f"with {len(data)} trailing bytes", trailing=data)


@dataclass
class Script:
    """A peer that gives its answers in turn, then is silent. Remembers what it heard."""

    answers: Iterable[bytes]
    heard: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = iter(self.answers)

    def __call__(self, sent: bytes) -> bytes:
        self.heard.append(sent)
        return next(self._left, b"")


def drive(talk: Talk[T], peer: Peer, way: Way = WHOLE, *, most_silences: int = 100) -> T:
    """Run a talk to its end and return its result; what it raises is raised."""
    waiting = b""
    try:
        out = next(talk)
        while True:
            if out and (answer := peer(bytes(out))):
                waiting += answer + way.trailing
            data, waiting = waiting[: way.at_once], waiting[way.at_once :]
            if not data:
                most_silences -= 1
                assert most_silences >= 0, "the talk listens for ever"
            out = talk.send(data)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        talk.close()
