"""Convert exact values into values that JSON and the gateway accept.

Only here a decimal becomes a float, from its shortest form, so that 135.19 is written
135.19. A number that would come back as another one is text: a whole number beyond 64 bits,
and a decimal that no double holds. A double holds a decimal if the shortest form of the
nearest double, which Python, Java and JavaScript write, is that decimal: always with up to 15
significant digits, sometimes with 16 or 17, never with more. 90071992547409.93 would come back
as 90071992547409.94.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

import simplejson

#: The longest string sent as a reading. A message of 64 KiB blocks the gateway for ever.
LONGEST_STRING = 4096

_LEAST, _GREATEST = -(2**63), 2**63 - 1

#: No number has more bytes.
NUMBER_SIZE = 24


def json_value(value: Any, longest: int = LONGEST_STRING) -> Any:
    """Return the JSON form of a value; None if it has none (NaN, infinities, None).

    Text longer than `longest` is cut, and ends in an ellipsis.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _string(value if len(value) <= longest else value[: longest - 1] + "…")
    if isinstance(value, int):
        return int(value) if is_long(value) else _text(Decimal(value))
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, float):
        return _number(Decimal(repr(value))) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {_string(str(key)): json_value(item, longest) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [json_value(item, longest) for item in value]
    raise TypeError(f"{type(value).__name__} is not a value of JSON")


def json_size(value: Any) -> int:
    """Return how many bytes a value takes in a message, or slightly more."""
    if isinstance(value, str | dict | list):
        return len(simplejson.dumps(value, ensure_ascii=False).encode()) + 4
    return NUMBER_SIZE


def exceeds(value: Any, size: int) -> bool:
    """Whether a value surely has more bytes than this, found out in short time for any value."""
    waiting = [value]
    while waiting and size >= 0:
        one = waiting.pop()
        if isinstance(one, Mapping):
            # Each key has quotes, colon and comma, and the blanks after these.
            size -= sum(len(str(key)) + 6 for key in one)
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            size -= 2 * len(one)
            if size >= 0:
                waiting.extend(one)
        else:
            size -= 1
    return size < 0


def is_long(value: int | Decimal) -> bool:
    """Whether the platform stores a whole number as such."""
    return _LEAST <= value <= _GREATEST


def held(value: Decimal) -> bool:
    """Whether a double holds a finite decimal exactly."""
    return nearest(value) == value


def nearest(value: Decimal) -> Decimal:
    """Return the shortest form of the double nearest to a finite decimal."""
    return Decimal(repr(float(str(value))))


def _number(value: Decimal) -> int | float | str | None:
    if not value.is_finite():
        return None
    if value.adjusted() > 18:  # at least 1E19, and 64 bits end at 9.2E18
        return _text(value)
    if value == value.to_integral_value():
        whole = int(value)
        return whole if is_long(whole) else _text(value)
    return float(str(value)) if held(value) else _text(value)


def _string(value: str) -> str:
    """Return a text with `?` for surrogates, which some encodings yield and UTF-8 cannot encode."""
    return value.encode(errors="replace").decode()


def _text(value: Decimal) -> str:
    shift = value.as_tuple().exponent
    long = value.adjusted() >= 100 or (isinstance(shift, int) and shift < -400)
    return str(value) if long else f"{value:f}"
