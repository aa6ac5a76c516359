"""What ThingsBoard stores of what it is sent, written after the source of its server.

`stored` is `JsonConverter` of ThingsBoard 4.3, `accepts` its `NoXssValidator` and the lengths of
`KvUtils` and `Device`. Nothing here is shared with the connector: an error that one author makes
at both ends would be found by no test.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_LONGEST = 255
_DECIMALS = 16


class MalformedError(ValueError):
    """A message that the server refuses as a whole (PUBACK 0x99)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """Settings of the server, and how long it takes, in seconds; short for tests.

    `cast` is JSON_TYPE_CAST_ENABLED. A device with a name that the server does not accept is
    refused after `refusal_s`; one with such a type is created as `default` after `default_s`.
    A call is waited for at least `least_call_s` (`min_timeout`), whatever its caller asks for.
    Telemetry and attributes are stored `telemetry_s` and `attributes_s` after they were
    acknowledged, in batches; 0 is at once. `receipts` tells whether the rule chain is installed
    that answers with receipts.
    """

    cast: bool = True
    refusal_s: float = 0.05
    default_s: float = 0.05
    least_call_s: float = 0.0
    telemetry_s: float = 0.0
    attributes_s: float = 0.0
    receipts: bool = False


#: As measured on ThingsBoard CE 4.3.1.3 with its default settings.
REAL_MANNERS = Manners(
    refusal_s=10.0, default_s=20.0, least_call_s=5.0, telemetry_s=0.1, attributes_s=0.05
)


def accepts(name: str) -> bool:
    """Whether the server accepts the name of a device, a device profile or a key."""
    if not name.strip() or len(name.encode("utf-16-le", "surrogatepass")) > 2 * _LONGEST:
        return False
    if "{{" in name and "}}" in name[name.index("{{") + 2 :]:
        return False
    # AntiSamy's parser opens an element, and finds no rule for it or one that removes it.
    marks = (r"<[a-z]", r"</p\b", r"</br\b", r"<!\[CDATA\[")
    return not any(re.search(mark, name, re.IGNORECASE | re.ASCII) for mark in marks)


def stored(values: Mapping[str, Any], *, cast: bool = True) -> dict[str, Any]:
    """Return values as the server stores them; null values are left out. Raises MalformedError.

    Numbers must have been parsed as int or Decimal; doubles are returned as Decimal.
    """
    once = _converted(values, cast)
    return _converted(once, cast)  # the rule chain parses what the transport has written


def _converted(values: Mapping[str, Any], cast: bool) -> dict[str, Any]:
    return {key: _value(value, cast) for key, value in values.items() if value is not None}


def _value(value: Any, cast: bool) -> Any:
    match value:
        case bool() | dict() | list():
            return value
        case str():
            return _number(value, cast) if cast and _is_parsable(value) else value
        case int() | Decimal():
            return _number(str(value), cast)
    raise MalformedError(f"{type(value).__name__} is not a value")


def _is_parsable(text: str) -> bool:
    """Do as commons-lang's `NumberUtils.isParsable`."""
    if not text or text.endswith("."):
        return False
    digits = text.removeprefix("-")
    if digits.count(".") > 1:
        return False
    rest = digits.replace(".", "")
    return bool(rest) and all(each.isdecimal() and each <= "\uffff" for each in rest)


def _number(text: str, cast: bool) -> int | Decimal | str:
    number = Decimal(text)
    simple = "." in text and "e" not in text.lower()
    if number == number.to_integral_value() and not simple:
        if -(2**63) <= number < 2**63:
            return int(number)
    elif _scale(number) <= _DECIMALS:
        return _double(number)
    if not cast:
        raise MalformedError("Big integer values are not supported!")
    return f"{number or abs(number):f}"  # Java has no negative zero here


def _scale(number: Decimal) -> int:
    """Return Java's scale of a BigDecimal: the digits behind the point."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


def _double(number: Decimal) -> Decimal:
    """Return a double as Java writes it: at least one digit stands behind the point."""
    double = float(str(number))
    written = Decimal(repr(double))
    if 1e-3 <= abs(double) < 1e7 or not double or len(written.as_tuple().digits) > 1:
        return written
    return written if written == written.to_integral_value() else _with_zero(written)


def _with_zero(number: Decimal) -> Decimal:
    """Return 1E-16 as `1.0E-16`."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    return Decimal((sign, (*digits, 0), exponent - 1))
