"""The objects of a meter with names, values and units, read once over an association."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.discovery.naming import free_name, name_of, plain_name, profile_name
from dlms_connector.discovery.object_list import ListedObject, read_object_list, usual_objects
from dlms_connector.errors import DlmsError, ObjectError, ProtocolError, ServiceError
from dlms_connector.interpret import DEFAULTS, Options, ScalerUnit, interpret, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER = 1, 3, 4, 5
PROFILE_GENERIC, CLOCK, SAP_ASSIGNMENT, DISCONNECT_CONTROL = 7, 8, 17, 70
REGISTERS = (REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER)

#: The attribute with the value, for each class that is read; for profiles the capture objects.
VALUE_ATTRIBUTES = {
    DATA: 2,
    REGISTER: 2,
    EXTENDED_REGISTER: 2,
    DEMAND_REGISTER: 2,
    CLOCK: 2,
    SAP_ASSIGNMENT: 2,
    DISCONNECT_CONTROL: 2,
    PROFILE_GENERIC: 3,
}
#: Attributes per request: meters answer long lists late.
_AT_ONCE = 16
_MOST_OBJECTS = 5000

#: Receives the number of attributes read so far, and of all attributes to read.
Progress = Callable[[int, int], None]
Read = Mapping[AttributeRef, Data | ObjectError]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object, the key for its value, and the value that was read.

    `known` says that the meaning of the code is known. `problem` is why there is no value.
    """

    listed: ListedObject
    key: str
    known: bool = False
    value: Value = None
    unit: str | None = None
    problem: str = ""
    columns: tuple[Obis, ...] = ()

    @property
    def obis(self) -> Obis:
        """The logical name."""
        return self.listed.obis

    @property
    def is_read(self) -> bool:
        """Whether there is a value."""
        return not self.problem and self.value is not None


@dataclass(frozen=True, kw_only=True)
class Description:
    """All objects of an association, in the order of the meter's object list."""

    objects: tuple[FoundObject, ...] = ()
    conformance: frozenset[str] = field(default_factory=frozenset)
    max_pdu: int = 0xFFFF
    #: Why usual objects were tried instead of the meter's object list; empty if it was read.
    unlisted: str = ""

    def value_of(self, *codes: str) -> Value:
        """Return the value of the first of these objects that has one."""
        values = {str(one.obis): one.value for one in self.objects if one.is_read}
        return next((values[code] for code in codes if code in values), None)

    @property
    def logical_device_name(self) -> str | None:
        """The logical device name; its first three letters identify the manufacturer."""
        name = self.value_of("0-0:42.0.0")
        return None if name is None else str(name)

    @property
    def serial_number(self) -> str | None:
        """The serial number, as on the nameplate; None if the meter does not give it."""
        number = self.value_of("0-0:96.1.0", "1-0:0.0.0", "1-1:0.0.0", "0-0:96.1.1")
        return None if number is None else str(number)

    @property
    def logical_devices(self) -> Mapping[int, str]:
        """The names of all logical devices by address, from the SAP assignment list if any."""
        listed = self.value_of("0-0:41.0.0")
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        found = ((row.get("sap"), row.get("logicalDeviceName")) for row in rows)
        return {sap: str(name) for sap, name in found if isinstance(sap, int)}


def describe(
    client: Client,
    *,
    referencing: Literal["LN", "SN"] = "LN",
    options: Options = DEFAULTS,
    progress: Progress | None = None,
    values: bool = True,
) -> Talk[Description]:
    """Read the objects of an open association once: scalers and units, and values.

    Without `values` the objects are only listed. If the meter refuses its object list, usual
    objects are read instead. Raises ObjectError or ServiceError if it has none of them either,
    LinkError if it stops answering.
    """
    try:
        listed = (yield from read_object_list(client, referencing))[:_MOST_OBJECTS]
    except (ObjectError, ServiceError) as error:
        if not values:
            raise
        return (yield from _describe_usual(client, options, progress, error))
    wanted = list(_wanted(listed)) if values else []
    read: Read = (yield from _read(client, wanted, progress)) if wanted else {}
    return Description(
        objects=_named(listed, read, options, values=values),
        conformance=client.conformance,
        max_pdu=client.max_pdu,
    )


def _describe_usual(
    client: Client, options: Options, progress: Progress | None, error: DlmsError
) -> Talk[Description]:
    """Read objects that meters usually have; raise `error` if this one has none of them."""
    usual = tuple(usual_objects())
    read = yield from _read(client, list(_wanted(usual)), progress)
    there = [one for one in usual if isinstance(read.get(_value_of(one)), Data)]
    if not there:
        raise error
    return Description(
        objects=_named(there, read, options, values=True),
        conformance=client.conformance,
        max_pdu=client.max_pdu,
        unlisted=str(error),
    )


