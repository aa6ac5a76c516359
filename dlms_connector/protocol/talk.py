"""Conversations that never see a socket or a clock.

A *talk* is a generator: it yields bytes to send (`b""` = nothing to send, just
listen), is sent the bytes that arrived, and returns its result. It is sent
`b""` when the time for a reply has passed: silence is a value, and the data
link decides whether to ask again or to raise `LinkTimeoutError`. The time for
a reply begins when bytes are sent; bytes that trickle in do not prolong it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

T = TypeVar("T")

Talk = Generator[bytes, bytes, T]


class DataLink(Protocol):
    """Carries whole APDUs over a stream of bytes: HDLC, the TCP-UDP wrapper."""

    def connect(self) -> Talk[None]:
        """Set the link up and negotiate its sizes; any earlier session is forgotten."""
        ...

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU and return the next one that arrives.

        `repeatable` says that asking twice does no harm (a read), so that a link
        with no sequence numbers of its own may ask again after silence.
        """
        ...

    def receive(self) -> Talk[bytes]:
        """Return the next APDU without asking: the last one answered something else."""
        ...

    def disconnect(self) -> Talk[None]:
        """Say goodbye; also the way to end a session that an earlier run left behind."""
        ...
