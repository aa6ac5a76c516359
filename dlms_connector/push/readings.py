"""Readings of what was found in a push: with the device's items where they name the object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from dlms_connector.config import Device, Item, acceptable
from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.errors import DlmsError, ProtocolError, ScalerError, TooLargeError
from dlms_connector.interpret import (
    ScalerUnit,
    examine,
    is_longer,
    is_number,
    options_of,
    scaler_unit,
)
from dlms_connector.push.mapping import Found, Place
from dlms_connector.reading import LARGEST_VALUE, Failure, Kind, Poll, Reading

#: Returns the scaler and unit that were read of an object; None if they were not.
KnownScaler = Callable[[AttributeRef], ScalerUnit | None]

_VALUE = 2


def readings_of(
    device: Device, found: Sequence[Found], ts_ms: int, *, sure: bool, known: KnownScaler
) -> Poll:
    """Return the readings of a push, and the objects that cannot be used.

    `sure` says that the time is the meter's, and can be true.
    """
    readings: list[Reading] = []
    failures: list[Failure] = []
    told = _scalers_in(found)
    for one in found:
        ref = AttributeRef(one.class_id, one.place.obis, one.place.attribute)
        if (scaler := told.get(ref)) is not None and one.place.scaler is None:
            one = replace(one, place=replace(one.place, scaler=scaler))
        for kind, item in _items(device, one.place):
            key = item.key if item else _key(one.place)
            ref = replace(ref, class_id=item.class_id) if item else ref
            if item is not None and item.has_no_value(one.data.value):
                continue
            try:
                reading = _reading(device, one, ref, kind, item, known)
            except DlmsError as error:
                failures.append(Failure(key=key, kind=kind, obis=ref.obis, error=error))
                continue
            quality = reading.quality if sure else "suspect"
            readings.append(replace(reading, ts_ms=ts_ms, quality=quality))
    return Poll(readings=tuple(readings), failures=tuple(failures))


def _scalers_in(found: Sequence[Found]) -> dict[AttributeRef, ScalerUnit]:
    """Return what the push tells in attributes of its own: the scaler and unit of each value."""
    scalers: dict[AttributeRef, ScalerUnit] = {}
    for one in found:
        row = CLASSES.get(one.class_id)
        for value, index in (row.scalers if row else {}).items():
            if index == one.place.attribute and not one.place.part:
                with suppress(ProtocolError):
                    ref = AttributeRef(one.class_id, one.place.obis, value)
                    scalers[ref] = scaler_unit(one.data)
    return scalers


def _items(device: Device, place: Place) -> Iterator[tuple[Kind, Item | None]]:
    """Yield the device's items for a place; None if there are none, and it is sent all the same."""
    kinds: tuple[tuple[Kind, tuple[Item, ...]], ...] = (
        ("attributes", device.attributes),
        ("timeseries", device.timeseries),
    )
    listed = False
    for kind, items in kinds:
        for item in items:
            if _names(item, place):
                listed = True
                yield kind, item
    if not listed and device.push.unlisted:
        yield "timeseries", None


def _names(item: Item, place: Place) -> bool:
    same = item.obis == place.obis and item.attribute == place.attribute and not place.part
    return same and place.class_id in (None, item.class_id)


def _reading(
    device: Device,
    one: Found,
    ref: AttributeRef,
    kind: Kind,
    item: Item | None,
    known: KnownScaler,
) -> Reading:
    if is_longer(one.data, LARGEST_VALUE[kind]):
        raise TooLargeError(f"taking {ref}", "too large: more than may be sent as one value")
    # A part has another data type than the whole attribute.
    shown = replace(ref, attribute=0) if one.place.part else ref
    scaler, scaled = _scaler(one, ref, item, known)
    value, unit, quality = examine(shown, one.data, scaler, options_of(device.dlms, item))
    return Reading(
        key=item.key if item else _key(one.place) + ("" if scaled else ":raw"),
        kind=kind,
        obis=ref.obis,
        class_id=ref.class_id,
        attribute=ref.attribute,
        value=value,
        unit=unit,
        ts_ms=0,
        quality=quality,
    )


def _scaler(
    one: Found, ref: AttributeRef, item: Item | None, known: KnownScaler
) -> tuple[ScalerUnit | None, bool]:
    """Return the scaler and unit to use, and whether the number is known to be scaled right.

    Raises ScalerError for an item's number without a scaler: it may be wrong by powers of ten.
    """
    theirs = one.place.scaler
    row = CLASSES.get(ref.class_id)
    index = row.scalers.get(ref.attribute) if row else None
    if theirs is None and index is not None:
        theirs = known(AttributeRef(ref.class_id, ref.obis, index))
    stated = item.scaler if item else None
    unit = item.unit if item else None
    if theirs is not None:
        return (theirs if stated is None else replace(theirs, scaler=stated)), True
    if stated is None and index is not None and is_number(one.data):
        if item is not None:
            raise ScalerError(f"the push has no scaler for {ref.obis}")
        return None, False
    return (None if stated is None and unit is None else ScalerUnit(stated or 0, unit)), True


def _key(place: Place) -> str:
    name = str(place.obis)
    if place.attribute != _VALUE or place.part:
        name += f":{place.attribute}"
    return acceptable(name + (f"[{place.part}]" if place.part else ""))
