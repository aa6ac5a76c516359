"""Where a push comes from, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms_connector.config import AutoCreate, Device
from dlms_connector.errors import ProtocolError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.notifications import Blocks

#: What a push is taken for, in errors.
DOING = "taking a push"


class UnknownMeterError(ProtocolError):
    """No device is configured for the meter that sent a push."""

    symptoms = (Symptom.PUSH_STRANGER,)

    def __init__(self, told: str) -> None:
        super().__init__(DOING, f"no device is configured for the meter {told}")
        self.told = told


@dataclass(frozen=True, slots=True)
class Caller:
    """Where pushes come from: a connection, a datagram's sender, or a serial port.

    `device` is the name of the only device there, `rule` makes devices; `answers` says that a
    confirmation can be sent. The blocks of senders that are not complete are kept here.
    """

    door: str
    peer: str = ""
    device: str | None = None
    rule: AutoCreate | None = None
    answers: bool = False
    blocks: dict[bytes, Blocks] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many octets of blocks are kept."""
        return sum(blocks.held for blocks in self.blocks.values())

    @property
    def name(self) -> str:
        """Who it is, for messages."""
        return f"{self.peer} at {self.door}" if self.peer else self.door


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an APDU: the device that said it, if it was taken, and what to answer.

    `waits` says that it is a part, whose rest is to come.
    """

    device: Device | None = None
    answer: bytes = b""
    waits: bool = False
