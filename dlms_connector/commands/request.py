"""Calls from the gateway, parsed once into frozen dataclasses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.cosem import class_id
from dlms_connector.errors import CommandError
from dlms_connector.obis import Obis

#: The default timeout of a dashboard's two-way call, less the time for transmission.
DEFAULT_TIMEOUT_S = 9.0

_LONGEST_TIMEOUT_S = 3600.0
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Request:
    """A remote procedure call to one device.

    `id` is the platform's request id; it is negative for a call to the connector.
    `timeout_s` is how long the caller waits; None if it gives no timeout. `patience_s` is when
    it has given up on a change that is not begun, if that is known.
    """

    device: str
    id: int
    method: str
    params: Any
    timeout_s: float | None = None
    patience_s: float | None = None

    @property
    def who(self) -> str:
        """The origin of the call, for the audit."""
        number = "to the connector" if self.id < 0 else str(self.id)
        return f"call {number} {_short(self.method)}"


def device_request(content: Mapping[str, Any]) -> Request:
    """Read a device call, `{"device", "data": {"id", "method", "params"}, "id"}`.

    Raises CommandError if it is malformed.
    """
    data = content.get("data")
    if not isinstance(data, Mapping) or not isinstance(data.get("method"), str):
        raise CommandError("a call needs `data.method`")
    request_id = data.get("id", content.get("id"))
    if isinstance(request_id, bool) or not isinstance(request_id, int):
        raise CommandError("a call needs an integer `id`")
    params = data.get("params")
    return Request(
        device=str(content.get("device")),
        id=request_id,
        method=data["method"],
        params=params,
        timeout_s=wanted_timeout_s(params),
    )


def wanted_timeout_s(params: Any) -> float | None:
    """Return the parameter `timeout` in seconds, parsed as the gateway itself does."""
    wanted = (named(params) or {}).get("timeout")
    if isinstance(wanted, bool) or not isinstance(wanted, int | float | str):
        return None
    try:
        seconds = float(wanted)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds <= _LONGEST_TIMEOUT_S else None


def named(params: Any) -> Mapping[str, Any] | None:
    """Return named parameters from an object, its JSON text, or `key=value;` text.

    Returns None for anything else.
    """
    if isinstance(params, Mapping):
        return params
    if not isinstance(params, str):
        return None
    if _is_object(params):
        try:
            parsed = json.loads(params)
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, Mapping) else None
    return _pairs(params) if "=" in params else None


def _is_object(text: str) -> bool:
    return text.lstrip().startswith("{")


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _short(text: Any) -> str:
    """Return a caller's text for use in a message: on one line and not too long."""
    shown = repr(text) if not isinstance(text, str) or not text.isprintable() else text
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class Arguments:
    """The named parameters of a call; each one is removed when read, so `done` finds the rest.

    Errors do not quote input that is not understood: it may hold a secret value to write.
    With `discreet` they do not quote names either: these may be parts of a value.
    """

    method: str
    values: dict[str, Any] = field(default_factory=dict)
    discreet: bool = False

    @classmethod
    def read(cls, method: str, params: Any) -> Arguments:
        """Read an object, the gateway's `key=value;key=value;` text, or nothing."""
        if params is None or params == "":
            return cls(method)
        if isinstance(params, str) and _is_object(params):
            params = _parsed(method, params)
        if (found := named(params)) is None:
            raise CommandError(
                f"{method}: parameters are an object or text such as "
                f"`obis=1-1:32.7.0;attribute=2;`, not {_kind(params)}"
            )
        values = {str(key): value for key, value in found.items()}
        return cls(method, values, discreet=isinstance(params, str) and "value" in values)

    def obis(self) -> Obis:
        """Take the required `obis`."""
        text = self.values.pop("obis", None)
        if text is None:
            raise CommandError(f"{self.method}: `obis` is missing, for example 1-0:1.8.0")
        try:
            return Obis.parse(str(text))
        except ValueError as error:
            raise CommandError(f"{self.method}: {error}") from None

    def class_id(self, default: int) -> int:
        """Take `class`, a name or a number."""
        value = self.values.pop("class", default)
        try:
            # JSON does not distinguish 3 from 3.0.
            return class_id(int(value) if isinstance(value, float) and value % 1 == 0 else value)
        except ValueError as error:
            raise CommandError(f"{self.method}: {error}") from None

    def integer(self, key: str, default: int | None, *, least: int, most: int) -> int:
        """Take a whole number; a default of None makes it required."""
        value = self.values.pop(key, default)
        if value is None:
            raise CommandError(f"{self.method}: `{key}` is missing")
        try:
            whole = float(value)
            if isinstance(value, bool) or not whole.is_integer():
                raise ValueError
            number = int(whole)
        except (TypeError, ValueError, OverflowError):
            shown = _short(value)
            raise CommandError(f"{self.method}: {key}: {shown} is not a whole number") from None
        if not least <= number <= most:
            raise CommandError(f"{self.method}: {key}: {number} is not in {least}..{most}")
        return number

    def text(self, key: str) -> str | None:
        """Take an optional text."""
        value = self.values.pop(key, None)
        if value is not None and not isinstance(value, str):
            raise CommandError(f"{self.method}: {key}: {_short(value)} is not text")
        return value

    def flag(self, key: str) -> bool:
        """Take an optional truth value, false where it is missing."""
        value = self.values.pop(key, False)
        if str(value).casefold() not in ("true", "false", "1", "0"):
            raise CommandError(f"{self.method}: {key}: {_short(value)} is neither true nor false")
        return str(value).casefold() in ("true", "1")

    def value(self) -> Any:
        """Take the required `value`; null is a value too."""
        if "value" not in self.values:
            raise CommandError(f"{self.method}: `value` is missing")
        value = self.values.pop("value")
        # In the `key=value;` form lists and objects are written in JSON.
        if isinstance(value, str) and value[:1] in ("[", "{"):
            with suppress(ValueError, RecursionError):
                return json.loads(value)
        return value

    def done(self) -> None:
        """Raise CommandError for a remaining parameter: it is unknown, perhaps a typo."""
        self.values.pop("timeout", None)
        if self.values and self.discreet:
            raise CommandError(
                f"{self.method}: unknown parameter beside `value`; give a value that holds `;` "
                "in an object"
            )
        if self.values:
            names = ", ".join(f"`{_short(key)}`" for key in list(self.values)[:5])
            raise CommandError(f"{self.method}: unknown parameter {names}")


def _parsed(method: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:  # without the text, which may hold a secret
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}"
        raise CommandError(f"{method}: not JSON at {where}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise CommandError(f"{method}: no JSON that can be read") from None


def _kind(params: Any) -> str:
    """Return the kind of the given parameters in words, without their content."""
    return _KINDS.get(type(params), "a number")


_KINDS = {str: "other text", list: "a list", bool: "a truth value", dict: "an object"}