def _wanted(listed: Iterable[ListedObject]) -> Iterable[AttributeRef]:
    for one in listed:
        attribute = VALUE_ATTRIBUTES.get(one.class_id)
        if attribute is None or not one.may_read(attribute):
            continue
        if (scaler := _scaler_of(one)) is not None:
            yield scaler
        yield _value_of(one)


def _value_of(one: ListedObject) -> AttributeRef:
    return AttributeRef(one.class_id, one.obis, VALUE_ATTRIBUTES[one.class_id])


def _scaler_of(one: ListedObject) -> AttributeRef | None:
    row = CLASSES.get(one.class_id)
    index = row.scalers.get(VALUE_ATTRIBUTES[one.class_id]) if row else None
    return AttributeRef(one.class_id, one.obis, index) if index else None


def _read(
    client: Client, wanted: Sequence[AttributeRef], progress: Progress | None
) -> Talk[dict[AttributeRef, Data | ObjectError]]:
    """Read attributes, several per request unless the meter refuses that."""
    read: dict[AttributeRef, Data | ObjectError] = {}
    most = _AT_ONCE
    at = 0
    while at < len(wanted):
        refs = wanted[at : at + most]
        refs = refs[: max(1, client.max_items(refs))]
        try:
            results = yield from client.get(refs)
        except ServiceError as error:
            if len(refs) > 1:
                most = 1
                continue
            results = [_refused(refs[0], error)]
        read |= zip(refs, results, strict=True)
        at += len(refs)
        if progress:
            progress(at, len(wanted))
    return read


def _refused(ref: AttributeRef, error: ServiceError) -> ObjectError:
    """Return a refusal of the request as one of the object, so that discovery goes on."""
    refusal = ObjectError(f"reading {ref}", 250)
    refusal.__cause__ = error
    return refusal


def _named(
    listed: Sequence[ListedObject], read: Read, options: Options, *, values: bool
) -> tuple[FoundObject, ...]:
    """Give every object a unique key; known objects come first, channel 0 before others."""
    keys: dict[ListedObject, tuple[str, bool]] = {}
    taken: set[str] = set()
    for one in sorted(listed, key=_precedence):
        name = profile_name(one.obis) if one.class_id == PROFILE_GENERIC else name_of(one.obis)
        key = free_name(name or plain_name(one.obis), one.obis, taken)
        taken.add(key)
        keys[one] = key, name is not None
    return tuple(_found(one, *keys[one], read, options, values=values) for one in listed)


def _precedence(one: ListedObject) -> tuple[bool, bool, bytes]:
    """Return a sort key: objects with values first, then known ones, then by OBIS code."""
    return one.class_id not in VALUE_ATTRIBUTES, name_of(one.obis) is None, one.obis.octets


def _found(
    one: ListedObject, key: str, known: bool, read: Read, options: Options, *, values: bool
) -> FoundObject:
    if one.class_id not in VALUE_ATTRIBUTES:
        return FoundObject(listed=one, key=key, known=known, problem="not read: its class has none")
    ref = _value_of(one)
    data = read.get(ref)
    if data is None:
        problem = "no right to read" if values else "not read"
        return FoundObject(listed=one, key=key, known=known, problem=problem)
    if isinstance(data, ObjectError):
        problem = str(data).rpartition(": ")[2]
        return FoundObject(listed=one, key=key, known=known, problem=problem)
    if one.class_id == PROFILE_GENERIC:
        columns = tuple(_columns(data))
        return FoundObject(
            listed=one, key=key, known=known, value=[str(each) for each in columns],
            columns=columns,
        )  # fmt: skip
    try:
        value, unit = interpret(ref, data, _scaling(one, read), options)
    except ProtocolError as error:
        return FoundObject(listed=one, key=key, known=known, problem=error.problem)
    return FoundObject(listed=one, key=key, known=known, value=value, unit=unit)


def _scaling(one: ListedObject, read: Read) -> ScalerUnit | None:
    """Return an object's scaler and unit; None if it has none or refuses to give it."""
    ref = _scaler_of(one)
    data = read.get(ref) if ref else None
    if data is None or isinstance(data, ObjectError):
        return None
    return scaler_unit(data)


def _columns(data: Data) -> Iterable[Obis]:
    for column in data.value if isinstance(data.value, tuple) else ():
        match column:
            case Data(value=(Data(value=int()), Data(value=bytes(name)), *_)) if len(name) == 6:
                yield Obis(name)
