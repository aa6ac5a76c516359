"""What stands in a notification: which value is which attribute of which object.

Four ways lead to the names. The body lists its objects first, as push setups do that have
themselves as first object (IEC 62056-6-2, Push setup). Or each value has its name before it, with
or without class, attribute, scaler and unit, flat or in structures: in all the orders that makers
have chosen. Or the order is known: from the push setup (`listed`), or from the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dlms_connector.cosem import CLASSES, CLOCK_CLASS
from dlms_connector.errors import ProtocolError
from dlms_connector.interpret import ScalerUnit, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType

PUSH_SETUP = 40
_CONTAINERS = (DataType.STRUCTURE, DataType.ARRAY, DataType.COMPACT_ARRAY)
_VALUE = 2
_LOGICAL_NAME = 1
_DATA, _REGISTER = 1, 3
#: Value group A of objects that are no measured media.
_ABSTRACT = 0
#: Groups A that exist (IEC 62056-6-1: media and abstract objects).
_MOST_GROUP_A = 15
_ATTRIBUTES = range(1, 21)
#: An object definition: class, name, attribute, data index, and what newer versions append.
_DEFINITION = (4, 7)


@dataclass(frozen=True, slots=True)
class Place:
    """An attribute that stands at a place of a body; `class_id` is None if nothing tells it.

    `part` is the data index: not 0 if only a part of the attribute is there. `scaler` is the
    one that is stated for the place.
    """

    obis: Obis
    class_id: int | None = None
    attribute: int = _VALUE
    part: int = 0
    scaler: ScalerUnit | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and what it is the value of."""

    place: Place
    data: Data

    @property
    def class_id(self) -> int:
        """The class that is told, else the one that values of this kind have."""
        told = self.place.class_id
        return told if told is not None else _guessed_class(self)


def by_definitions(body: Data) -> tuple[Found, ...] | None:
    """Return the values of a body that begins with the list of its objects; None if it does not."""
    elements: tuple[Data, ...] = body.value if body.type is DataType.STRUCTURE else ()
    places = definitions(elements[0]) if len(elements) > 1 else None
    if not places:
        return None
    first_is_list = places[0].class_id == PUSH_SETUP and places[0].attribute == _VALUE
    if len(places) == len(elements) and first_is_list:
        return in_order(places[1:], elements[1:])
    return in_order(places, elements[1:]) if len(places) == len(elements) - 1 else None


def definitions(data: Data) -> tuple[Place, ...] | None:
    """Return the objects of a push setup's list; None if this is no such list."""
    if data.type not in _CONTAINERS or not data.value:
        return None
    places = tuple(map(_definition, data.value))
    return None if None in places else tuple(place for place in places if place)


def in_order(places: Sequence[Place], elements: Sequence[Data]) -> tuple[Found, ...]:
    """Return values whose order is known: as many as there are places."""
    return tuple(Found(place, element) for place, element in zip(places, elements, strict=True))


def elements_of(body: Data) -> tuple[Data, ...]:
    """Return the values of a body that has no names: those of its outermost structure."""
    return tuple(body.value) if body.type in _CONTAINERS else (body,)


def by_names(body: Data) -> tuple[Found, ...]:
    """Return the values that have their names before them, at any depth."""
    return tuple(_named(body))


def texts_of(body: Data, most: int = 64) -> Iterator[bytes]:
    """Yield the first strings in a body, in which a meter may say its name."""
    waiting = [body]
    while waiting and most > 0:
        data = waiting.pop(0)
        if data.type in _CONTAINERS:
            waiting[:0] = data.value[:most]
        elif isinstance(data.value, bytes):
            most -= 1
            yield data.value


def _definition(data: Data) -> Place | None:
    least, most = _DEFINITION
    if data.type is not DataType.STRUCTURE or not least <= len(data.value) <= most:
        return None
    class_id, name, attribute, part = data.value[:4]
    if class_id.type is not DataType.LONG_UNSIGNED or part.type is not DataType.LONG_UNSIGNED:
        return None
    if not _is_name(name) or attribute.type not in (DataType.INTEGER, DataType.UNSIGNED):
        return None
    return Place(Obis(name.value), class_id.value, attribute.value, part.value)


