"""What the doors have in common: who may push, and what an answer looks like."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Protocol

from dlms_connector.config import PushListener
from dlms_connector.protocol.datalink import Arrival, wrapper
from dlms_connector.push.caller import Caller, Taken
from dlms_connector.push.pace import Pace

#: Seconds within which a push that has begun must be whole.
UNFINISHED_S = 30.0
#: APDUs per second of one sender, and how many it may send at once.
APDUS = Pace(20, 200)
#: Seconds of work per second, and at once, on what is not taken, of all senders at a port: whoever
#: may connect can send what takes long to read.
REFUSED_WORK = Pace(0.1, 2.0)

#: Takes an APDU, and returns what became of it.
Take = Callable[[bytes, Caller, bytes], Taken]
#: Tells about a sender: who, the kind of news, and a sentence.
Tell = Callable[[str, str, str], None]


class Door(Protocol):
    """A place where meters push."""

    async def open(self) -> None:
        """Begin to listen; raises ConnectError."""
        ...

    def sweep(self, now: float) -> None:
        """End what takes too long; called about once per second."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


class Allowed:
    """The networks that may push."""

    def __init__(self, listener: PushListener) -> None:
        self._networks = [ip_network(each) for each in listener.allow]

    def __contains__(self, peer: object) -> bool:
        if not isinstance(peer, str) or not peer:
            return False
        address = ip_address(peer)
        return any(address in network for network in self._networks)


def caller_of(listener: PushListener, peer: str = "", *, answers: bool = False) -> Caller:
    """Return who pushes at a listener."""
    return Caller(listener.door, peer, listener.device, listener.auto_create, answers)


def answer_to(arrival: Arrival, apdu: bytes) -> bytes:
    """Return an APDU in a wrapper frame back to the sender."""
    source, destination = (int.from_bytes(each, "big") for each in arrival[1:])
    return wrapper.encode(destination, source, apdu)
