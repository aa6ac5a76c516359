"""Shapes turn data of a certain kind into a value; large shapes are built from small ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlms_connector.cosem import UNITS
from dlms_connector.interpret import octets
from dlms_connector.interpret.context import Context, Shape
from dlms_connector.interpret.scaling import is_number, number
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.reading import Value

_LISTS = (DataType.ARRAY, DataType.STRUCTURE, DataType.COMPACT_ARRAY)
_MOMENTS = {
    DataType.DATE_TIME: octets.date_time,
    DataType.DATE: octets.date,
    DataType.TIME: octets.time,
}
_STRINGS = {
    DataType.VISIBLE_STRING: octets.visible,
    DataType.UTF8_STRING: octets.text,
    **_MOMENTS,
}

#: Turns octets into a value.
Octets = Callable[[bytes, Context], Value]


def plain(data: Data, context: Context) -> Value:
    """Show data by its type; the meaning of octet strings is guessed."""
    return _plain(data, context, octets.guess)


def raw(data: Data, context: Context) -> Value:
    """Show data by its type; octet strings in hexadecimal."""
    return _plain(data, context, octets.hexadecimal)


def of_octets(read: Octets) -> Shape:
    """Return the shape of octet strings of known meaning; other types are shown by their type."""

    def shape(data: Data, context: Context) -> Value:
        if data.type is DataType.NULL:
            return None
        if data.type is DataType.OCTET_STRING or data.type in _STRINGS:
            return read(data.value, context)
        return _plain(data, context, read)

    return shape


def each(of: Shape) -> Shape:
    """Return the shape of a list whose elements are all of one shape."""

    def shape(data: Data, context: Context) -> Value:
        if data.type not in _LISTS:
            return plain(data, context)
        return [of(element, context) for element in data.value]

    return shape


def fields(**shapes: Shape) -> Shape:
    """Return the shape of a structure with named elements.

    Elements beyond those named, as in later versions of a class, are called `field5` and so on.
    """
    named = tuple(shapes.items())

    def shape(data: Data, context: Context) -> Value:
        if data.type is not DataType.STRUCTURE:
            return plain(data, context)
        value: dict[str, Value] = {}
        for index, element in enumerate(data.value):
            key, of = named[index] if index < len(named) else (f"field{index + 1}", plain)
            value[key] = of(element, context)
        return value

    return shape


def by_size(small: Shape, large: Shape, *, above: int) -> Shape:
    """Return the shape of a structure that has more elements in another version of its class.

    `large` is used for a structure with more than `above` elements.
    """

    def shape(data: Data, context: Context) -> Value:
        big = data.type is DataType.STRUCTURE and len(data.value) > above
        return (large if big else small)(data, context)

    return shape


def named(*names: str) -> Shape:
    """Return the shape of an enumeration from 0 on; a number without a name stays a number."""
    return numbered(dict(enumerate(names)))


def numbered(names: Mapping[int, str]) -> Shape:
    """Return the shape of an enumeration."""

    def shape(data: Data, context: Context) -> Value:
        if isinstance(data.value, int) and data.value in names:
            return names[data.value]
        return plain(data, context)

    return shape


def flags(names: Mapping[int, str]) -> Shape:
    """Return the shape of a number whose bits have names: a list of those that are set."""

    def shape(data: Data, context: Context) -> Value:
        if not isinstance(data.value, int) or isinstance(data.value, bool):
            return plain(data, context)
        return [name for bit, name in names.items() if data.value & bit]

    return shape


def short_name(data: Data, context: Context) -> Value:
    """Show a short name, which meters write as a signed number."""
    return data.value & 0xFFFF if data.type is DataType.LONG else plain(data, context)


def hidden(_data: Data, _context: Context) -> Value:
    """Show nothing: the attribute is a secret."""
    return None


def unit(data: Data, context: Context) -> Value:
    """Show the symbol of a unit; a code without one stays a number."""
    return UNITS.get(data.value) if data.value in UNITS else plain(data, context)


def unsigned_ip(data: Data, context: Context) -> Value:
    """Show an IPv4 address that is written as a number or as octets."""
    if data.type is DataType.DOUBLE_LONG_UNSIGNED:
        return octets.ip(data.value.to_bytes(4, "big"), context)
    return ip(data, context)


def _plain(data: Data, context: Context, read: Octets) -> Value:
    if data.type in _LISTS:
        return [_plain(element, context, read) for element in data.value]
    if is_number(data):
        value = number(data, context.scaler)
        return context.doubt(None) if value is None else value
    if data.type is DataType.OCTET_STRING:
        return read(data.value, context)
    if data.type in _STRINGS:
        return _STRINGS[data.type](data.value, context)
    value_: Value = data.value
    return value_


hexadecimal = of_octets(octets.hexadecimal)
text = of_octets(octets.text)
name = of_octets(octets.name)
label = of_octets(octets.label)
obis = of_octets(octets.obis)
date_time = of_octets(octets.date_time)
date = of_octets(octets.date)
time = of_octets(octets.time)
ip = of_octets(octets.ip)
mac = of_octets(octets.mac)