def _named(data: Data) -> Iterator[Found]:
    if data.type not in _CONTAINERS:
        return
    elements, at = data.value, 0
    while at < len(elements):
        found, end = _at(elements, at)
        if found is not None:
            yield found
        else:
            yield from _named(elements[at])
        at = end


def _at(elements: Sequence[Data], at: int) -> tuple[Found | None, int]:
    """Return the value whose name begins here, and where what belongs to it ends."""
    nothing = None, at + 1
    class_id, name = None, at
    if _is_class(elements[at]) and at + 2 < len(elements) and _is_name(elements[at + 1]):
        class_id, name = elements[at].value, at + 1
    if not _is_name(elements[name]) or name + 1 >= len(elements):
        return nothing
    place, value = Place(Obis(elements[name].value), class_id), name + 1
    if class_id is not None and _is_attribute(elements, value):
        place, value = replace(place, attribute=elements[value].value), value + 1
    if _is_scaler(elements[value]) and value + 1 < len(elements) and (
        elements[value + 1].type not in _CONTAINERS and not _begins(elements, value + 1)
    ):  # fmt: skip
        scaler = _scaler(elements[value])
        return Found(replace(place, scaler=scaler), elements[value + 1]), value + 2
    scaler, end = _scaler_behind(elements, value + 1)
    return Found(replace(place, scaler=scaler), elements[value]), end


def _scaler_behind(elements: Sequence[Data], at: int) -> tuple[ScalerUnit | None, int]:
    """Return scaler and unit behind a value: in a structure, or one after the other."""
    if at < len(elements) and _is_scaler(elements[at]):
        return _scaler(elements[at]), at + 1
    pair = elements[at : at + 2]
    if [each.type for each in pair] == [DataType.INTEGER, DataType.ENUM] and (
        at + 2 == len(elements) or _begins(elements, at + 2)
    ):
        return _scaler(Data(DataType.STRUCTURE, tuple(pair))), at + 2
    return None, at


def _begins(elements: Sequence[Data], at: int) -> bool:
    """Whether the name of the next value begins here."""
    if _is_name(elements[at]):
        return True
    return _is_class(elements[at]) and at + 1 < len(elements) and _is_name(elements[at + 1])


def _is_name(data: Data) -> bool:
    octets = data.value
    return (
        data.type is DataType.OCTET_STRING
        and len(octets) == 6
        and octets[0] <= _MOST_GROUP_A
        and (octets[5] == 0xFF or octets[5] <= 126)
        and any(octets[2:5])
    )


def _is_class(data: Data) -> bool:
    return data.type is DataType.LONG_UNSIGNED and data.value in CLASSES


def _is_attribute(elements: Sequence[Data], at: int) -> bool:
    data = elements[at]
    if data.type not in (DataType.INTEGER, DataType.UNSIGNED) or data.value not in _ATTRIBUTES:
        return False
    return at + 1 < len(elements) and not _begins(elements, at + 1)


def _is_scaler(data: Data) -> bool:
    return (
        data.type is DataType.STRUCTURE
        and len(data.value) == 2
        and data.value[0].type is DataType.INTEGER
        and data.value[1].type is DataType.ENUM
    )


def _scaler(data: Data) -> ScalerUnit | None:
    try:
        return scaler_unit(data)
    except ProtocolError:
        return None


def _guessed_class(found: Found) -> int:
    place, data = found.place, found.data
    if place.attribute == _LOGICAL_NAME:
        return _DATA
    if isinstance(data.value, bytes):
        is_clock = place.obis.octets[2:5] == b"\x01\x00\x00" and len(data.value) == 12
        return CLOCK_CLASS if is_clock else _DATA
    is_number = isinstance(data.value, int | float) and not isinstance(data.value, bool)
    measured = place.obis.octets[0] != _ABSTRACT or place.scaler is not None
    return _REGISTER if is_number and measured and data.type is not DataType.ENUM else _DATA
