"""Interpret the data of an attribute: value, unit and quality."""

from __future__ import annotations

from dlms_connector.cosem import AttributeRef
from dlms_connector.interpret.context import DEFAULTS, Context, Interpretation, Options
from dlms_connector.interpret.objects import shape_of
from dlms_connector.interpret.scaling import ScalerUnit, is_number, whole_numbers
from dlms_connector.interpret.shapes import plain
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


class Examiner:
    """What `examine` does with the values of one attribute, worked out once."""

    __slots__ = ("_options", "_scaler", "_shape", "_unit", "_whole")

    def __init__(
        self, ref: AttributeRef, scaler: ScalerUnit | None, options: Options = DEFAULTS
    ) -> None:
        self._shape, self._options = shape_of(ref, options), options
        self._scaler, self._unit = (scaler.scaler, scaler.unit) if scaler else (0, None)
        self._whole = whole_numbers(self._scaler) if self._shape is plain else None

    def examine(self, data: Data) -> Interpretation:
        """Return value, unit and quality, exactly as `examine` does."""
        if self._whole is not None and (value := self._whole(data)) is not None:
            return Interpretation(value, self._unit, "good")
        context = Context(self._options, self._scaler)
        shown = self._shape(data, context)
        unit = self._unit if self._unit is not None and is_number(data) else None
        return Interpretation(shown, unit, "suspect" if context.suspect else "good")
