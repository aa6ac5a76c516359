"""Apply unit, multiplier and decimals of an item, in this order, in exact decimals.

`decimals` rounds half to even, so that sums of rounded values do not drift. Without it, a product
with more digits than a double holds is rounded to the nearest double, if a double held the
value of the meter: its last digits come from the multiplier. A value that no double holds
stays exact, and is sent as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import TypeGuard

from dlms_connector.reading import Value
from dlms_converters.json_value import held, nearest
from dlms_converters.units import UnitError, factor

#: Products of 64-bit values, factors and multipliers stay exact.
_EXACT = Context(prec=80)

#: The platform stores no number with more decimals. Products down to 1E-7 may be rounded so: they
#: keep ten significant digits.
_LAST_DECIMAL = Decimal("1E-16")
_ROUNDED = range(-7, 17)


def shaped(
    value: Value,
    unit: str | None,
    *,
    to_unit: str | None = None,
    multiplier: Decimal | None = None,
    decimals: int | None = None,
) -> Value:
    """Return a number as it is sent, None if it is not finite; other values are unchanged.

    In a list of numbers only, each number is converted. `unit` is the meter's own.
    Raises UnitError if the unit cannot be converted, or if the number has too many digits.
    """
    if _is_numbers(value):
        return [
            shaped(each, unit, to_unit=to_unit, multiplier=multiplier, decimals=decimals)
            for each in value
        ]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    number = Decimal(value)
    if not number.is_finite():
        return None
    by = factor(unit, to_unit) if to_unit and unit else Decimal(1)
    try:
        number = _EXACT.multiply(number, by)
        if multiplier is not None:
            number = _product(number, multiplier)
        if decimals is not None:
            number = number.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
    except ArithmeticError:
        raise UnitError(
            f"{value} times multiplier {multiplier} with {decimals} decimals has too many digits"
        ) from None
    return number


def _product(number: Decimal, multiplier: Decimal) -> Decimal:
    product = _EXACT.multiply(number, multiplier)
    if product == product.to_integral_value() or not held(number):
        return product
    if product.adjusted() in _ROUNDED:
        rounded = product.quantize(_LAST_DECIMAL, context=_EXACT)
        product = product if rounded == product else rounded
    return product if held(product) else nearest(product)


def _is_numbers(value: Value) -> TypeGuard[Sequence[Value]]:
    """Return whether a value is a list of numbers only, or of such lists."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(
        _is_numbers(each) or (isinstance(each, int | Decimal) and not isinstance(each, bool))
        for each in value
    )
