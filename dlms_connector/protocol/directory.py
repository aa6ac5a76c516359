"""What is known of a meter from one association to the next, above all its short names.

Short names tell where the attributes and methods of objects lie (IEC 62056-6-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef
from dlms_connector.errors import ProtocolError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.axdr import Data, DataType
from dlms_connector.protocol.conversation import InvokeIds

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
    `invoke_ids` number the questions to the meter.
    """

    names: dict[tuple[int, Obis], int] = field(default_factory=dict)
    invoke_ids: InvokeIds = field(default_factory=InvokeIds, compare=False)

    def learn(self, object_list: Data) -> None:
        """Take what the association lists, but for entries that make no sense.

        Raises ProtocolError if it is no such list.
        """
        if object_list.type is not DataType.ARRAY:
            raise ProtocolError(_DOING, f"{object_list.type.name} came instead of an array")
        known = dict(filter(None, map(_entry, object_list.value)))
        if object_list.value and not known:
            entry = str(object_list.value[0])[:120]
            raise ProtocolError(_DOING, f"{entry} does not describe an object")
        self.names = {**_FIXED, **known}

    def attribute(self, ref: AttributeRef) -> int | None:
        """Return the short name of an attribute; None if the meter does not list the object."""
        base = self.names.get((ref.class_id, ref.obis))
        return None if base is None else _name(base + STEP * (ref.attribute - 1))

    def method(self, ref: MethodRef) -> int | None:
        """Return the short name of a method; None if the meter does not list the object.

        Raises ServiceError for classes whose methods are not known to have any.
        """
        base = self.names.get((ref.class_id, ref.obis))
        if base is None:
            return None
        row = CLASSES.get(ref.class_id)
        if row is None or row.methods_at is None:
            raise ServiceError(f"invoking {ref}", "its class has no methods by short name")
        return _name(base + row.methods_at + STEP * (ref.method - 1))


def _name(number: int) -> int | None:
    """Return a short name, of which there are only so many."""
    return number if number <= _LAST else None


def _entry(entry: Data) -> tuple[tuple[int, Obis], int] | None:
    match entry:
        case Data(
            DataType.STRUCTURE,
            (Data(value=int(base)), Data(value=int(class_id)), Data(), Data(value=bytes(name)), *_),
        ) if len(name) == 6:  # fmt: skip
            # Base names are written as signed numbers.
            return (class_id, Obis(name)), base & _LAST
    return None
