"""The objects of a meter with names, values and units, read once over an association."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timezone

from dlms_connector.cosem import AttributeRef, free_name, name_of, plain_name, profile_name
from dlms_connector.discovery.candidates import Referencing
from dlms_connector.discovery.gathering import (
    DEMAND_REGISTER,
    EXTENDED_REGISTER,
    PROFILE_GENERIC,
    REGISTER,
    VALUE_ATTRIBUTES,
    Gathering,
    Progress,
    Read,
    scaler_of,
    value_of,
)
from dlms_connector.discovery.naming import own_name
from dlms_connector.discovery.object_list import ListedObject
from dlms_connector.errors import DlmsError, LinkClosedError, LinkError, ProtocolError
from dlms_connector.interpret import (
    DEFAULTS,
    Options,
    ScalerUnit,
    interpret,
    moment_of,
    scaler_unit,
    zone_error,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

REGISTERS = (REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER)
_SERIAL_NUMBERS = ("0-0:96.1.0", "1-0:0.0.0", "1-1:0.0.0", "0-0:96.1.1")
_DEVICE_NAME = "0-0:42.0.0"
#: So many keys are named in one note.
_FEW = 5


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
    #: The octets of an octet string, which are not always text.
    octets: bytes | None = None
    #: Whether the meter does not tell the scaler: then the value may be wrong by powers of ten.
    raw: bool = False

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
    #: Attributes that cost the association, and how: they are silent, malformed, or end it.
    skipped: tuple[tuple[AttributeRef, str], ...] = ()
    #: What else is to be told about the list.
    notes: tuple[str, ...] = ()

    def value_of(self, *codes: str) -> Value:
        """Return the value of the first of these objects that has one."""
        values = {str(one.obis): one.value for one in self.objects if one.is_read}
        return next((values[code] for code in codes if code in values), None)

    def name_of(self, *codes: str) -> str | None:
        """Return the first value of these objects that is a name or a number."""
        found = {one.obis: one for one in self.objects if one.is_read}
        named = (found.get(Obis.parse(code)) for code in codes)
        names = (own_name(one.value, one.octets) for one in named if one is not None)
        return next((name for name in names if name), None)

    @property
    def logical_device_name(self) -> str | None:
        """The logical device name; its first three letters identify the manufacturer."""
        return self.name_of(_DEVICE_NAME)

    @property
    def serial_number(self) -> str | None:
        """The serial number, as on the nameplate; None if the meter does not give it."""
        return self.name_of(*_SERIAL_NUMBERS)

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
    referencing: Referencing = "LN",
    options: Options = DEFAULTS,
    progress: Progress | None = None,
    values: bool = True,
) -> Talk[Description]:
    """Read the objects of an open association once: scalers and units, and values.

    Without `values` the objects are only listed. If the meter refuses its object list, usual
    objects are read instead. After an object that costs the association, it is opened again over
    the same link. Raises ObjectError or ServiceError if the meter has none of them either,
    LinkError if it stops answering.
    """
    gathering = Gathering(progress, referencing=referencing, values=values)
    while True:
        try:
            yield from gathering.talk(client)
            break
        except LinkError as error:
            again, closed = gathering.broke(error), isinstance(error, LinkClosedError)
            if closed and gathering.answered:
                # The next association needs a new connection, which is not ours to open.
                gathering.give_up(error)
                break
            if closed or not again:
                raise
            yield from client.break_off()
            yield from client.connect()
    return description_of(gathering, client, options, values=values)


def description_of(
    gathering: Gathering, client: Client | None, options: Options, *, values: bool = True
) -> Description:
    """Return what was gathered, with keys and values."""
    read = gathering.read
    objects: Sequence[ListedObject] = gathering.objects
    if gathering.listing is None:
        objects = [one for one in objects if isinstance(read.get(value_of(one)), Data)]
    elif gathering.given_up is not None:
        values = False  # what was not read may be readable all the same
    notes = [gathering.listing.lie] if gathering.listing and gathering.listing.lie else []
    notes += _clock_notes(gathering, options)
    if gathering.given_up is not None:
        notes.append(f"not all objects were read: {gathering.given_up}")
    found = tuple(_named(objects, read, options, values=values))
    if raw := [one.key for one in found if one.raw and one.is_read]:
        more = f" and {len(raw) - _FEW} more" if len(raw) > _FEW else ""
        notes.append(
            f"no scaler was given for {', '.join(raw[:_FEW])}{more}: their values are raw, and are "
            "not sent until the entry has `scaler` and `unit` for them"
        )
    return Description(
        objects=found,
        conformance=client.conformance if client else frozenset(),
        max_pdu=client.max_pdu if client else 0xFFFF,
        unlisted=str(gathering.unlisted) if gathering.listing is None else "",
        skipped=tuple((ref, str(error)) for ref, error in gathering.skipped()),
        notes=tuple(notes),
    )


def _clock_notes(gathering: Gathering, options: Options) -> list[str]:
    """Tell of the first clock that is wrong by hours or half hours, as in another zone."""
    for ref, read_at in gathering.clocks.items():
        data = gathering.read.get(ref)
        moment = moment_of(data) if isinstance(data, Data) else None
        # The clock of a meter without a time zone is taken for UTC, as the poller does.
        zoned = options if options.zone else replace(options, zone=timezone.utc)
        shown = moment.instant(zoned.zone, from_utc=zoned.from_utc) if moment else None
        if moment is None or shown is None:
            continue
        problem = zone_error(moment, shown.timestamp() - read_at, zoned)
        if problem:
            return [problem]
    return []


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
    ref, scaler = value_of(one), scaler_of(one)
    data = read.get(ref)
    lost = next((each for each in (data, read.get(scaler) if scaler else None)
                 if isinstance(each, LinkError)), None)  # fmt: skip
    if lost is not None:
        return FoundObject(listed=one, key=key, known=known, problem=f"skipped: {lost}")
    if data is None:
        problem = "no right to read" if values else "not read"
        return FoundObject(listed=one, key=key, known=known, problem=problem)
    if isinstance(data, DlmsError):
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
    octets = data.value if isinstance(data.value, bytes) else None
    raw = scaler is not None and isinstance(read.get(scaler), DlmsError)
    return FoundObject(
        listed=one, key=key, known=known, value=value, unit=unit, octets=octets, raw=raw,
    )  # fmt: skip


def _scaling(one: ListedObject, read: Read) -> ScalerUnit | None:
    """Return an object's scaler and unit; None if it has none or refuses to give it."""
    ref = scaler_of(one)
    data = read.get(ref) if ref else None
    if data is None or isinstance(data, DlmsError):
        return None
    return scaler_unit(data)


def _columns(data: Data) -> Iterable[Obis]:
    for column in data.value if isinstance(data.value, tuple) else ():
        match column:
            case Data(value=(Data(value=int()), Data(value=bytes(name)), *_)) if len(name) == 6:
                yield Obis(name)
