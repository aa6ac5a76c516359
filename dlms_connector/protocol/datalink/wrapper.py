"""The wrapper of IEC 62056-47: eight octets before each APDU on TCP and UDP.

Version 1, source wPort, destination wPort, length; each two octets. Nothing marks the
beginning of a frame, so after a wrong version the stream cannot be synchronised again.
"""

from __future__ import annotations

from struct import Struct

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.protocol.talk import Talk

VERSION = 1
_HEADER = Struct(">HHHH")
_MOST_STRANGERS = 256  # frames of other wPorts within one exchange
_EXCHANGING = "exchanging wrapper frames"


def encode(source: int, destination: int, apdu: bytes) -> bytes:
    """Return an APDU with its header. Raises ProtocolError if its length does not fit."""
    if len(apdu) > 0xFFFF:
        raise ProtocolError(_EXCHANGING, f"an APDU of {len(apdu)} octets does not fit in a frame")
    return _HEADER.pack(VERSION, source, destination, len(apdu)) + apdu


class WrapperReader:
    """Cuts a stream into (source, destination, APDU)."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received octets."""
        self._buffer += data

    def next(self) -> tuple[int, int, bytes] | None:
        """Return the next whole frame; None if more octets are needed. Raises ProtocolError."""
        buffer = self._buffer
        if buffer[:2] != b"\x00\x01"[: len(buffer)]:
            raise ProtocolError(
                _EXCHANGING, f"a frame begins {buffer[:2].hex(' ')} instead of 00 01 (the version)"
            )
        if len(buffer) < _HEADER.size:
            return None
        _, source, destination, length = _HEADER.unpack_from(buffer)
        if length == 0:
            raise ProtocolError(_EXCHANGING, "a frame without an APDU")
        end = _HEADER.size + length
        if len(buffer) < end:
            return None
        apdu = bytes(buffer[_HEADER.size : end])
        del buffer[:end]
        return source, destination, apdu


class Wrapper:
    """One client's link to one server on TCP or UDP; addresses are wPorts."""

    def __init__(self, client: int, server: int, *, retries: int = 2) -> None:
        self._client = client
        self._server = server
        self._retries = retries
        self._reader = WrapperReader()
        self._strangers = 0
        self._stranger = ""  # the last of them

    def connect(self) -> Talk[None]:
        """Start with a fresh stream: the wrapper itself has no session."""
        self._reader = WrapperReader()
        yield from ()

    def disconnect(self) -> Talk[None]:
        """Do nothing: the wrapper itself has no session."""
        yield from ()

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU and return the next one from the meter.

        After a timeout a `repeatable` request is sent again. The answers to both may then
        arrive, and only the caller can match them to requests (by invoke-id).
        Raises LinkTimeoutError and ProtocolError.
        """
        while self._reader.next() is not None:
            pass  # arrived before the request, so no answer to it: short names have no invoke-id
        tries = 1 + (self._retries if repeatable else 0)
        return (yield from self._ask(encode(self._client, self._server, apdu), tries))

    def receive(self) -> Talk[bytes]:
        """Return the next APDU from the meter without sending."""
        return (yield from self._ask(b"", 1))

    def _ask(self, frame: bytes, tries: int) -> Talk[bytes]:
        received = 0
        self._strangers, self._stranger = 0, ""
        if not frame and (apdu := self._next()) is not None:
            return apdu
        for _ in range(tries):
            data = yield frame
            while data:
                received += len(data)
                self._reader.feed(data)
                if (apdu := self._next()) is not None:
                    return apdu
                data = yield b""
        raise LinkTimeoutError(tries, received, self._stranger)

    def _next(self) -> bytes | None:
        """Return the next received APDU for us, if there is one."""
        while (frame := self._reader.next()) is not None:
            source, destination, apdu = frame
            if (source, destination) == (self._server, self._client):
                return apdu
            self._strangers += 1
            self._stranger = (
                f"from wPort {source} to {destination} instead of from {self._server} "
                f"to {self._client}"
            )
            if self._strangers > _MOST_STRANGERS:
                raise ProtocolError(
                    _EXCHANGING, f"{self._strangers} frames of others, the last {self._stranger}"
                )
        return None
