"""The meter's part of the sign-on at an optical port: IEC 62056-21 mode E, up to binary mode."""

from __future__ import annotations

import re

_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
#: Acknowledge: protocol control "2" (HDLC), baud rate, mode "2" (binary).
_CHOICE = re.compile(rb"\x062([0-9])2\r\n")
_IDENTIFICATION = b"/SIM5\\2SIMULATED\r\n"
_LONGEST = 256
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


class SignOn:
    """Waits for a request and for the selection of binary mode; then `done` is true.

    A request may contain a device address. This meter answers an empty address and its own.
    """

    def __init__(self, address: bytes) -> None:
        self._address = address.lstrip(b"0")
        self._buffer = b""
        self._identified = False
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """Take characters (their parity bit is ignored) and return the answer."""
        self._buffer = (self._buffer + data.translate(_SEVEN_BITS))[-_LONGEST:]
        if match := _REQUEST.search(self._buffer):
            self._buffer = self._buffer[match.end() :]
            asked = match[1].strip().lstrip(b"0")
            self._identified = not asked or asked == self._address
            return _IDENTIFICATION if self._identified else b""
        if self._identified and (match := _CHOICE.search(self._buffer)):
            self._buffer, self.done = b"", True
            return match[0]
        return b""

    def restart(self) -> None:
        """Wait for a request again, after the end of the session."""
        self._identified = self.done = False
        self._buffer = b""
