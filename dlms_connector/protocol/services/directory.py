"""Data about a meter that outlives an association, mainly its short names.

A short name is the address of an attribute or method of an object (IEC 62056-6-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef
from dlms_connector.errors import ProtocolError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Budget, Data, DataType, decode_entries
from dlms_connector.protocol.services.conversation import InvokeIds
from dlms_connector.protocol.services.long_values import breathing
from dlms_connector.protocol.talk import Talk

#: Base name of the association, fixed by the standard; its attribute 2 lists all objects.
ASSOCIATION = 0xFA00
OBJECT_LIST = ASSOCIATION + 8

#: The same list for meters with logical names.
OBJECT_LIST_LN = AttributeRef(15, Obis.parse("0-0:40.0.0"), 2)

#: Attribute n is at base + 8 * (n - 1); methods follow the first method in the same steps.
STEP = 8
_LAST = 0xFFFF

DOING = "reading the meter's object list"

#: Objects with a base name fixed by the standard: association, SAP assignment, logical device
#: name.
_FIXED = {
    (12, Obis.parse("0-0:40.0.0")): ASSOCIATION,
    (17, Obis.parse("0-0:41.0.0")): 0xFC00,
    (1, Obis.parse("0-0:42.0.0")): 0xFD00,
}


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The object list of an association, and how many entries the meter announced in it."""

    data: Data
    announced: int

    @property
    def count(self) -> int:
        """The number of entries that came."""
        return len(self.data.value)

    @classmethod
    def read(cls, octets: bytes, budget: Budget) -> Talk[ObjectList]:
        """Read the entries that are there, also if others are announced. Raises ProtocolError."""
        data, announced = yield from breathing(decode_entries(octets, budget), DOING)
        if data.type not in (DataType.ARRAY, DataType.COMPACT_ARRAY):
            raise ProtocolError(DOING, f"{data.type.name} came instead of an array")
        if announced and not data.value:
            raise ProtocolError(DOING, f"{announced} entries are announced, not one is there")
        return cls(data, announced)


@dataclass
class Directory:
    """The base names of a meter's objects; empty until the object list is read.

    It may outlive an association: base names change only with the firmware. `versions` are the
    versions of the objects' classes; `invoke_ids` gives the requests to the meter their ids.
    """

    names: dict[tuple[int, Obis], int] = field(default_factory=dict)
    versions: dict[tuple[int, Obis], int] = field(default_factory=dict)
    invoke_ids: InvokeIds = field(default_factory=InvokeIds, compare=False)

    def learn(self, object_list: Data) -> None:
        """Store the object list of the association, except invalid entries.

        Raises ProtocolError if it is not an object list.
        """
        if object_list.type is not DataType.ARRAY:
            raise ProtocolError(DOING, f"{object_list.type.name} came instead of an array")
        known = [entry for entry in map(_entry, object_list.value) if entry]
        if object_list.value and not known:
            entry = str(object_list.value[0])[:120]
            raise ProtocolError(DOING, f"{entry} does not describe an object")
        self.names = {**_FIXED, **{object_: base for object_, base, _ in known}}
        self.versions = {object_: version for object_, _, version in known}

    def attribute(self, ref: AttributeRef) -> int | None:
        """Return the short name of an attribute; None if the meter does not list the object."""
        base = self.names.get((ref.class_id, ref.obis))
        return None if base is None else _name(base + STEP * (ref.attribute - 1))

    def method(self, ref: MethodRef) -> int | None:
        """Return the short name of a method; None if the meter does not list the object.

        Raises ServiceError if no short names of methods are known for the class, or for its
        version.
        """
        base = self.names.get((ref.class_id, ref.obis))
        if base is None:
            return None
        row = CLASSES.get(ref.class_id)
        if row is None or row.methods_at is None:
            raise ServiceError(f"invoking {ref}", "its class has no methods by short name")
        # Later versions of some classes have attributes at the names of earlier methods.
        grown = row.methods_at < STEP * len(row.attributes)
        if grown and (version := self.versions.get((ref.class_id, ref.obis), 0)):
            problem = f"the short names of methods are not known for version {version} of its class"
            raise ServiceError(f"invoking {ref}", problem)
        return _name(base + row.methods_at + STEP * (ref.method - 1))


def _name(number: int) -> int | None:
    """Return a short name; None if it does not fit in 16 bits."""
    return number if number <= _LAST else None


def _entry(entry: Data) -> tuple[tuple[int, Obis], int, int] | None:
    """Return an object, its base name and its class version; None if the entry is invalid."""
    match entry:
        case Data(
            DataType.STRUCTURE,
            (
                Data(value=int(base)),
                Data(value=int(class_id)),
                Data(value=version),
                Data(value=bytes(name)),
                *_,
            ),
        ) if len(name) == 6:
            # Base names are written as signed numbers.
            known = version if isinstance(version, int) else 0
            return (class_id, Obis(name)), base & _LAST, known
    return None
