"""Interpret the data of an attribute: value, unit and quality."""

from __future__ import annotations

from dlms_connector.cosem import AttributeRef
from dlms_connector.interpret.context import DEFAULTS, Context, Interpretation, Options
from dlms_connector.interpret.objects import shape_of
from dlms_connector.interpret.scaling import ScalerUnit, is_number
from dlms_connector.protocol.data import Data
from dlms_connector.reading import Value


def interpret(
    ref: AttributeRef,
    data: Data,
    scaler: ScalerUnit | None = None,
    options: Options = DEFAULTS,
) -> tuple[Value, str | None]:
    """Return the value of an attribute and the symbol of its unit, None where it has none."""
    value, unit, _ = examine(ref, data, scaler, options)
    return value, unit


def examine(
    ref: AttributeRef,
    data: Data,
    scaler: ScalerUnit | None = None,
    options: Options = DEFAULTS,
) -> Interpretation:
    """Return value, unit and quality of an attribute.

    The scaler is applied to numbers only, never to booleans, enumerations and strings.
    Quality is suspect if the meter sent data without a meaning, such as 31 February or a
    float that is not a number (the value is None then), or marks its clock as doubtful.
    """
    context = Context(options, scaler.scaler if scaler else 0)
    value = shape_of(ref, options)(data, context)
    unit = scaler.unit if scaler and is_number(data) else None
    return Interpretation(value, unit, "suspect" if context.suspect else "good")
