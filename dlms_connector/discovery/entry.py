"""Makes a device entry for `dlms.json` from the discovered objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dlms_connector.config import acceptable
from dlms_connector.cosem import CLASSES
from dlms_connector.discovery.description import REGISTERS, Description, FoundObject
from dlms_connector.discovery.gathering import (
    CLOCK,
    DATA,
    DISCONNECT_CONTROL,
    PROFILE_GENERIC,
    REGISTER,
)

#: What a device name does not contain: it becomes part of topics and file names.
_UNFIT = re.compile(r"[^\w.]+|\s+")
#: Meters count Wh, dashboards show kWh.
_SHOWN_IN = {"Wh": "kWh", "varh": "kvarh", "VAh": "kVAh"}
_DAY_MS = 86_400_000
#: Attributes that change on their own; all others are read once a day.
_LIVELY = (CLOCK, DISCONNECT_CONTROL)
#: Value group C of Data objects to leave out: invocation counters and internal values.
_UNWANTED_C = (43, 94)
#: The order of time series, by the beginning of their keys.
_ORDER = ("voltage", "current", "frequency", "power_factor", "phase_angle", "active_power",
          "reactive_power", "apparent_power", "active_energy", "reactive_energy",
          "apparent_energy")  # fmt: skip


def items_of(description: Description, *, every: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Return `attributes`, `timeseries` and `profiles` of all objects that were read.

    Registers whose meaning is unknown are left out unless `every` is set.
    """
    wanted = [one for one in description.objects if one.is_read and _is_wanted(one, every=every)]
    series = [one for one in wanted if _is_series(one)]
    attributes = [one for one in wanted if one.listed.class_id != PROFILE_GENERIC]
    return {
        "attributes": [_attribute(one) for one in attributes if not _is_series(one)],
        "timeseries": [_series(one) for one in sorted(series, key=_rank)],
        "profiles": [
            {"obis": str(one.obis), "key": one.key}
            for one in wanted
            if one.listed.class_id == PROFILE_GENERIC
        ],
    }


def left_out(description: Description) -> tuple[FoundObject, ...]:
    """Return the registers that have a value and no known meaning."""
    return tuple(
        one
        for one in description.objects
        if one.is_read and not one.known and one.listed.class_id in REGISTERS
    )


def make_entry(
    name: str,
    connection: Mapping[str, Any],
    dlms: Mapping[str, Any],
    items: Mapping[str, Sequence[Mapping[str, Any]]],
    workarounds: Mapping[str, Any],
) -> dict[str, Any]:
    """Return an element of `devices`; empty sections are left out."""
    entry: dict[str, Any] = {
        "deviceName": name,
        "connection": dict(connection),
        "dlms": dict(dlms),
        "workarounds": dict(workarounds),
        **{key: list(value) for key, value in items.items()},
    }
    return {key: value for key, value in entry.items() if value}


def device_name(description: Description | None, endpoint: str) -> str:
    """Return a name for the platform that distinguishes meters.

    It is made of the serial number, else of the logical device name, else of the endpoint.
    """
    own = None
    if description is not None:
        own = description.serial_number or description.logical_device_name
    return name_for(own, endpoint)


def name_for(own: str | None, endpoint: str) -> str:
    """Return a name for the platform, made of what the meter calls itself, else of the endpoint."""
    name = _UNFIT.sub("-", own or endpoint.rpartition("/")[2]).strip("-.")
    return acceptable(f"DLMS-Meter-{name}")


def _is_wanted(one: FoundObject, *, every: bool) -> bool:
    class_id, a, c = one.listed.class_id, one.obis.octets[0], one.obis.octets[2]
    if class_id == PROFILE_GENERIC:
        return bool(one.columns)
    if class_id in REGISTERS:
        return _is_number(one) and (one.known or every)
    if class_id == CLOCK:
        return one.key == "clock"
    if class_id == DISCONNECT_CONTROL:
        return True
    return one.known and not (a == 0 and c in _UNWANTED_C)


def _is_number(one: FoundObject) -> bool:
    return isinstance(one.value, int | Decimal) and not isinstance(one.value, bool)


def _is_series(one: FoundObject) -> bool:
    """Whether the value is a measurement: registers, and Data objects of electricity."""
    class_id = one.listed.class_id
    measured = one.obis.octets[0] == 1 and one.obis.octets[2] != 0
    return class_id in REGISTERS or (class_id == DATA and measured and _is_number(one))


def _rank(one: FoundObject) -> tuple[int, bytes]:
    place = next((at for at, begin in enumerate(_ORDER) if one.key.startswith(begin)), len(_ORDER))
    return place, one.obis.octets


def _series(one: FoundObject) -> dict[str, Any]:
    shown = {"unit": _SHOWN_IN[one.unit]} if one.unit in _SHOWN_IN else {}
    return {"key": one.key, "obis": str(one.obis), **_class(one), **shown}


def _attribute(one: FoundObject) -> dict[str, Any]:
    period = {} if one.listed.class_id in _LIVELY else {"pollPeriod": _DAY_MS}
    return {"key": one.key, "obis": str(one.obis), **_class(one), **period}


def _class(one: FoundObject) -> dict[str, Any]:
    class_id = one.listed.class_id
    if class_id == REGISTER:
        return {}
    row = CLASSES.get(class_id)
    return {"class": row.name if row else class_id}


def objects_as_json(objects: Iterable[FoundObject]) -> list[dict[str, Any]]:
    """Return objects in the form of the report."""
    return [
        {
            "obis": str(one.obis),
            "class": one.listed.class_name,
            "key": one.key,
            **({"value": one.value} if one.is_read else {"problem": one.problem or "no value"}),
            **({"unit": one.unit} if one.unit else {}),
            **({"raw": True} if one.raw and one.is_read else {}),
        }
        for one in objects
    ]
