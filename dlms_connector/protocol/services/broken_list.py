"""What had arrived of an object list when the association broke: the entries that are whole.

A meter or line that breaks at the same place each time never gives all of it, but this much.
"""

from __future__ import annotations

from collections.abc import Generator

from dlms_connector.errors import LinkError, ProtocolError
from dlms_connector.protocol.data import Budget, Data, DataType, decode_entries
from dlms_connector.protocol.services.directory import ObjectList

#: No more is read of it, as it is read without a break.
_MOST_OCTETS = 1 << 16

#: What may stand before the list: GetResponse, ReadResponse, count and choice of joined blocks.
_HEADS = ((b"\xc4\x01", 4), (b"\x0c\x01\x00", 3), (b"\x01\x00\x01", 2))


def entries_of(error: LinkError, budget: Budget) -> ObjectList | None:
    """Return the entries that had arrived when this error ended the transfer of a list."""
    octets = error.arrived[:_MOST_OCTETS]
    for head, size in _HEADS:
        if octets.startswith(head):
            octets = octets[size:]
            break
    if octets[:1] != bytes((DataType.ARRAY,)):
        return None
    try:
        data, announced = _run(decode_entries(octets, budget.again()))
    except ProtocolError:
        return None
    return ObjectList(data, announced) if data.value else None


def _run(work: Generator[None, None, tuple[Data, int]]) -> tuple[Data, int]:
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: tuple[Data, int] = done.value
            return result
