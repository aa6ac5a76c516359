"""Talks: protocol exchanges without sockets or clocks (sans-IO).

A *talk* is a generator: it yields bytes to send (`b""` means only listen),
receives the bytes that arrived, and returns its result. It receives `b""`
when the reply timeout has passed; the data link then decides whether to
repeat the request or to raise `LinkTimeoutError`. The timeout starts when
bytes are sent; bytes that arrive slowly do not extend it.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Protocol, TypeVar

T = TypeVar("T")

Talk = Generator[bytes, bytes, T]


class Cleared(Enum):
    """What a meter answered when a session was ended that may have been open."""

    ENDED = "it had a session"
    NONE = "it had none"
    SILENCE = "nothing"


class DataLink(Protocol):
    """Carries whole APDUs over a stream of bytes: HDLC, the TCP-UDP wrapper."""

    def connect(self) -> Talk[None]:
        """Set the link up and negotiate its sizes; any earlier session is forgotten."""
        ...

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU and return the next one that arrives.

        `repeatable` means that sending it twice does no harm (a read). A link without
        sequence numbers of its own may then repeat the APDU after a timeout.
        """
        ...

    def receive(self) -> Talk[bytes]:
        """Return the next APDU without sending: the last one answered another request."""
        ...

    def disconnect(self) -> Talk[bool | None]:
        """End the session, also one that an earlier run left open.

        Returns false if the meter says that it had none, None if it does not tell.
        """
        ...
