"""The alarm rules, which since ThingsBoard 4.3 are entities of their own.

Limits are server attributes of the device with a default, so that a meter can have its own
without a rule of its own. There are no scripts: a busy server gives them up (seen with TBEL), and
the alarm would stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dlms_connector import platform_keys as own
from dlms_connector.platform_keys import Key
from dlms_connector.thingsboard import meter_keys as keys
from dlms_connector.thingsboard.aliases import ACTIVE
from dlms_connector.thingsboard.meter_page import HIGHEST_V, LOWEST_V
from dlms_connector.thingsboard.widgets import Json

Severity = Literal["CRITICAL", "MAJOR", "MINOR", "WARNING"]

_SCOPES = {"client": "CLIENT_SCOPE", "server": "SERVER_SCOPE"}
#: Parts of the names of events that tell of tampering, in the tables of `history/events`.
TAMPERING = (
    "cover removed",
    "cover opened",
    "DC field detected",
    "influence of a magnet, occurred",
    "magnetic field, begin",
    "disconnection, magnetic field",
    "housing opened",
    "seal broken",
    "fraud attempt",
    "authentication failed",
    "login failed",
    "replay attack",
    "module removed, occurred",
    "event log cleared",
)
#: Parts of the names of events with which a supply goes and comes.
SUPPLY_GONE = ("power down", "power failure, occurred", "meter switched off", "last gasp")
SUPPLY_BACK = ("power up", "power failure, restored", "meter switched on", "first breath")


@dataclass(frozen=True, slots=True)
class Limit:
    """A server attribute with which a device has its own limit, and the limit without it."""

    attribute: str
    default: float
    unit: str


LOWEST_VOLTAGE = Limit("voltageMin", LOWEST_V, "V")
HIGHEST_VOLTAGE = Limit("voltageMax", HIGHEST_V, "V")
LEAST_DRIFT, MOST_DRIFT = Limit("clockDriftMin", -60, "s"), Limit("clockDriftMax", 60, "s")
NO_DATA_AFTER = Limit("noDataMinutes", 60, "minutes")
LIMITS = (LOWEST_VOLTAGE, HIGHEST_VOLTAGE, LEAST_DRIFT, MOST_DRIFT, NO_DATA_AFTER)


def meter_rules() -> Sequence[Json]:
    """Return the rules of the device profile of meters."""
    return [_offline(), _no_data(), _voltage(), _drift(), _relay(), _tampering(), _supply()]


def gateway_rules() -> Sequence[Json]:
    """Return the rules of each gateway's device."""
    silent = _boolean(ACTIVE, False)
    return [
        _rule(
            "Gateway is silent",
            {ACTIVE.name: _argument(ACTIVE, "true")},
            {"CRITICAL": ([silent], "the platform has heard nothing of this gateway")},
            [_boolean(ACTIVE, True)],
        )
    ]


def _offline() -> Json:
    arguments = {
        own.STATE.name: _argument(own.STATE, "online"),
        own.LAST_ERROR.name: _argument(own.LAST_ERROR, ""),
    }
    details = f"${{{own.STATE.name}}}: ${{{own.LAST_ERROR.name}}}"
    return _rule(
        "Meter does not answer",
        arguments,
        {"MAJOR": ([_text(own.STATE, "NOT_EQUAL", ["online"])], details)},
        [_text(own.STATE, "EQUAL", ["online"])],
    )


def _no_data() -> Json:
    key = keys.ACTIVE_ENERGY
    silent = {"type": "NO_DATA", "unit": "MINUTES", "duration": _dynamic(NO_DATA_AFTER)}
    # Reading back an alarm that `NO_DATA` raised needs a value that came since.
    fresh = _filter(key, "NUMERIC", [_number("GREATER_OR_EQUAL", 0)])
    return _rule(
        "No data of the meter",
        {key.name: _argument(key), NO_DATA_AFTER.attribute: _limit(NO_DATA_AFTER)},
        {"MAJOR": ([_filter(key, "NUMERIC", [silent])], "no value has arrived for long")},
        [fresh],
    )


