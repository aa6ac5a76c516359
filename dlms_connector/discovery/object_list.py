"""The object list of an association, by logical names (LN) and by short names (SN)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dlms_connector.cosem import CLASSES
from dlms_connector.errors import ObjectError, ProtocolError
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.services import ObjectList
from dlms_connector.protocol.talk import Talk

_ASSOCIATION_LN = 15
#: Objects to try if a meter gives no object list, by class; electricity on channels 0 and 1.
_USUAL = {
    1: ("0-0:42.0.0", "0-0:96.1.0", "1-0:0.0.0"),
    3: tuple(
        f"1-{channel}:{code}"
        for channel in (0, 1)
        for code in (
            *("32.7.0", "52.7.0", "72.7.0", "31.7.0", "51.7.0", "71.7.0", "14.7.0", "1.7.0"),
            *("1.8.0", "1.8.1", "1.8.2", "2.8.0", "3.8.0", "4.8.0"),
        )
    ),
    8: ("0-0:1.0.0",),
}
#: Entries that are parsed without a break; the loop serves other meters between.
_AT_ONCE = 500
_DOING = "reading the meter's object list"

#: Access modes that allow reading an attribute, up to version 2 of the class.
_READING_MODES = frozenset({1, 3, 4, 6})
#: From version 3 on the access mode is a set of bits; this bit allows reading.
_MAY_READ = 0x01
_MODES_AS_BITS = 3


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An entry of the object list; `readable` is None if it gives no access rights."""

    class_id: int
    version: int
    obis: Obis
    readable: frozenset[int] | None = None

    def may_read(self, attribute: int) -> bool:
        """Whether the access rights, if known, allow reading an attribute."""
        return self.readable is None or attribute in self.readable

    @property
    def class_name(self) -> str:
        """The name of its class, or its number."""
        row = CLASSES.get(self.class_id)
        return row.name if row else str(self.class_id)


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects that an association lists; `lie` tells of a list of another length."""

    objects: tuple[ListedObject, ...]
    lie: str = ""

    def with_more(self, found: Iterable[ListedObject]) -> Listing:
        """Return it with objects that were listed apart."""
        known = {(one.class_id, one.obis) for one in self.objects}
        more = tuple(one for one in found if (one.class_id, one.obis) not in known)
        return replace(self, objects=self.objects + more)


def read_object_list(client: Client) -> Talk[Listing]:
    """Read the object list of the open association. Raises ObjectError, ProtocolError."""
    listed = yield from client.object_list()
    if isinstance(listed, ObjectError):
        raise listed
    lie = ""
    if listed.count != listed.announced:
        lie = f"the object list announces {listed.announced} entries and has {listed.count}"
    return Listing((yield from _parse(listed.data)), lie)


def read_objects_of_class(client: Client, class_id: int) -> Talk[tuple[ListedObject, ...]]:
    """Read the listed objects of one class. Raises ObjectError, ServiceError, ProtocolError."""
    listed = yield from client.object_list(class_id)
    if isinstance(listed, ObjectError):
        raise listed
    found = yield from _parse(listed.data)
    return tuple(one for one in found if one.class_id == class_id)


def part_of(listed: ObjectList) -> Listing:
    """Return what had come of an object list that broke off. Raises ProtocolError."""
    lie = f"the object list breaks off after {listed.count} of {listed.announced} entries"
    return Listing(parse_object_list(listed.data), lie)


def usual_objects() -> Iterator[ListedObject]:
    """Yield objects that most electricity meters have."""
    for class_id, codes in _USUAL.items():
        for code in codes:
            yield ListedObject(class_id, 0, Obis.parse(code))


def parse_object_list(data: Data) -> tuple[ListedObject, ...]:
    """Parse the list of either association class, each object once; skip invalid entries.

    Raises ProtocolError if it is not an array or no entry is valid.
    """
    talk = _parse(data)
    while True:
        try:
            next(talk)
        except StopIteration as done:
            result: tuple[ListedObject, ...] = done.value
            return result


def _parse(data: Data) -> Talk[tuple[ListedObject, ...]]:
    if data.type not in (DataType.ARRAY, DataType.COMPACT_ARRAY):
        raise ProtocolError(_DOING, f"{data.type.name} came instead of an array")
    as_bits = _own_version(data) >= _MODES_AS_BITS
    objects: dict[tuple[int, Obis], ListedObject] = {}
    for count, element in enumerate(data.value, 1):
        if (entry := _entry(element, as_bits=as_bits)) is not None:
            objects[entry.class_id, entry.obis] = entry
        if not count % _AT_ONCE:
            yield Breath()
    if data.value and not objects:
        raise ProtocolError(_DOING, "none of its entries describes an object")
    return tuple(objects.values())


def _own_version(data: Data) -> int:
    """Return the version of the association object: it defines the form of access rights."""
    for element in data.value:
        entry = _entry(element, as_bits=False)
        if entry and entry.class_id == _ASSOCIATION_LN and entry.obis.octets[2] == 40:
            return entry.version
    return 0


def _entry(element: Data, *, as_bits: bool) -> ListedObject | None:
    match element:
        case Data(
            DataType.STRUCTURE,
            (Data(value=int(class_id)), Data(value=int(version)), Data(value=bytes(name)), *rights),
        ) if len(name) == 6:  # fmt: skip
            readable = _readable(rights[0], as_bits=as_bits) if rights else None
            return ListedObject(class_id, version, Obis(name), readable)
        case Data(
            DataType.STRUCTURE,
            (Data(), Data(value=int(class_id)), Data(value=int(version)), Data(value=bytes(name))),
        ) if len(name) == 6:  # fmt: skip
            return ListedObject(class_id, version, Obis(name))
    return None


def _readable(rights: Data, *, as_bits: bool) -> frozenset[int] | None:
    match rights:
        case Data(DataType.STRUCTURE, (Data(value=tuple(attributes)), *_)) if attributes:
            return frozenset(_readable_of(attributes, as_bits=as_bits))
    return None


def _readable_of(attributes: tuple[Data, ...], *, as_bits: bool) -> Iterator[int]:
    for attribute in attributes:
        match attribute:
            case Data(DataType.STRUCTURE, (Data(value=int(index)), Data(value=int(mode)), *_)):
                if mode & _MAY_READ if as_bits else mode in _READING_MODES:
                    yield index
