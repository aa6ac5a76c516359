"""Reads the layout of a profile: what it captures, the scalers, the capture period, the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dlms_connector.config import Profile, Standard
from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.errors import CommandError, ObjectError, ProtocolError, ServiceError
from dlms_connector.history.profiles import (
    CAPTURE_OBJECTS,
    CAPTURE_PERIOD,
    PROFILE_GENERIC,
    SORT_METHOD,
    Column,
    Layout,
)
from dlms_connector.history.scaler_profiles import read_scalers, usual_scaler_profile
from dlms_connector.interpret import ScalerUnit, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk

#: Values of sort_method with the newest row first: 2 (LIFO), and 3 (largest) by the clock.
_NEWEST_FIRST = (2, 3)


def layout(
    client: Client, obis: Obis, stated: Profile | None = None, standard: Standard = "DLMS"
) -> Talk[Layout]:
    """Read the layout of a profile; what the configuration states is not asked for.

    Scalers that a meter refuses are looked for in the scaler profile that `standard` has. Raises
    ObjectError, ServiceError, or CommandError if the layout is invalid.
    """
    objects = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, CAPTURE_OBJECTS))
    listed = objects.value if isinstance(objects.value, tuple) else ()
    captured = [_captured(part) for part in listed]
    if not captured:
        raise CommandError(f"{obis} captures nothing")
    columns = yield from _scaled(client, obis, captured, stated, standard)
    period_s = yield from capture_period_s(client, obis, stated)
    order = yield from _number(client, obis, SORT_METHOD)
    return Layout(columns, period_s, order in _NEWEST_FIRST)


def _number(client: Client, obis: Obis, attribute: int) -> Talk[int | None]:
    """Read an optional number; None if the meter does not give it."""
    try:
        data = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, attribute))
    except (ObjectError, ServiceError):
        return None
    return data.value if isinstance(data.value, int) else None


def capture_period_s(client: Client, obis: Obis, stated: Profile | None = None) -> Talk[int]:
    """Return a profile's capture period in seconds: the configured one, else the meter's.

    0 if there is none or the meter does not give it.
    """
    if stated is not None and stated.capture_period_s is not None:
        return stated.capture_period_s
    return max(0, (yield from _number(client, obis, CAPTURE_PERIOD)) or 0)


def _captured(data: Data) -> Column:
    match data:
        case Data(
            DataType.STRUCTURE,
            (Data(value=int(class_id)), Data(value=bytes(name)), Data(value=int(index)), *more),
        ) if len(name) == 6:
            # Index 0 is the whole object. Some meters write 255 or -1: the value is meant.
            ref = AttributeRef(class_id, Obis(name), index if 0 < index < 128 else 2)
            part = more[0].value if more else 0
            number = part if isinstance(part, int) and not isinstance(part, bool) else 0
            return Column(ref, None, number, whole=index == 0)
    raise CommandError("what the profile captures is no list of objects")


def _scaled(
    client: Client,
    obis: Obis,
    captured: Sequence[Column],
    stated: Profile | None,
    standard: Standard,
) -> Talk[tuple[Column, ...]]:
    """Return the columns with their settings and scalers."""
    named = [_with_settings(column, stated) for column in captured]
    known: Mapping[Obis, ScalerUnit] = {}
    if stated is not None and stated.scaler_profile is not None:
        known = yield from read_scalers(client, stated.scaler_profile)
    columns = []
    for column in named:
        found = known.get(column.ref.obis) if _scaler_index(column) else None
        if found is not None:
            columns.append(replace(column, scaler=found))
        else:
            columns.append((yield from _with_scaler(client, column)))
    usual = usual_scaler_profile(obis, standard)
    refused = any(not column.scaled for column in columns)
    if refused and usual is not None and (stated is None or stated.scaler_profile is None):
        known = yield from read_scalers(client, usual)
        columns = [_from_profile(column, known) for column in columns]
    return tuple(map(_as_stated, columns))


def _from_profile(column: Column, known: Mapping[Obis, ScalerUnit]) -> Column:
    found = None if column.scaled else known.get(column.ref.obis)
    return column if found is None else replace(column, scaler=found, scaled=True)


def _as_stated(column: Column) -> Column:
    """Return a column with the scaler that the configuration states, as for items."""
    stated, theirs = column.stated, column.scaler
    if stated is None or stated.scaler is None:
        if stated is None or stated.unit is None or (theirs and theirs.unit):
            return column
        return replace(column, scaler=ScalerUnit(theirs.scaler if theirs else 0, stated.unit))
    unit = theirs.unit if theirs else None
    return replace(column, scaler=ScalerUnit(stated.scaler, unit or stated.unit), scaled=True)


def _with_settings(column: Column, stated: Profile | None) -> Column:
    ref = column.ref
    return replace(
        column, stated=stated.column(ref.obis, ref.attribute, column.part) if stated else None
    )


def _scaler_index(column: Column) -> int | None:
    """Return the attribute with the scaler of a column; None if its values have none."""
    row = CLASSES.get(column.ref.class_id)
    return row.scalers.get(column.ref.attribute) if row else None


def _with_scaler(client: Client, column: Column) -> Talk[Column]:
    """Read the scaler that belongs to a column.

    A captured object need not be readable itself. An error in one column must not make the
    other columns fail.
    """
    ref, index = column.ref, _scaler_index(column)
    if index is None:
        return column
    try:
        data = yield from get_one(client, AttributeRef(ref.class_id, ref.obis, index))
    except (ObjectError, ServiceError):
        return replace(column, scaled=False)
    try:
        return replace(column, scaler=scaler_unit(data))
    except ProtocolError:
        return replace(column, scaled=False)