def _voltage() -> Json:
    nominal = str((LOWEST_V + HIGHEST_V) // 2)
    # A meter without a phase counts as one whose phase is well.
    arguments: Json = {key.name: _argument(key, nominal) for key in keys.VOLTAGES}
    arguments |= {each.attribute: _limit(each) for each in (LOWEST_VOLTAGE, HIGHEST_VOLTAGE)}

    def filters(low: str, high: str, joined: str) -> list[Json]:
        predicates = [_number(low, LOWEST_VOLTAGE), _number(high, HIGHEST_VOLTAGE)]
        return [_filter(key, "NUMERIC", predicates, joined) for key in keys.VOLTAGES]

    shown = ", ".join(f"${{{key.name}}}" for key in keys.VOLTAGES)
    return _rule(
        "Voltage out of band",
        arguments,
        {"MINOR": (filters("LESS", "GREATER", "OR"), f"{shown} V")},
        filters("GREATER_OR_EQUAL", "LESS_OR_EQUAL", "AND"),
        any_of=True,
    )


def _drift() -> Json:
    key, least, most = own.CLOCK_DRIFT, LEAST_DRIFT, MOST_DRIFT
    beyond = [_number("LESS", least), _number("GREATER", most)]
    within = [_number("GREATER_OR_EQUAL", least), _number("LESS_OR_EQUAL", most)]
    limits = {each.attribute: _limit(each) for each in (least, most)}
    return _rule(
        "Clock drift",
        {key.name: _argument(key), **limits},
        {"WARNING": ([_filter(key, "NUMERIC", beyond, "OR")], f"${{{key.name}}} s")},
        [_filter(key, "NUMERIC", within)],
    )


def _relay() -> Json:
    key = keys.RELAY
    return _rule(
        "Relay is open",
        {key.name: _argument(key)},
        {"WARNING": ([_boolean(key, False)], "the supply behind the meter is off")},
        [_boolean(key, True)],
    )


def _tampering() -> Json:
    key = keys.EVENT_NAME
    return _rule(
        "Tampering",
        {key.name: _argument(key)},
        {"CRITICAL": ([_text(key, "CONTAINS", TAMPERING)], f"${{{key.name}}}")},
        None,  # someone must look at it
    )


def _supply() -> Json:
    key = keys.EVENT_NAME
    return _rule(
        "Supply failed",
        {key.name: _argument(key)},
        {"WARNING": ([_text(key, "CONTAINS", SUPPLY_GONE)], f"${{{key.name}}}")},
        [_text(key, "CONTAINS", SUPPLY_BACK)],
    )


def _rule(
    name: str,
    arguments: Json,
    create: Mapping[Severity, tuple[Sequence[Json], str]],
    clear: Sequence[Json] | None,
    *,
    any_of: bool = False,
) -> Json:
    """Return a rule. It is raised if all its filters hold, or one with `any_of`."""
    return {
        "name": name,
        "configuration": {
            "type": "ALARM",
            "arguments": arguments,
            "createRules": {
                severity: {
                    "alarmDetails": details,
                    "condition": _condition(filters, "OR" if any_of else "AND"),
                }
                for severity, (filters, details) in create.items()
            },
            "clearRule": None if clear is None else {"condition": _condition(clear, "AND")},
            "propagate": True,
            "propagateToOwner": False,
            "propagateToTenant": False,
            "propagateRelationTypes": None,
        },
    }


def _condition(filters: Sequence[Json], operation: str) -> Json:
    expression = {"type": "SIMPLE", "operation": operation, "filters": list(filters)}
    return {"type": "SIMPLE", "expression": expression}


def _argument(key: Key, default: str | None = None) -> Json:
    """Return an argument. Without a default, a device without the key has no such alarm."""
    if key.place == "timeseries":
        reference: Json = {"key": key.name, "type": "TS_LATEST"}
    else:
        reference = {"key": key.name, "type": "ATTRIBUTE", "scope": _SCOPES[key.place]}
    found: Json = {"refEntityKey": reference}
    return found if default is None else found | {"defaultValue": default}


def _limit(limit: Limit) -> Json:
    return _argument(Key(limit.attribute, "", place="server"), f"{limit.default:g}")


def _filter(key: Key, kind: str, predicates: Sequence[Json], operation: str = "AND") -> Json:
    return {
        "argument": key.name,
        "valueType": kind,
        "operation": operation,
        "predicates": list(predicates),
    }


def _text(key: Key, operation: str, values: Sequence[str]) -> Json:
    predicates = [
        {
            "type": "STRING",
            "operation": operation,
            "value": {"staticValue": value},
            "ignoreCase": True,
        }
        for value in values
    ]
    return _filter(key, "STRING", predicates, "OR" if len(predicates) > 1 else "AND")


def _boolean(key: Key, value: bool) -> Json:
    predicate = {"type": "BOOLEAN", "operation": "EQUAL", "value": {"staticValue": value}}
    return _filter(key, "BOOLEAN", [predicate])


def _number(operation: str, value: Limit | float) -> Json:
    wanted: Any = _dynamic(value) if isinstance(value, Limit) else {"staticValue": value}
    return {"type": "NUMERIC", "operation": operation, "value": wanted}


def _dynamic(limit: Limit) -> Json:
    return {"dynamicValueArgument": limit.attribute}
