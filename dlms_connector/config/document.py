"""Read a configuration as JSON text, also with the prefix that the gateway may put before it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlms_connector.config.inheritance import Location, Place, json_path
from dlms_connector.config.keys import DEVICES
from dlms_connector.errors import ConfigError
from dlms_connector.hints import Symptom

#: The gateway prepends this to a text that it could not parse itself.
_PREFIX = re.compile(r"\A\{id_var_start\}.*?\{id_var_end\}", re.DOTALL)
_BRACE_OR_STRING = re.compile(r'[{}]|(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?', re.DOTALL)
_LARGEST_FILE = 200_000_000
_DEEPEST = 32
_TOO_DEEP = "nested too deeply"
_ODD_KEY = "unknown key: it has characters that are not printable"


def parse(text: str) -> Any:
    """Read JSON; raises ConfigError with line and column."""
    text = _PREFIX.sub("", text).removeprefix("\ufeff")
    if not text.strip():
        raise ConfigError("the configuration is empty")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        place = _place(text, error.pos)
        raise ConfigError(
            f"{place}: not valid JSON: {error.msg}{_meant(text, error.pos)}"
        ) from None
    except _TwiceError:
        key, position = _second_of_a_key(text)
        problem = f"the key {key} is twice in one object"
        raise ConfigError(f"{_place(text, position)}: {problem}") from None
    except RecursionError:
        raise ConfigError("not valid JSON: nested too deeply") from None
    except ValueError:  # more digits than Python converts
        raise ConfigError("not valid JSON: a number has too many digits") from None


def too_deep(value: Any) -> bool:
    """Return whether a value is nested more deeply than any valid configuration."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def without_odd_keys(value: Any, odd: list[Location], location: Location = ()) -> Any:
    """Return a value without keys that cannot be keys; add their locations to `odd`.

    No key of a configuration has characters that are not printable: control characters, or
    halves of a surrogate pair, which cannot even be written as UTF-8.
    """
    if isinstance(value, Mapping):
        kept = {}
        for key, inner in value.items():
            there = (*location, str(key))
            if str(key).isprintable():
                kept[str(key)] = without_odd_keys(inner, odd, there)
            else:
                odd.append(there)
        return kept
    if isinstance(value, list | tuple):
        return [
            without_odd_keys(inner, odd, (*location, index)) for index, inner in enumerate(value)
        ]
    return value


def usable(raw: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of a document that can be used, and what is wrong with the others.

    The devices are not looked into: `unusable` does it for each, so that it costs only that one.
    """
    kept = {str(key): value for key, value in raw.items()}
    devices = kept.pop(DEVICES, None)
    deep = [key for key, value in kept.items() if too_deep(value)]
    problems = [f"{json_path('', (key,))}: {_TOO_DEEP}" for key in deep]
    for key in deep:
        del kept[key]
    odd: list[Location] = []
    kept = without_odd_keys(kept, odd)
    problems += [f"{json_path('', location)}: {_ODD_KEY}" for location in odd]
    if devices is not None:
        kept[DEVICES] = devices
    return kept, problems


def unusable(values: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """Return why nothing of a device can be used; empty if it can be looked into."""
    if too_deep(values):
        return (f"{place.path}: {_TOO_DEEP}",)
    odd: list[Location] = []
    without_odd_keys(values, odd)
    return tuple(f"{place.at(location)}: {_ODD_KEY}" for location in odd)


def read(path: Path) -> str:
    """Read a text file of the configuration; raises ConfigError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"{path}: larger than {_LARGEST_FILE} bytes")
        return path.read_text("utf-8-sig")
    except OSError as error:
        unread = ConfigError(f"{path}: cannot be read: {error.strerror}")
        raise unread.showing(Symptom.FILE_UNREADABLE) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not UTF-8 text (byte {error.start}); save it in that encoding"
        ) from None


class _TwiceError(Exception):
    """An object has the same key twice: JSON readers would silently drop one of them."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _TwiceError
    return made


def _second_of_a_key(text: str) -> tuple[str, int]:
    """Return the first key that occurs twice in one object, and the second position."""
    objects: list[set[str]] = []
    for token in _BRACE_OR_STRING.finditer(text):
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token["colon"]:
            key = json.loads(token["text"])
            if key in objects[-1]:
                return repr(key), token.start()
            objects[-1].add(key)
    raise AssertionError("called for a text in which a key is twice")


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, column {column}"


def _meant(text: str, position: int) -> str:
    """Explain comments and trailing commas, which other notations allow but JSON does not."""
    if text.startswith(("//", "/*", "#"), position):
        return "; JSON knows no comments"
    if text[position : position + 1] in ("}", "]") and text[:position].rstrip().endswith(","):
        return "; the comma before it is too many"
    return ""
