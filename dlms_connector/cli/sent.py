"""Readings in the form in which the platform gets them, for commands that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from dlms_connector.config import Device, Item
from dlms_connector.meter import wanted
from dlms_connector.reading import Kind, Poll, Reading, Value
from dlms_converters.shaping import shaped
from dlms_converters.units import UnitError

Items = Mapping[tuple[Kind, str], Item]


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


def _shaped(reading: Reading, item: Item) -> Value:
    return shaped(
        reading.value,
        reading.unit,
        to_unit=item.unit,
        multiplier=item.multiplier,
        decimals=item.decimals,
    )
