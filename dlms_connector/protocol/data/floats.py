"""Convert floats of meters to decimals, without the extra digits of the binary form."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

_SINGLE = struct.Struct(">f")
#: Nine digits distinguish every 32-bit float from its neighbours.
_MOST_DIGITS = 9


def shortest(value: float, *, single: bool) -> Decimal | None:
    """Return the shortest decimal for a float; None for infinity and NaN.

    `single` means a 32-bit float: 230.1 in 32 bits is 230.10000610351562 in 64 bits.
    """
    if not math.isfinite(value):
        return None
    if not single:
        return Decimal(repr(value))
    octets = _SINGLE.pack(value)
    for digits in range(1, _MOST_DIGITS + 1):
        text = f"{value:.{digits}g}"
        try:
            if _SINGLE.pack(float(text)) == octets:
                return Decimal(text)
        except OverflowError:
            continue  # rounded up beyond the largest float
    return Decimal(value)
