"""What becomes of a reading on its way to the platform, for commands that show it."""

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
    """Return a device's items by what names their readings."""
    return {(one.kind, one.item.key): one.item for one in wanted(device)}


def as_sent(reading: Reading, item: Item) -> tuple[Value, str | None]:
    """Return value and unit as the platform gets them; the meter's own where it gets none."""
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

    What a converter of the user's own does with them, nobody knows here.
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
