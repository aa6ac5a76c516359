"""The readable forms of attributes, so that users need not write octets.

Calendars, special days, limits and dates (IEC 62056-6-2) accept the JSON that `interpret`
shows for them, with the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from dlms_connector.compose.moments import NEVER, date_octets, date_time_octets, time_octets
from dlms_connector.compose.target import Target
from dlms_connector.compose.values import compose_value
from dlms_connector.cosem import MESSAGES, TRANSPORTS, AttributeRef
from dlms_connector.errors import CommandError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType

#: Turns a value into data. Arguments: its name in messages to the caller, the value, the target.
Form = Callable[[str, Any, Target], Data]


def _octets(octets: bytes) -> Data:
    return Data(DataType.OCTET_STRING, octets)


def _date(name: str, value: Any, target: Target) -> Data:
    return _octets(date_octets(name, value))


def _time(name: str, value: Any, target: Target) -> Data:
    return _octets(time_octets(name, value))


def _date_time(name: str, value: Any, target: Target) -> Data:
    return _octets(date_time_octets(name, value, from_utc=target.from_utc, skip=target.skip))


def _date_time_or_never(name: str, value: Any, target: Target) -> Data:
    return _octets(NEVER) if value is None else _date_time(name, value, target)


def _obis(name: str, value: Any, target: Target) -> Data:
    try:
        return _octets(Obis.parse(str(value)).octets)
    except ValueError as error:
        raise CommandError(f"{name}: {error}") from None


def _name(name: str, value: Any, target: Target) -> Data:
    """Compose a name of a season or week, an octet string: text, or `hex:…` for other octets."""
    if not isinstance(value, str):
        raise CommandError(f"{name}: {value!r} is not a name")
    if value.startswith("hex:"):
        return compose_value(name, DataType.OCTET_STRING, value)
    return _octets(value.encode())


def _ip(name: str, value: Any, target: Target) -> Data:
    """Compose an IPv4 address as a number; `fitted` makes octets of it if the meter uses octets."""
    try:
        number = int(IPv4Address(str(value)))
    except ValueError:
        raise CommandError(f"{name}: {value!r} is not an address such as 192.168.1.10") from None
    return Data(DataType.DOUBLE_LONG_UNSIGNED, number)


def _mac(name: str, value: Any, target: Target) -> Data:
    return compose_value(name, DataType.OCTET_STRING, str(value).replace(":", " "))


def _named(names: Mapping[int, str]) -> Form:
    """Return the form of an enumeration: its names, or a number."""
    codes = {text: code for code, text in names.items()}
    return lambda name, value, target: compose_value(
        name, DataType.ENUM, codes.get(value, value) if isinstance(value, str) else value
    )


def _of(type_: DataType) -> Form:
    return lambda name, value, target: compose_value(name, type_, value)


def _each(form: Form) -> Form:
    """Return the form of an array, given that of its elements."""

    def compose(name: str, value: Any, target: Target) -> Data:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise CommandError(f"{name}: {value!r} is not a list")
        parts = (form(f"{name}[{at}]", element, target) for at, element in enumerate(value))
        return Data(DataType.ARRAY, tuple(parts))

    return compose


def _fields(**forms: Form) -> Form:
    """Return the form of a structure, given those of its fields in their order."""

    def compose(name: str, value: Any, target: Target) -> Data:
        if not isinstance(value, Mapping):
            raise CommandError(f"{name}: {value!r} is not an object with {', '.join(forms)}")
        if wrong := [*(forms.keys() - value.keys()), *(value.keys() - forms.keys())]:
            raise CommandError(
                f"{name}: exactly {', '.join(forms)} are expected; wrong: {', '.join(wrong)}"
            )
        parts = (form(f"{name}.{key}", value[key], target) for key, form in forms.items())
        return Data(DataType.STRUCTURE, tuple(parts))

    return compose


_WINDOWS = _each(_fields(start=_date_time, end=_date_time))
_UNSIGNED, _LONG_UNSIGNED = _of(DataType.UNSIGNED), _of(DataType.LONG_UNSIGNED)
_ATTRIBUTE: Mapping[str, Form] = {
    "class": _LONG_UNSIGNED,
    "obis": _obis,
    "attribute": _of(DataType.INTEGER),
}
_SCRIPT = _fields(script=_obis, selector=_LONG_UNSIGNED)
_SEASONS = _each(_fields(name=_name, start=_date_time, week=_name))
_WEEKS = _each(
    _fields(
        name=_name, monday=_UNSIGNED, tuesday=_UNSIGNED, wednesday=_UNSIGNED, thursday=_UNSIGNED,
        friday=_UNSIGNED, saturday=_UNSIGNED, sunday=_UNSIGNED,
    )
)  # fmt: skip
_DAYS = _each(
    _fields(
        id=_UNSIGNED,
        schedule=_each(_fields(start=_time, script=_obis, selector=_LONG_UNSIGNED)),
    )
)

#: By class and attribute, as in `interpret.objects`.
FORMS: Mapping[tuple[int, int], Form] = {
    (7, 3): _each(_fields(**_ATTRIBUTE, dataIndex=_LONG_UNSIGNED)),
    (8, 2): _date_time,
    (8, 5): _date_time,
    (8, 6): _date_time,
    (11, 2): _each(_fields(index=_LONG_UNSIGNED, date=_date, dayId=_UNSIGNED)),
    (20, 2): _name,
    (20, 3): _SEASONS,
    (20, 4): _WEEKS,
    (20, 5): _DAYS,
    (20, 6): _name,
    (20, 7): _SEASONS,
    (20, 8): _WEEKS,
    (20, 9): _DAYS,
    (20, 10): _date_time_or_never,
    (21, 3): _fields(**_ATTRIBUTE),
    (21, 4): _each(_fields(actionUp=_SCRIPT, actionDown=_SCRIPT)),
    (22, 2): _SCRIPT,
    (22, 4): _each(_fields(time=_time, date=_date)),
    (28, 3): _WINDOWS,
    (29, 5): _WINDOWS,
    (29, 6): _each(_name),
    (40, 2): _each(_fields(**_ATTRIBUTE, dataIndex=_LONG_UNSIGNED)),
    (40, 3): _fields(transport=_named(TRANSPORTS), destination=_name, message=_named(MESSAGES)),
    (40, 4): _WINDOWS,
    (41, 3): _obis,
    (42, 2): _obis,
    (42, 3): _ip,
    (42, 4): _each(_ip),
    (42, 6): _ip,
    (42, 7): _ip,
    (42, 9): _ip,
    (42, 10): _ip,
    (43, 2): _mac,
    (45, 2): _name,
    (71, 2): _fields(**_ATTRIBUTE),
    (71, 8): _fields(
        id=_LONG_UNSIGNED,
        activationTime=_date_time_or_never,
        duration=_of(DataType.DOUBLE_LONG_UNSIGNED),
    ),
    (71, 9): _each(_LONG_UNSIGNED),
    (71, 11): _fields(overThreshold=_SCRIPT, underThreshold=_SCRIPT),
}


def _typed(type_: DataType, form: Form) -> Form:
    """Return a form whose octets get another type."""
    return lambda name, value, target: Data(type_, form(name, value, target).value)


#: By data type, for attributes without a form in `FORMS`.
MOMENTS: Mapping[DataType, Form] = {
    DataType.OCTET_STRING: _date_time,
    DataType.DATE_TIME: _typed(DataType.DATE_TIME, _date_time),
    DataType.DATE: _typed(DataType.DATE, _date),
    DataType.TIME: _typed(DataType.TIME, _time),
}


def form_of(ref: AttributeRef) -> Form | None:
    """Return the readable form of an attribute, None if it has none."""
    return FORMS.get((ref.class_id, ref.attribute))
