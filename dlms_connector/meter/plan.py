"""Plans the fewest requests for the due items of a device, without any input or output.

An object that several keys need is read once. The scaler and unit of a value are read until
they are known, just before the value itself, so that they arrive in the same reply if there
is room.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache

from dlms_connector.alike import Alike
from dlms_connector.config import Device, Item
from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.obis import Obis
from dlms_connector.reading import Kind

#: Items of one GET-with-list, unless the meter was found to support fewer. Many meters
#: answer longer lists late or by block transfer, which saves nothing.
MAX_ITEMS = 32

#: GET-Request-With-List: tag, choice, invoke-id-and-priority and the count of the list; then
#: for each item class, instance, attribute, no selection.
#: A register's value and its scaler and unit are both shorter than that in the reply.
_LIST = 1 + 1 + 1 + 1, 2 + 6 + 1 + 1
#: Access-Request: tag, long-invoke-id-and-priority, no date, two counts; then for each item
#: the kind, class, instance, attribute, and null-data.
_ACCESS = 1 + 4 + 1 + 1 + 1, 1 + 2 + 6 + 1 + 1


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """An item of a device, the kind of its values, and its poll period in seconds."""

    kind: Kind
    item: Item
    period_s: float

    @property
    def value(self) -> AttributeRef:
        """The attribute that holds the value."""
        return _attribute(self.item.class_id, self.item.obis, self.item.attribute)

    @property
    def scaler(self) -> AttributeRef | None:
        """The attribute with its scaler and unit; None where there is none or none is needed."""
        if self.item.scaler is not None and self.item.unit is not None:
            return None
        row = CLASSES.get(self.item.class_id)
        index = row.scalers.get(self.item.attribute) if row else None
        return _attribute(self.item.class_id, self.item.obis, index) if index else None


@lru_cache(maxsize=4096)
def _attribute(class_id: int, obis: Obis, attribute: int) -> AttributeRef:
    """Return the same reference for all meters: what is learned of each is kept by it."""
    return AttributeRef(class_id, obis, attribute)


#: The items of a template are the same objects in all of its devices.
_WANTED: Alike[tuple[Wanted, ...]] = Alike()


def wanted(device: Device) -> tuple[Wanted, ...]:
    """Return all items to poll of a device, each item with its own period."""
    parts = (*device.attributes, *device.timeseries)
    rest = len(device.attributes), device.poll_period_ms
    return _WANTED.of(parts, rest, lambda: _wanted(device))


def _wanted(device: Device) -> tuple[Wanted, ...]:
    kinds: tuple[tuple[Kind, tuple[Item, ...]], ...] = (
        ("attributes", device.attributes),
        ("timeseries", device.timeseries),
    )
    return tuple(
        Wanted(kind, item, (item.poll_period_ms or device.poll_period_ms) / 1000)
        for kind, items in kinds
        for item in items
    )


#: One for all: each empty set that is made takes room of its own.
NONE_ALONE: frozenset[AttributeRef] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one request to a meter.

    `max_pdu` is the largest APDU that the meter can receive, `overhead` the octets that
    ciphering adds to it. `alone` are attributes that the meter gives only outside of lists;
    `access` says that the ACCESS service is used for lists.
    """

    max_pdu: int = 0xFFFF
    max_items: int = MAX_ITEMS
    overhead: int = 0
    alone: frozenset[AttributeRef] = NONE_ALONE
    access: bool = False

    @property
    def items(self) -> int:
        """How many attributes one request may name."""
        header, item = _ACCESS if self.access else _LIST
        room = (self.max_pdu - self.overhead - header) // item
        return max(1, min(self.max_items, room))


def refs(due: Iterable[Wanted], known: Container[AttributeRef]) -> tuple[AttributeRef, ...]:
    """Return the attributes to read, each once; `known` are those not to ask for again."""
    asked: dict[AttributeRef, None] = {}
    for one in due:
        for ref in (one.scaler, one.value):
            if ref is not None and ref not in known:
                asked[ref] = None
    return tuple(asked)


def batches(asked: Iterable[AttributeRef], limits: Limits) -> tuple[tuple[AttributeRef, ...], ...]:
    """Return the requests that ask for these attributes; those read alone come last."""
    asked = tuple(asked)
    listed = [ref for ref in asked if ref not in limits.alone]
    size = limits.items
    lists = (tuple(listed[at : at + size]) for at in range(0, len(listed), size))
    return (*lists, *((ref,) for ref in asked if ref in limits.alone))
