"""The meter's part of the sign-on at an optical port: IEC 62056-21 mode E, up to binary mode."""

from __future__ import annotations

import re

_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
#: Acknowledge: protocol control "2" (HDLC), baud rate, mode "2" (binary).
_CHOICE = re.compile(rb"\x062([0-9])2\r\n")
_IDENTIFICATION = b"/SIM5\\2SIMULATED\r\n"
_NO_MODE_E = b"/SIM5SIMULATED\r\n"
_READOUT = b"\x020.0.0(12345678)\r\n1.8.0(0001240.1*kWh)\r\n!\r\n\x03\x11"
_LONGEST = 256
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))


class SignOn:
    """Waits for a request and for the selection of binary mode; then `done` is true.

    A request may contain a device address. This meter answers an empty address and its own.
    """

    def __init__(self, address: bytes, *, reads_out: bool = False) -> None:
        """`reads_out` is a meter without mode E: it sends its readout whatever is chosen."""
        self._reads_out = reads_out
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
            identification = _NO_MODE_E if self._reads_out else _IDENTIFICATION
            return identification if self._identified else b""
        if self._identified and (match := _CHOICE.search(self._buffer)):
            self._buffer, self.done = b"", not self._reads_out
            return _with_parity(_READOUT) if self._reads_out else match[0]
        return b""

    def restart(self) -> None:
        """Wait for a request again, after the end of the session."""
        self._identified = self.done = False
        self._buffer = b""


def _with_parity(text: bytes) -> bytes:
    """Return 7E1 characters as a line of 8 bits without parity sees them."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in text)
