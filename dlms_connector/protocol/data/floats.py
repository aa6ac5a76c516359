"""Floats of meters as decimals: what 32 or 64 bits stand for, without the digits they add."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

_SINGLE = struct.Struct(">f")
#: So many digits tell every 32-bit float from its neighbours.
_MOST_DIGITS = 9


def shortest(value: float, *, single: bool) -> Decimal | None:
    """Return the shortest decimal that a float stands for; None for what is no number.

    `single` says that it is one of 32 bits: 230.1 is 230.10000610351562 in 64.
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
