"""What is known of a meter from one association to the next, above all its short names.

Short names tell where the attributes and methods of objects lie (IEC 62056-6-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef
from dlms_connector.errors import ProtocolError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.services.conversation import InvokeIds

#: The association, whose short name the standard fixes; its attribute 2 lists all objects.
ASSOCIATION = 0xFA00
OBJECT_LIST = ASSOCIATION + 8

#: Attribute n lies at base + 8 * (n - 1), and so do methods behind the first of theirs.
STEP = 8
_LAST = 0xFFFF

_DOING = "reading the meter's object list"

#: Objects that the standard gives a base name: SAP assignment and logical device name.
_FIXED = {
    (12, Obis.parse("0-0:40.0.0")): ASSOCIATION,
    (17, Obis.parse("0-0:41.0.0")): 0xFC00,
    (1, Obis.parse("0-0:42.0.0")): 0xFD00,
}


@dataclass
class Directory:
    """The base names of a meter's objects; empty until the meter was asked.

    It may outlive an association: a meter gives out other names only with other firmware.
    `versions` are those of the objects' classes; `invoke_ids` number the questions to the meter.
    """

    names: dict[tuple[int, Obis], int] = field(default_factory=dict)
    versions: dict[tuple[int, Obis], int] = field(default_factory=dict)
    invoke_ids: InvokeIds = field(default_factory=InvokeIds, compare=False)

    def learn(self, object_list: Data) -> None:
        """Take what the association lists, but for entries that make no sense.

        Raises ProtocolError if it is no such list.
        """
        if object_list.type is not DataType.ARRAY:
            raise ProtocolError(_DOING, f"{object_list.type.name} came instead of an array")
        known = [entry for entry in map(_entry, object_list.value) if entry]
        if object_list.value and not known:
            entry = str(object_list.value[0])[:120]
            raise ProtocolError(_DOING, f"{entry} does not describe an object")
        self.names = {**_FIXED, **{object_: base for object_, base, _ in known}}
        self.versions = {object_: version for object_, _, version in known}

    def attribute(self, ref: AttributeRef) -> int | None:
        """Return the short name of an attribute; None if the meter does not list the object."""
        base = self.names.get((ref.class_id, ref.obis))
        return None if base is None else _name(base + STEP * (ref.attribute - 1))

    def method(self, ref: MethodRef) -> int | None:
        """Return the short name of a method; None if the meter does not list the object.

        Raises ServiceError for classes, and versions of them, whose methods are not known to
        have any.
        """
        base = self.names.get((ref.class_id, ref.obis))
        if base is None:
            return None
        row = CLASSES.get(ref.class_id)
        if row is None or row.methods_at is None:
            raise ServiceError(f"invoking {ref}", "its class has no methods by short name")
        # Where a class has grown, its later versions have attributes at these names.
        grown = row.methods_at < STEP * len(row.attributes)
        if grown and (version := self.versions.get((ref.class_id, ref.obis), 0)):
            problem = f"the short names of methods are not known for version {version} of its class"
            raise ServiceError(f"invoking {ref}", problem)
        return _name(base + row.methods_at + STEP * (ref.method - 1))


def _name(number: int) -> int | None:
    """Return a short name, of which there are only so many."""
    return number if number <= _LAST else None


def _entry(entry: Data) -> tuple[tuple[int, Obis], int, int] | None:
    """Return an object, its base name and the version of its class."""
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
