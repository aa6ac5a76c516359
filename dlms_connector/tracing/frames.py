"""A stream of octets cut into frames: HDLC, the wrapper, lines of text, and what is none of them.

Nothing is refused here: a trace is wanted most where something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dlms_connector.protocol.datalink import fcs

Kind = Literal["hdlc", "wrapper", "text", "octets"]

_FLAG = 0x7E
_WRAPPER = b"\x00\x01"
#: Octets before the APDU: version, source, destination and length (IEC 62056-47).
WRAPPER_HEADER = 8
#: Acknowledgements and control characters of IEC 62056-21, and what is printable.
_TEXT = frozenset({0x01, 0x02, 0x03, 0x04, 0x06, 0x0A, 0x0D, 0x15, *range(0x20, 0x7E)})
#: Frame types by their control field without the P/F bit (IEC 62056-46).
_CONTROLS = {0x83: "SNRM", 0x63: "UA", 0x43: "DISC", 0x0F: "DM", 0x87: "FRMR", 0x03: "UI"}
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Frame:
    """Octets that belong together; `whole` unless some of them are missing."""

    kind: Kind
    octets: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Hdlc:
    """The fields of an HDLC frame (IEC 62056-46); `info` lies at `start` to `end`."""

    destination: bytes
    source: bytes
    control: int
    segmented: bool
    start: int
    end: int
    check_ok: bool

    @property
    def is_information(self) -> bool:
        """Whether it is an I frame or a UI frame: one with a part of an APDU."""
        return not self.control & 0x01 or self.control & 0xEF == 0x03

    @property
    def sequence(self) -> int | None:
        """N(S), None if the frame has none."""
        return None if self.control & 0x01 else self.control >> 1 & 7

    def described(self) -> str:
        """Return type, sequence numbers, addresses and check as one part of a line."""
        control, bare = self.control, self.control & 0xEF
        if not control & 0x01:
            name = f"I N(S)={control >> 1 & 7} N(R)={control >> 5}"
        elif control & 0x03 == 0x01:
            kind = {0: "RR", 1: "RNR"}.get(control >> 2 & 3, "S")
            name = f"{kind} N(R)={control >> 5}"
        else:
            name = _CONTROLS.get(bare, f"control {control:02X}")
        final = " P/F" if control & 0x10 else ""
        more = ", segment" if self.segmented else ""
        check = "ok" if self.check_ok else "WRONG"
        return (
            f"HDLC {name}{final} {_address(self.source)} > {_address(self.destination)}"
            f"{more}, FCS {check}"
        )


def _address(octets: bytes) -> str:
    """Return an address as in the configuration: a client's, or logical/physical of a server."""
    sevens = [octet >> 1 for octet in octets]
    match sevens:
        case [one]:
            return str(one)
        case [upper, lower]:
            return f"{upper}/{lower}"
        case [a, b, c, d]:
            return f"{a << 7 | b}/{c << 7 | d}"
    return octets.hex()


def hdlc(octets: bytes) -> Hdlc | None:
    """Return the fields of a frame between its flags, None if it is none."""
    if len(octets) < 9 or octets[0] != _FLAG or octets[-1] != _FLAG or octets[1] & 0xF0 != 0xA0:
        return None
    body = octets[1:-1]
    at, addresses = 2, []
    for _ in range(2):
        start = at
        while at < len(body) and not body[at] & 1 and at - start < 4:
            at += 1
        at += 1
        addresses.append(body[start:at])
    if at + 3 > len(body):
        return None
    good = fcs(body[:-2]) == body[-2:]
    header = at + 1
    has_info = len(body) > header + 2
    if has_info:
        good = good and fcs(body[:header]) == body[header : header + 2]
    start = 1 + (header + 2 if has_info else header)
    end = len(octets) - 3 if has_info else start
    segmented = bool(octets[1] & 0x08)
    return Hdlc(addresses[0], addresses[1], body[at], segmented, start, end, good)


def with_info(octets: bytes, frame: Hdlc, info: bytes) -> bytes:
    """Return a frame with other information of the same length; a right check stays right."""
    made = octets[: frame.start] + info + octets[frame.end :]
    if not frame.check_ok or info == octets[frame.start : frame.end]:
        return made
    return made[:-3] + fcs(made[1:-3]) + made[-1:]


class Splitter:
    """Cuts one direction of a conversation into frames."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take octets and yield the frames that they complete."""
        self._left += data
        while self._left:
            size = self._size()
            if size is None:
                return
            kind, octets = self._kind(), self._left[:size]
            self._left = self._left[size:]
            if kind == "hdlc" and self._left[:1] and self._left[0] & 0xF0 == 0xA0:
                self._left = b"\x7e" + self._left  # one flag between two frames
            if kind == "hdlc" and hdlc(octets) is None:
                kind = "octets"
            yield Frame(kind, octets)

    def rest(self) -> Iterator[Frame]:
        """Yield what is left, a frame that did not become whole."""
        if self._left:
            kind: Kind = "text" if self._kind() == "text" else "octets"
            yield Frame(kind, self._left, whole=False)
            self._left = b""

    def _kind(self) -> Kind:
        first = self._left[0]
        if first == _FLAG:
            return "hdlc"
        if _WRAPPER.startswith(self._left[:2]):
            return "wrapper"
        return "text" if first & 0x7F in _TEXT else "octets"

    def _size(self) -> int | None:
        """Return the length of the first frame, None if more must come."""
        left, kind = self._left, self._kind()
        if kind == "wrapper":
            if len(left) < WRAPPER_HEADER:
                return None
            size = WRAPPER_HEADER + int.from_bytes(left[6:8], "big")
            return size if size <= len(left) else None
        if kind == "hdlc":
            return self._hdlc_size()
        if kind == "text":
            return self._text_size()
        flag = left.find(_FLAG, 1)
        return flag if flag > 0 else len(left)

    def _hdlc_size(self) -> int | None:
        left = self._left
        if len(left) < 3:
            return None if left[1:2] != b"\x7e" else 1
        if left[1] & 0xF0 == 0xA0:
            size = (int.from_bytes(left[1:3], "big") & 0x7FF) + 2
            if len(left) < size:
                return None
            if left[size - 1] == _FLAG:
                return size
        flag = left.find(_FLAG, 1)
        if flag == 1:
            return 1
        return flag + 1 if flag > 0 else len(left)

    def _text_size(self) -> int | None:
        left = self._left
        flag = left.find(_FLAG)
        line = left.find(0x0A)
        if line >= 0 and (flag < 0 or line < flag):
            return line + 1
        if flag > 0:
            return flag
        return len(left) if len(left) >= _LONGEST_LINE else None
