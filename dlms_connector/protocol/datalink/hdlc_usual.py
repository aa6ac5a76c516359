"""The usual exchange over HDLC: one I frame there, and exactly one back.

The frame that is due has the same octets up to its information whatever the meter says: addresses,
control octet with both numbers, length, and their check. So they are compared, not parsed. What
does not begin so, or is more or less than one frame, is left to `hdlc_frame` and `hdlc_transfer`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dlms_connector.protocol.datalink.fcs import begun, ended
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_COMMAND, LLC_RESPONSE

_FLAG = b"\x7e"
_UNSEGMENTED, _LONGEST = 0xA000, 0x7FF
#: Octets of format, control and both checks.
_ALL_BUT_ADDRESSES = 7
#: Heads that are kept, of all meters: eight numbers and some lengths for each pair of addresses.
_KEPT = 4096


class _Head(NamedTuple):
    """A frame up to its information, and the check of this, to go on with."""

    octets: bytes
    check: int


@lru_cache(_KEPT)
def _head(destination: bytes, source: bytes, control: int, length: int) -> _Head:
    form = (_UNSEGMENTED | length).to_bytes(2, "big")
    header = form + destination + source + bytes((control,))
    header += ended(begun(header))
    return _Head(_FLAG + header, begun(header))


def frame(destination: bytes, source: bytes, control: int, apdu: bytes) -> bytes:
    """Return a request that fits one frame, as it goes over the line."""
    information = LLC_COMMAND + apdu
    length = _ALL_BUT_ADDRESSES + len(destination) + len(source) + len(information)
    head, check = _head(destination, source, control, length)
    return b"".join((head, information, ended(begun(information, check)), _FLAG))


def apdu_of(data: bytes, destination: bytes, source: bytes, control: int) -> bytes | None:
    """Return the APDU if the octets are exactly the frame that is due; None for any other."""
    length = len(data) - 2 * len(_FLAG)
    if not _ALL_BUT_ADDRESSES < length <= _LONGEST or data[-1:] != _FLAG:
        return None
    head, check = _head(destination, source, control, length)
    if not data.startswith(head):
        return None
    information = data[len(head) : -3]
    if not information.startswith(LLC_RESPONSE) or ended(begun(information, check)) != data[-3:-1]:
        return None
    return information[len(LLC_RESPONSE) :]
