"""A configuration as text: JSON with line and column, and what the gateway puts before it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dlms_connector.errors import ConfigError

#: The gateway prepends this to a text that it could not parse itself.
_PREFIX = re.compile(r"\A\{id_var_start\}.*?\{id_var_end\}", re.DOTALL)
_LARGEST_FILE = 200_000_000
_DEEPEST = 32


def parse(text: str) -> Any:
    """Read JSON; raises ConfigError with line and column."""
    text = _PREFIX.sub("", text).removeprefix("\ufeff")
    if not text.strip():
        raise ConfigError("the configuration is empty")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigError("not valid JSON: nested too deeply") from None
    except ValueError as error:  # a number with more digits than Python converts
        raise ConfigError(f"not valid JSON: {error}") from None


def too_deep(value: Any) -> bool:
    """Whether a value is nested more deeply than any configuration is, however deep that be."""
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


def read(path: Path) -> str:
    """Read a text file of the configuration; raises ConfigError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"{path}: larger than {_LARGEST_FILE} bytes")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says the same key twice: JSON readers would drop one in silence."""
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise ConfigError(f"the key {', '.join(map(repr, twice))} is twice in one object")
    return made
