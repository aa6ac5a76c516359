"""Readings in the form in which the platform gets them, for commands that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import simplejson

from dlms_connector.config import (
    Device,
    Item,
    ProfileColumn,
)
from dlms_connector.errors import DlmsError
from dlms_connector.meter import wanted
from dlms_connector.reading import Failure, Kind, Poll, Reading, Value
from dlms_converters.shaping import shaped
from dlms_converters.units import UnitError

Items = Mapping[tuple[Kind, str], Item]


def hints_of(failures: Iterable[Failure]) -> list[str]:
    """Return what to try about failures of objects, each sentence once."""
    return list(dict.fromkeys(each.error.hint for each in failures if each.error.hint))


def with_hint(error: DlmsError) -> str:
    """Return what an error says, and in a line of its own what to try."""
    return f"{error}\n  hint: {error.hint}" if error.hint else str(error)


def items_of(device: Device) -> Items:
    """Return a device's items by kind and key, as in their readings."""
    return {(one.kind, one.item.key): one.item for one in wanted(device)}


def as_sent(reading: Reading, item: Item) -> tuple[Value, str | None]:
    """Return value and unit as sent to the platform; the meter's own if nothing is sent."""
    value, unit = reading.value, reading.unit
    try:
        sent = _shaped(reading, item)
    except UnitError:
        return value, unit
    unit = item.unit or unit
    if isinstance(value, int) and isinstance(sent, Decimal) and item.decimals is None:
        return (int(sent) if sent == sent.to_integral_value() else sent), unit
    return sent, unit


def column_as_sent(reading: Reading, column: ProfileColumn | None) -> tuple[Value, str | None]:
    """Return value and unit of a profile's row as sent; the meter's own if nothing is sent."""
    if column is None:
        return reading.value, reading.unit
    try:
        sent = _shaped(reading, column)
    except UnitError:
        return reading.value, reading.unit
    return sent, column.unit or reading.unit


def text_of(value: Value) -> str:
    """Return a value as text for a terminal: a meter's text must not control it."""
    if isinstance(value, str):
        return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in value)
    return "null" if value is None else plain(value)


def plain(value: Value) -> str:
    """Return a value as a cell: numbers with all digits, lists and structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(simplejson.dumps(value, use_decimal=True, ensure_ascii=False))


def unsent(device: Device, poll: Poll) -> Iterator[tuple[Reading, str]]:
    """Yield readings that the connector would not send, and why: their units do not fit.

    Yields nothing if the device has a user's own converter: its result is not known here.
    """
    if device.uplink_converter is not None:
        return
    items = items_of(device)
    for reading in poll.readings:
        try:
            _shaped(reading, items[reading.kind, reading.key])
        except UnitError as error:
            yield reading, f"is not sent: {error}"


def _shaped(reading: Reading, how: Item | ProfileColumn) -> Value:
    return shaped(
        reading.value,
        reading.unit,
        to_unit=how.unit,
        multiplier=how.multiplier,
        decimals=how.decimals,
    )
