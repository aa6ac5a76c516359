"""Which values a notification holds, by whatever tells it: see `mapping` for the ways."""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector.config import Device, PushLayout
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ProtocolError
from dlms_connector.hints import Symptom
from dlms_connector.interpret import ScalerUnit
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.notifications import Notification
from dlms_connector.push.mapping import (
    PUSH_SETUP,
    Found,
    Place,
    by_definitions,
    by_names,
    elements_of,
    in_order,
)

#: Distance of two attributes of an object with a short name.
_STEP = 8


class UnmappedError(ProtocolError):
    """Nothing tells what the values of a push are."""

    symptoms = (Symptom.PUSH_UNMAPPED,)


def found_in(
    notification: Notification,
    device: Device | None = None,
    listed: Sequence[Place] | None = None,
) -> tuple[Found, ...]:
    """Return the values of a notification and what they are.

    Without a `device`, only what the notification tells itself: empty if that is nothing. `listed`
    are the objects of the device's push setup. Raises UnmappedError if nothing tells what they are.
    """
    named = [*notification.attributes, *_by_short_names(notification, device)]
    if named or notification.body is None:
        return tuple(
            Found(Place(ref.obis, ref.class_id, ref.attribute), data) for ref, data in named
        )
    body = notification.body
    elements = elements_of(body)
    if layout := _layout(device, len(elements)):
        return _by_layout(layout, elements)
    if found := by_definitions(body) or by_names(body):
        return found
    if device is None:
        return ()
    if places := _fitting(listed, len(elements)):
        return in_order(places, elements)
    raise UnmappedError("taking a push", f"nothing tells what its {len(elements)} values are")


def _layout(device: Device | None, count: int) -> PushLayout | None:
    layouts = device.push.layouts if device else ()
    return next((one for one in layouts if len(one.objects) == count), None)


def _by_layout(layout: PushLayout, elements: Sequence[Data]) -> tuple[Found, ...]:
    found = []
    for place, data in zip(layout.objects, elements, strict=True):
        if place.obis is None:
            continue
        stated = place.scaler is not None or place.unit is not None
        scaler = ScalerUnit(place.scaler or 0, place.unit) if stated else None
        found.append(Found(Place(place.obis, place.class_id, place.attribute, scaler=scaler), data))
    return tuple(found)


def _fitting(listed: Sequence[Place] | None, count: int) -> Sequence[Place]:
    """Return the objects of a push setup if there are as many; without itself, if it left that."""
    places = listed or ()
    if len(places) == count:
        return places
    others = [place for place in places if place.class_id != PUSH_SETUP]
    return others if len(others) == count else ()


def _by_short_names(
    notification: Notification, device: Device | None
) -> Sequence[tuple[AttributeRef, Data]]:
    """Return the variables of an InformationReport whose objects have a configured base name."""
    bases = {base: key for key, base in device.base_names.items()} if device else {}
    found = []
    for name, data in notification.variables:
        # The nearest base name below: an object has its attributes from there on.
        base = max((base for base in bases if base <= name), default=None)
        if base is None or (name - base) % _STEP or (name - base) // _STEP >= _STEP:
            continue
        class_id, obis = bases[base]
        found.append((AttributeRef(class_id, obis, 1 + (name - base) // _STEP), data))
    return found
