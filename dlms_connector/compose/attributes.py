"""The data for an attribute or an argument of a method, from a JSON value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlms_connector.compose.objects import MOMENTS, Form, form_of
from dlms_connector.compose.target import Target
from dlms_connector.compose.values import compose_value, data_type, fitted, typed
from dlms_connector.cosem import AttributeRef, code_of
from dlms_connector.errors import CommandError
from dlms_connector.protocol.data import Data, DataType, DateTime

#: Types of data that do not tell the type of a value.
_UNKNOWN = (DataType.NULL, DataType.DONT_CARE)


def compose(target: Target, value: Any) -> Data:
    """Turn a JSON value into the COSEM data for a target.

    A value with an explicit type, `{"type": "enum", "value": 1}`, is written with that type.
    Attributes with a readable form (calendars, special days, dates) take that form, and
    enumerations take their names. Any other value gets the type of the meter's present value,
    or else the type named in the target.
    Raises CommandError with a sentence for the caller if the value does not fit.
    """
    # An unknown type name is an error even if the type is not needed.
    named = _named_type(target)
    if typed(value):
        told = Target(name=target.name, type=str(value["type"]), from_utc=target.from_utc)
        return compose(replace(told, skip=target.skip), value["value"])
    if target.ref and (code := _code(target.ref, value)) is not None:
        value = code
    known = target.known
    if (form := _form(target, value)) and not _is_octets(value):
        data = form(target.name, value, target)
        return data if known is None else fitted(data, known)
    if known is not None and known.type not in _UNKNOWN:
        if known.type is DataType.OCTET_STRING and target.type is not None:
            known = Data(known.type)  # the caller knows that it is hexadecimal
        return compose_value(target.name, known.type, value, known, target.scaler)
    if named is not None:
        return compose_value(target.name, named, value, None, target.scaler)
    raise CommandError(
        f"{target.name}: the meter does not tell the type of this value; give it as `type`"
    )


def _named_type(target: Target) -> DataType | None:
    if target.type is None:
        return None
    try:
        return data_type(target.type)
    except CommandError as error:
        raise CommandError(f"{target.name}: {error}") from None


def _code(ref: AttributeRef, value: Any) -> int | None:
    """Return the number of an enumeration's name; None if the value is not such a name."""
    return code_of(ref.class_id, ref.attribute, value) if isinstance(value, str) else None


def _form(target: Target, value: Any) -> Form | None:
    """Return the readable form of a target: of its attribute, or of its present value's type."""
    if target.ref and (form := form_of(target.ref)):
        return form
    known = target.known
    if known is None or known.type in _UNKNOWN:
        kind = data_type(target.type) if target.type is not None else None
        return MOMENTS.get(kind) if kind is not None and _is_date_or_time(value) else None
    if known.type is DataType.OCTET_STRING and not _is_moment(known.value):
        return None
    return MOMENTS.get(known.type) if _is_date_or_time(value) else None


def _is_moment(octets: Any) -> bool:
    """Return whether octets of an attribute without a known form are shown as a date-time."""
    return isinstance(octets, bytes) and len(octets) == 12 and DateTime.parse(octets).exists


def _is_date_or_time(value: Any) -> bool:
    """Return whether a value is written like a date or time, and cannot be hexadecimal."""
    return isinstance(value, str) and (value[4:5] == "-" or value[2:3] == ":")


def _is_octets(value: Any) -> bool:
    """Whether the caller gives octets instead of the readable form."""
    return isinstance(value, str) and value.startswith(("hex:", "text:"))
