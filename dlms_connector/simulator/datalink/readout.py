"""A meter that speaks no DLMS: its readout as text, IEC 62056-21 mode C (clause 6)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import reduce
from operator import xor

from dlms_connector.simulator.meter import Meter

_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r\n")
#: Acknowledge: protocol control "0", baud rate, mode "0" (data readout).
_CHOICE = re.compile(rb"\x060([0-9])0\r\n")
_REPEAT = b"\x15"
_IDENTIFICATION = b"/SIM5SIMULATED\r\n"
_SEVEN_BITS = bytes(octet & 0x7F for octet in range(256))
_LONGEST = 256
_REGISTER = 3
#: Units of the readout by their number (IEC 62056-6-2), and the power of ten of their prefix.
_UNITS = {27: ("kW", 3), 28: ("kVA", 3), 29: ("kvar", 3), 30: ("kWh", 3), 32: ("kvarh", 3),
          33: ("A", 0), 35: ("V", 0), 44: ("Hz", 0), 255: ("", 0)}  # fmt: skip


class Readout:
    """Answers `/?!` with an identification, and the acknowledgement with the data block."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._address = (b"%08d" % meter.seed).lstrip(b"0")
        self._buffer = b""
        self._identified = False

    def feed(self, data: bytes) -> bytes:
        """Take characters (their parity bit is ignored) and return the answer."""
        self._buffer = (self._buffer + data.translate(_SEVEN_BITS))[-_LONGEST:]
        if match := _REQUEST.search(self._buffer):
            self._buffer = self._buffer[match.end() :]
            asked = match[1].strip().lstrip(b"0")
            self._identified = not asked or asked == self._address
            return _with_parity(_IDENTIFICATION) if self._identified else b""
        if self._identified and (_CHOICE.search(self._buffer) or _REPEAT in self._buffer):
            self._buffer = b""
            return _with_parity(self._block())
        return b""

    def _block(self) -> bytes:
        lines = [f"C.1.0({self._meter.seed:08d})", "F.F(00)"]
        for class_id, name in self._meter.objects:
            if class_id == _REGISTER and (line := self._line(name)) is not None:
                lines.append(line)
        content = "\r\n".join((*lines, "!", "")).encode("ascii") + b"\x03"
        return b"\x02" + content + bytes((reduce(xor, content, 0),))

    def _line(self, name: bytes) -> str | None:
        raw = self._meter.value(_REGISTER, name, 2).value
        scaler, unit = self._meter.value(_REGISTER, name, 3).value
        if unit.value not in _UNITS or not isinstance(raw, int):
            return None
        written, power = _UNITS[unit.value]
        value = Decimal(raw).scaleb(scaler.value - power)
        c, d, e = name[2:5]
        return f"{c}.{d}.{e}({value:f}{'*' + written if written else ''})"


def _with_parity(text: bytes) -> bytes:
    """Return 7E1 characters as a line of 8 bits without parity sees them."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in text)
