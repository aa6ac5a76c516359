"""The sizes that SNRM proposes and UA decides, IEC 62056-46 clause 6.4.4.4.3.2.

Both frames may carry a field `81 80 length (id length value)*`. Each side states what
it transmits (05, 07) and what it receives (06, 08), so the meter's "receive" bounds our
"transmit". A missing parameter has its default: 128 octets, one frame at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.protocol.datalink.hdlc_frame import LONGEST_INFORMATION

DEFAULT_INFORMATION = 128

_FORMAT_AND_GROUP = b"\x81\x80"
_INFO_TRANSMIT, _INFO_RECEIVE, _WINDOW_TRANSMIT, _WINDOW_RECEIVE = 5, 6, 7, 8
#: Sequence numbers have three bits, so no more than seven frames can be told apart.
_LARGEST_WINDOW = 7


@dataclass(frozen=True, slots=True)
class HdlcParameters:
    """Information field sizes in octets and windows in frames, seen from one side."""

    info_transmit: int = DEFAULT_INFORMATION
    info_receive: int = DEFAULT_INFORMATION
    window_transmit: int = 1
    window_receive: int = 1

    def encode(self) -> bytes:
        """Return the information field of SNRM that proposes these."""
        size = 2 if max(self.info_transmit, self.info_receive) > 0xFF else 1
        values = b"".join(
            bytes((identifier, width)) + value.to_bytes(width, "big")
            for identifier, width, value in (
                (_INFO_TRANSMIT, size, self.info_transmit),
                (_INFO_RECEIVE, size, self.info_receive),
                (_WINDOW_TRANSMIT, 4, self.window_transmit),
                (_WINDOW_RECEIVE, 4, self.window_receive),
            )
        )
        return _FORMAT_AND_GROUP + bytes((len(values),)) + values

    @classmethod
    def decode(cls, information: bytes) -> HdlcParameters:
        """Read the field of a UA.

        Meters add parameters of their own and leave others out. Unknown parameters are
        ignored. In place of a truncated or impossible value the default is used, which
        every meter must support.
        """
        if information[:2] != _FORMAT_AND_GROUP or len(information) < 3:
            return cls()
        values = _read(information[3 : 3 + information[2]])
        return cls(
            info_transmit=_size(values.get(_INFO_TRANSMIT, 0)),
            info_receive=_size(values.get(_INFO_RECEIVE, 0)),
            window_transmit=_window(values.get(_WINDOW_TRANSMIT, 0)),
            window_receive=_window(values.get(_WINDOW_RECEIVE, 0)),
        )


def _read(field: bytes) -> dict[int, int]:
    values = {}
    at = 0
    while at + 2 <= len(field):
        identifier, width = field[at], field[at + 1]
        value = field[at + 2 : at + 2 + width]
        if len(value) == width:
            values[identifier] = int.from_bytes(value, "big")
        at += 2 + width
    return values


def _size(value: int) -> int:
    return min(value, LONGEST_INFORMATION) or DEFAULT_INFORMATION


def _window(value: int) -> int:
    return min(value, _LARGEST_WINDOW) or 1
