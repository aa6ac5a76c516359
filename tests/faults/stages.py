"""Finds the stages of a conversation in a stream: by kinds of frames and tags of APDUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

_FLAG = 0x7E
_SNRM, _DISC, _UI = 0x93, 0x53, 0x13
_LLC = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")
#: Octets that ciphering adds to an APDU: security control, invocation counter, tag.
_SEALING = 1 + 4 + 12
#: The length of a GET-request for a next block, and of one for an attribute.
_NEXT, _NORMAL = 7, 13

#: What stands in the stream where a stage begins: the connection, the name of a frame, or the kind
#: of an APDU.
TRIGGERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "connect": {"HDLC": ("snrm",), "WRAPPER": ("open",)},
    "associate": {"HDLC": ("aarq",), "WRAPPER": ("aarq",)},
    "prove": {"HDLC": ("action",), "WRAPPER": ("action",)},
    "read": {"HDLC": ("get",), "WRAPPER": ("get",)},
    "list": {"HDLC": ("get-long",), "WRAPPER": ("get-long",)},
    "block": {"HDLC": ("get-next",), "WRAPPER": ("get-next",)},
    "profile": {"HDLC": ("get-long",), "WRAPPER": ("get-long",)},
    "push": {"HDLC": ("push",), "WRAPPER": ("push",)},
    "release": {"HDLC": ("rlrq", "disc"), "WRAPPER": ("rlrq",)},
    #: Reading, where another meter has the same line.
    "line": {"HDLC": ("get",), "WRAPPER": ("get",)},
}

_TAGS = {
    **{0x60: "aarq", 0x62: "rlrq", 0x0F: "push"},
    **dict.fromkeys((0xC0, 0xC8, 0xD0), "get"),
    **dict.fromkeys((0xC3, 0xCB, 0xD3), "action"),
    0xDB: "push",  # nothing else is in general ciphering here
}


class Passing(NamedTuple):
    """A frame that passes, with its flags or header; and what it is, "" if that is no matter."""

    octets: bytes
    what: str = ""


class Cutter:
    """Cuts a stream into frames. Nothing is lost: what is no frame passes as it is."""

    def __init__(self, framing: str) -> None:
        self._hdlc = framing == "HDLC"
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Passing]:
        """Take octets; yield the frames that are whole."""
        self._buffer += data
        while size := self._size():
            octets = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield Passing(octets, _hdlc(octets) if self._hdlc else _apdu(octets[8:]))

    def _size(self) -> int:
        """Return the size of the frame at the beginning; 0 until it is whole."""
        buffer = self._buffer
        if not self._hdlc:
            size = 8 + int.from_bytes(buffer[6:8], "big") if len(buffer) >= 8 else 0
        else:
            size = 2 + (int.from_bytes(buffer[1:3], "big") & 0x07FF) if len(buffer) >= 3 else 0
        return size if len(buffer) >= size else 0


def information_at(frame: bytes) -> int:
    """Return where the information of an HDLC frame begins; its length if it has none."""
    at = 3
    for _ in range(2):  # two addresses, each ends with an odd octet
        while not frame[at] & 1:
            at += 1
        at += 1
    return at + 3 if at + 3 + 3 <= len(frame) else len(frame)


def _hdlc(frame: bytes) -> str:
    at = information_at(frame)
    control = frame[at - 3] if at < len(frame) else frame[-4]
    if control == _SNRM:
        return "snrm"
    if control == _DISC:
        return "disc"
    information = frame[at:-3]
    if control & 1 and control & 0xEF != _UI & 0xEF:
        return ""
    return _apdu(information[3:]) if information.startswith(_LLC) else ""


def _apdu(apdu: bytes) -> str:
    what = _TAGS.get(apdu[0], "") if apdu else ""
    if what != "get":
        return what
    size = len(apdu) if apdu[0] == 0xC0 else apdu[1] - _SEALING
    return "get-next" if size <= _NEXT else "get" if size <= _NORMAL else "get-long"
