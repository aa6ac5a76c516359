"""A data link that carries APDUs as they are, and peers that answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from dlms_connector.errors import LinkTimeoutError
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

#: Told a request, returns the answers that arrive for it, none for silence.
Answering = Callable[[bytes], Iterable[bytes]]


class PlainLink:
    """One APDU for one send: no framing, no retries. Raises LinkTimeoutError on silence."""

    def __init__(self) -> None:
        self.repeatable: list[bool] = []

    def connect(self) -> Talk[None]:
        yield from ()

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        self.repeatable.append(repeatable)
        answer = yield apdu
        return self._heard(answer)

    def receive(self) -> Talk[bytes]:
        answer = yield b""
        return self._heard(answer)

    def disconnect(self) -> Talk[None]:
        yield from ()

    @staticmethod
    def _heard(answer: bytes) -> bytes:
        if not answer:
            raise LinkTimeoutError(1, 0)
        return answer


class Open:
    """An association without protection."""

    ciphered = False

    def protect(self, apdu: bytes) -> bytes:
        return apdu

    def unprotect(self, apdu: bytes) -> bytes:
        return apdu


def hold(talk: Talk[T], answering: Answering, heard: list[bytes] | None = None) -> T:
    """Run a talk over a `PlainLink`, each answer arriving when it is listened for."""
    waiting: list[bytes] = []
    try:
        out = next(talk)
        while True:
            if out:
                if heard is not None:
                    heard.append(out)
                waiting += answering(out)
            out = talk.send(waiting.pop(0) if waiting else b"")
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        talk.close()


def in_turn(*answers: bytes) -> Answering:
    """Return a peer that gives its answers one for each request, then is silent."""
    left = iter(answers)
    return lambda _request: [answer for answer in [next(left, b"")] if answer]
