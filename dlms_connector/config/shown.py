"""How a wrong value is shown in a sentence, or kept out of it where it may be a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

_LONGEST_SHOWN = 60
#: Texts of fewer characters occur in sentences by chance.
_SHORTEST_SECRET = 4
_SHORT_NUMBER = re.compile(r"[+-]?\d{1,5}")


def shown(value: Any) -> str:
    """Write a value of a configuration for a sentence: short, and as in JSON."""
    match value:
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            return "NaN"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def without(sentence: str, value: Any) -> str:
    """Return a sentence without the value that it complains about: it may be a secret."""
    for leaf in sorted(_leaves(value), key=lambda leaf: len(str(leaf)), reverse=True):
        sentence = sentence.replace(shown(leaf), "this")
        if len(text := str(leaf).strip()) >= _SHORTEST_SECRET:
            sentence = sentence.replace(shown(text), "this").replace(text, "this")
    return sentence


def _leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for key, inner in value.items():
                yield key
                yield from _leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case str() | int() | float() if not isinstance(value, bool):
            if str(value).strip() and not is_short_number(value):
                yield value


def is_short_number(value: Any) -> bool:
    """Whether a value is a number with too few digits for a password or a key."""
    return not isinstance(value, bool) and bool(_SHORT_NUMBER.fullmatch(str(value)))
