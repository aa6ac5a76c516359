"""JSON values into COSEM data, exactly or not at all: the inverse of `interpret`."""

from __future__ import annotations

from typing import Any

from dlms_connector.compose.objects import form_of
from dlms_connector.compose.target import Target
from dlms_connector.compose.values import compose_value, data_type, typed
from dlms_connector.cosem import AttributeRef, code_of
from dlms_connector.errors import CommandError
from dlms_connector.protocol.data import Data, DataType

__all__ = ["Target", "compose", "data_type"]


def compose(target: Target, value: Any) -> Data:
    """Turn a JSON value into the COSEM data for a target.

    A value that carries its type, `{"type": "enum", "value": 1}`, is written as it says.
    Attributes with a readable form of their own (calendars, special days, dates) take that
    form, and enumerations their names. Everything else takes the type that the meter holds
    there now, or the type named.
    Raises CommandError with a sentence for the caller where the value does not fit.
    """
    if typed(value):
        return compose_value(target.name, data_type(str(value["type"])), value["value"])
    if target.ref and (code := _code(target.ref, value)) is not None:
        value = code
    if target.ref and (form := form_of(target.ref)) and not _is_hex(value):
        return form(target.name, value, target)
    known = target.known
    if known is not None and known.type not in (DataType.NULL, DataType.DONT_CARE):
        return compose_value(target.name, known.type, value, known, target.scaler)
    if target.type is not None:
        return compose_value(target.name, data_type(target.type), value, None, target.scaler)
    raise CommandError(
        f"{target.name}: the meter does not tell the type of this value; give it as `type`"
    )


def _code(ref: AttributeRef, value: Any) -> int | None:
    """Return the number behind the name of an enumeration, None if the value is none."""
    return code_of(ref.class_id, ref.attribute, value) if isinstance(value, str) else None


def _is_hex(value: Any) -> bool:
    """Whether the caller gives octets instead of the readable form."""
    return isinstance(value, str) and value.startswith("hex:")
