"""Write values so that the platform stores what was read.

ThingsBoard parses telemetry and attributes twice (`JsonConverter`: at the MQTT transport, and
in the rule chain). With its default setting JSON_TYPE_CAST_ENABLED, a text that commons-lang's
`NumberUtils.isParsable` accepts becomes a number: `"00000001"` is stored as 1, `"1.10"` as 1.1.
So such a text is sent as JSON text within the text, in double quotes, and so is a text that
begins with a double quote. The rule for readers: a string that begins with `"` is JSON text.
Answers to RPC calls and the inside of objects and lists are not cast; there, texts stay plain.

A number becomes a long, or a double if it has at most 16 decimals. With more decimals it becomes
a text, or the whole message is refused, if the cast is off. Such a number is sent as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import simplejson

from dlms_connector.config import acceptable
from dlms_converters.json_value import LONGEST_STRING, is_long, json_value

#: How texts that look like numbers are sent: `plain` is for platforms with the cast off.
NumericTexts = Literal["quoted", "plain"]

#: `NumberUtils.isParsable`. `\d` are the decimal digits of Unicode, as in Java; but Java looks
#: at UTF-16 units, so digits beyond U+FFFF are none.
_PARSABLE = re.compile(r"-?(?:\d+|\d*\.\d+)")

_MOST_DECIMALS = 16
#: So many significant digits a double always holds, so also a number of so many characters.
_SURE = 15


def stored_value(value: Any, texts: NumericTexts = "quoted", longest: int = LONGEST_STRING) -> Any:
    """Return the JSON form of a value of a time series or attribute; None if it has none."""
    result = json_value(value, longest)
    if isinstance(result, float) and _has_many_decimals(result):
        result = f"{Decimal(repr(result)):f}"
    if isinstance(result, str) and texts == "quoted" and not _is_kept(result):
        return simplejson.dumps(result, ensure_ascii=False)
    return _renamed(result)


def stored_number(value: Any) -> int | float | None:
    """Return the stored form of a usual number as it is; None for what takes a closer look.

    That is a whole number of 64 bits, or a decimal that is written without an exponent in 15
    characters: a double holds it, and neither gateway nor platform writes it in another way.
    """
    if type(value) is int:
        return value if is_long(value) else None
    if type(value) is not Decimal:
        return None
    text = str(value)  # much faster than its digits and exponent
    if len(text) > _SURE or "E" in text or not value.is_finite():
        return None
    number = float(text)
    return int(number) if number.is_integer() else number


def original(value: Any) -> Any:
    """Return what `stored_value` has quoted; any other value is returned unchanged.

    So a text that was copied from the platform is written as the meter has it. Other texts in
    quotes are none of ours: the quotes are part of them.
    """
    if not isinstance(value, str) or value[:1] != '"':
        return value
    try:
        text = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return text if isinstance(text, str) and not _is_kept(text) else value


def _has_many_decimals(number: float) -> bool:
    """Whether the platform would not store a double.

    Between its two parsings the number is written by Java, where 1e-16 is `1.0E-16`.
    """
    exact = Decimal(repr(number)).as_tuple()
    assert isinstance(exact.exponent, int)
    return -exact.exponent + (len(exact.digits) == 1 and exact.exponent < 0) > _MOST_DECIMALS


def _is_kept(text: str) -> bool:
    """Whether the platform stores a text as it is, and a reader does not take it for JSON text."""
    if text.startswith('"'):
        return False
    if not _PARSABLE.fullmatch(text) or any(each > "\uffff" for each in text):
        return True
    number = Decimal(text)
    if "." in text and len(text.partition(".")[2]) <= _MOST_DECIMALS:
        return False  # a double
    if "." not in text and is_long(number):
        return False  # a long
    # BigDecimal.toPlainString: no leading zeros, no negative zero.
    return f"{number:f}" == text and not (number.is_zero() and number.is_signed())


def _renamed(value: Any) -> Any:
    """Return a value with acceptable names in its objects: they may come from the meter."""
    if isinstance(value, Mapping):
        return {acceptable(key): _renamed(inner) for key, inner in value.items()}
    return [_renamed(inner) for inner in value] if isinstance(value, list) else value
