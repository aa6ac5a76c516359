"""What arrives during a talk, kept for the message of its failure."""

from __future__ import annotations

from typing import TypeVar

from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

_MOST = 4096


def seven_bits(data: bytes) -> bytes:
    """Return characters of 7 bits: where the line leaves their parity, it is bit 7."""
    return bytes(octet & 0x7F for octet in data)


def overheard(talk: Talk[T], heard: bytearray) -> Talk[T]:
    """Run a talk; the first octets that arrive for it are added to `heard`."""
    try:
        out = next(talk)
        while True:
            try:
                data = yield out
            except Exception as error:
                out = talk.throw(error)
                continue
            heard += data[: max(0, _MOST - len(heard))]
            out = talk.send(data)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        talk.close()
