"""Data about a meter that outlives an association, mainly its short names.

A short name is the address of an attribute or method of an object (IEC 62056-6-2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef
from dlms_connector.errors import ProtocolError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Budget, Data, DataType, decode_entries
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.services.conversation import InvokeIds
from dlms_connector.protocol.services.fence import FenceMark
from dlms_connector.protocol.services.long_values import breathing
from dlms_connector.protocol.services.shapes import Shapes
from dlms_connector.protocol.talk import Talk

#: Class and logical name.
Object = tuple[int, Obis]

#: Base name of the association, fixed by the standard; its attribute 2 lists all objects.
ASSOCIATION = 0xFA00
OBJECT_LIST = ASSOCIATION + 8

#: The same list for meters with logical names.
OBJECT_LIST_LN = AttributeRef(15, Obis.parse("0-0:40.0.0"), 2)

#: Attribute n is at base + 8 * (n - 1); methods follow the first method in the same steps.
STEP = 8
_LAST = 0xFFFF

DOING = "reading the meter's object list"

#: The most associations in which a list that breaks off is not asked for.
_LONGEST_REST = 64

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

    It may outlive an association: base names change only with the firmware. `told` are those of
    the configuration, which need no list. `unproved` are objects whose name is not known to be
    that of the meter that answers now: the logical name at their base name proves it. About
    those `disproved` the configuration is wrong. Names that are `remembered` from an earlier run
    may not be all. `breaks` is how often the list broke off since it was whole, `resting` in how
    many associations it is not asked for; `selects` says whether single entries can be asked for,
    None if that is not known. `versions` are the versions of the objects' classes; `shapes` is
    what their attributes gave; `invoke_ids` gives the requests to the meter their ids; `fence` is
    what it answers to the question behind the last of a poll; `remarks` takes what is noticed of it
    besides answers.
    """

    names: dict[Object, int] = field(default_factory=dict)
    versions: dict[Object, int] = field(default_factory=dict)
    told: dict[Object, int] = field(default_factory=dict)
    # One empty set for all: most meters have logical names, and nothing to be proved.
    unproved: frozenset[Object] = frozenset()
    disproved: frozenset[Object] = frozenset()
    remembered: bool = False
    breaks: int = field(default=0, compare=False)
    resting: int = field(default=0, compare=False)
    selects: bool | None = field(default=None, compare=False)
    shapes: Shapes = field(default_factory=Shapes, compare=False)
    invoke_ids: InvokeIds = field(default_factory=InvokeIds, compare=False)
    fence: FenceMark = field(default_factory=FenceMark, compare=False)
    remarks: Remarks = field(default_factory=Remarks, compare=False)

    def learn(self, object_list: Data) -> None:
        """Store the object list of the association, except invalid entries.

        Raises ProtocolError if it is not an object list.
        """
        if object_list.type not in (DataType.ARRAY, DataType.COMPACT_ARRAY):
            raise ProtocolError(DOING, f"{object_list.type.name} came instead of an array")
        known = [entry for entry in map(_entry, object_list.value) if entry]
        if object_list.value and not known:
            entry = str(object_list.value[0])[:120]
            raise ProtocolError(DOING, f"{entry} does not describe an object")
        self.names = {**_FIXED, **{object_: base for object_, base, _ in known}}
        self.versions = {object_: version for object_, _, version in known}
        self.unproved = self.unproved.intersection(self.told)
        self.remembered, self.breaks, self.resting = False, 0, 0

    def add(self, entries: Data) -> None:
        """Take entries of the object list that are not all of it."""
        known = [entry for entry in map(_entry, entries.value) if entry]
        self.names = {**_FIXED, **self.names, **{object_: base for object_, base, _ in known}}
        self.versions = {**self.versions, **{object_: version for object_, _, version in known}}
        self.unproved -= {object_ for object_, _, _ in known} - self.told.keys()
        self.remembered = True

    def broke_off(self, part: ObjectList | None) -> None:
        """Note that the association broke over the list; `part` had arrived.

        It may break at the same place again: so it is not asked for in the next association that
        wants it if a part has come, after the second time in two, then in four, and so on.
        """
        if part is not None:
            self.add(part.data)
        self.breaks += 1
        once = self.breaks == 1 and part is None  # perhaps noise
        self.resting = 0 if once else min(1 << (self.breaks - 1), _LONGEST_REST)
        if self.breaks > 1:
            self.remarks.quirk(
                "breaks off in its object list, so that objects behind that are asked for one by "
                "one, and baseName has to name those that are not found"
            )

    def rests(self) -> bool:
        """Whether the list is not to be asked for in this association."""
        if not self.resting:
            return False
        self.resting -= 1
        return True

    def remember(self, names: Mapping[Object, int], versions: Mapping[Object, int]) -> None:
        """Take names from an earlier run of the program; they are proved before they are used."""
        self.names, self.versions = dict(names), dict(versions)
        self.remembered = True
        self.unproved = self.unproved.union(self.names.keys() - _FIXED.keys())

    def tell(self, names: Mapping[Object, int]) -> None:
        """Take names from the configuration."""
        for object_, base in names.items():
            if self.told.get(object_) != base and object_ not in self.disproved:
                self.told[object_] = base
                self.unproved |= {object_}

    def forget(self) -> None:
        """Forget what may be different: another meter may be installed at the same address."""
        self.unproved = frozenset({*self.names, *self.told} - _FIXED.keys())
        self.disproved = frozenset()
        self.shapes = Shapes()
        self.fence = FenceMark()

    def disprove(self, object_: Object) -> None:
        """Note that another object is at this object's name."""
        self.unproved -= {object_}
        if self.told.pop(object_, None) is not None:
            self.disproved |= {object_}
        else:
            self.names, self.versions = {}, {}
            self.unproved = self.unproved.intersection(self.told)

    def lacks(self, object_: Object) -> bool:
        """Whether the object list may tell a name that is not known."""
        return self.base(object_) is None and (self.remembered or not self.names)

    def base(self, object_: Object) -> int | None:
        """Return the base name of an object; None if it is not known."""
        for names in (self.told, self.names, _FIXED):
            if object_ in names:
                return names[object_]
        return None

    def attribute(self, ref: AttributeRef) -> int | None:
        """Return the short name of an attribute; None if the meter does not list the object."""
        base = self.base((ref.class_id, ref.obis))
        return None if base is None else _name(base + STEP * (ref.attribute - 1))

    def method(self, ref: MethodRef) -> int | None:
        """Return the short name of a method; None if the meter does not list the object.

        Raises ServiceError if no short names of methods are known for the class, or for its
        version.
        """
        base = self.base((ref.class_id, ref.obis))
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
