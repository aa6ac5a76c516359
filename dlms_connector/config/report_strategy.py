"""Check a report strategy, which is passed on to the gateway."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from dlms_connector.config.shown import shown

#: The types that the gateway knows, spelled as in its documentation.
REPORT_STRATEGIES = (
    "ON_REPORT_PERIOD",
    "ON_CHANGE",
    "ON_CHANGE_OR_REPORT_PERIOD",
    "ON_RECEIVED",
    "DISABLED",
)
_PERIODIC = ("ON_REPORT_PERIOD", "ON_CHANGE_OR_REPORT_PERIOD")
#: Key, unit and minimum. The gateway forgets a value that was not received within its `ttl`;
#: with a `ttl` of 0 it never forgets it.
_NUMBERS = (("reportPeriod", "ms", 1), ("ttl", "s", 0))
_NUMBER = re.compile(r"\s*[0-9]{1,18}\s*")
_STRATEGY_KEYS = ("type", "reportPeriod", "aggregationFunction", "ttl")


def _report_strategy(value: Any) -> dict[str, Any]:
    """Check a report strategy against what the gateway accepts, and read numbers in text."""
    if not isinstance(value, dict):
        raise ValueError(
            f'expected an object such as {{"type": "ON_RECEIVED"}}, got {shown(value)}'
        )
    if unknown := sorted(str(key) for key in value if key not in _STRATEGY_KEYS):
        raise ValueError(f"unknown key {', '.join(unknown)}; known: {', '.join(_STRATEGY_KEYS)}")
    kind = value.get("type")
    if not isinstance(kind, str) or kind.upper() not in REPORT_STRATEGIES:
        raise ValueError(f"type {shown(kind)} is not one of {', '.join(REPORT_STRATEGIES)}")
    numbers = {}
    for key, unit, least in _NUMBERS:
        number = value.get(key)
        if number is None and not (key == "reportPeriod" and kind.upper() in _PERIODIC):
            continue
        if isinstance(number, str) and _NUMBER.fullmatch(number):  # as in a CSV
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(
                f"{kind} needs a {key} in {unit}, at least {least}, not {shown(number)}"
            )
        numbers[key] = number
    return {**value, **numbers}


ReportStrategy = Annotated[
    dict[str, Any],
    BeforeValidator(_report_strategy),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["type"],
            "properties": {
                "type": {"type": "string", "enum": list(REPORT_STRATEGIES)},
                "reportPeriod": {"type": "integer", "minimum": 1},
                "aggregationFunction": {"type": "string"},
                "ttl": {"type": "integer", "minimum": 0},
            },
        }
    ),
]
