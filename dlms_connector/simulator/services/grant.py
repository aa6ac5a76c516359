"""Access of one client to a meter's objects: its rights and the negotiated services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.simulator.encoding.data import CUT_SHORT, NOTHING, Data, Reader
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import Role
from dlms_connector.simulator.objects.cosem_object import OTHER_REASON, AccessError
from dlms_connector.simulator.services.selection import LN_ASSOCIATION, read_rows, some_listed

#: Octets for a block's header, with some reserve for ciphering.
_OVERHEAD = 12


class NotOfferedError(Exception):
    """The service was not negotiated."""


class WithheldError(Exception):
    """The meter sends no answer; with `closes` it hangs up."""

    def __init__(self, *, closes: bool) -> None:
        super().__init__()
        self.closes = closes


def misbehaved(meter: Meter, name: bytes, value: Data) -> Data:
    """Return the value of an object with the fault of its value group C, if there is one.

    Raises WithheldError.
    """
    faults, c = meter.faults, name[2]
    for fault in ("silent-object", "killing-object"):
        if fault in faults and faults[fault] == c:
            raise WithheldError(closes=fault == "killing-object")
    cut = "malformed-object" in faults and faults["malformed-object"] == c
    return CUT_SHORT if cut else value


@dataclass(frozen=True, slots=True)
class Grant:
    """Access by logical name within one association.

    `max_pdu` is the longest APDU that the client can receive, in octets. `offers` returns
    whether a service was negotiated.
    """

    meter: Meter
    role: Role
    max_pdu: int
    offers: Callable[[str], bool]

    @property
    def block_size(self) -> int:
        """The number of octets of a value in one block."""
        return max(1, self.max_pdu - _OVERHEAD)

    def need(self, name: str) -> None:
        """Raise NotOfferedError unless a service was negotiated."""
        if not self.offers(name):
            raise NotOfferedError(name)

    def read(self, reader: Reader, *, selectable: bool = True) -> Data:
        """Read the attribute that a descriptor names; raises AccessError."""
        class_id, name, attribute = reader.number(2), reader.take(6), reader.number()
        if attribute == self.meter.faults["exception-to-attribute"]:
            raise NotOfferedError("get")
        selector, parameters = 0, NOTHING
        if selectable and reader.number():
            selector, parameters = reader.number(), reader.data()
        found = self.meter.find(class_id, name, self.role)
        if found.table is not None and attribute == 2 and 2 not in found.attributes:
            return read_rows(self.meter, found.table, selector, parameters)
        lists = class_id == LN_ASSOCIATION and attribute == 2
        if selector and not lists:
            raise AccessError(OTHER_REASON)
        value = self.meter.read(class_id, name, attribute, self.role)
        if selector:
            return some_listed(self.meter, value, 0, selector - 1, parameters)
        return misbehaved(self.meter, name, value)

    def write(self, reference: bytes, value: Data) -> int:
        """Set the attribute that a descriptor names; return the Data-Access-Result."""
        try:
            self.meter.write(*_reference(reference), value, self.role)
        except AccessError as refusal:
            return refusal.code
        return 0

    def invoke(self, reference: bytes, argument: Data) -> Data:
        """Run the method that a descriptor names; raises AccessError."""
        return self.meter.invoke(*_reference(reference), argument, self.role)


def take_reference(reader: Reader) -> bytes:
    """Take an attribute descriptor; its selective access parameters are ignored."""
    reference = reader.take(9)
    if reader.number():
        reader.number()
        reader.data()
    return reference


def _reference(octets_: bytes) -> tuple[int, bytes, int]:
    return int.from_bytes(octets_[:2], "big"), octets_[2:8], octets_[8]
