"""Just enough JSON Schema (draft 2020-12) to hold documents against our own schema.

An unknown keyword is an error: what is not checked here must not look checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SAYS_NOTHING = {
    *("$schema", "$defs", "title", "description", "default", "examples", "format", "required"),
    *("additionalProperties", "properties", "items"),
}


def violations(value: Any, schema: Any, root: Any = None, path: str = "$") -> Iterator[str]:
    """Yield where a document breaks a schema."""
    root = schema if root is None else root
    for keyword, wanted in schema.items():
        if keyword == "$ref":
            node = root
            for step in wanted.removeprefix("#/").split("/"):
                node = node[step]
            yield from violations(value, node, root, path)
        elif keyword == "anyOf":
            if all(any(violations(value, branch, root, path)) for branch in wanted):
                yield f"{path}: none of anyOf"
        elif keyword not in _SAYS_NOTHING and not _CHECKS[keyword](value, wanted):
            yield f"{path}: {keyword}"
    if isinstance(value, dict):
        yield from _object(value, schema, root, path)
    if isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            yield from violations(inner, schema["items"], root, f"{path}[{index}]")


def _object(value: dict[str, Any], schema: Any, root: Any, path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (f"{path}.{key}: required" for key in schema.get("required", ()) if key not in value)
    for key, inner in value.items():
        if key in properties:
            yield from violations(inner, properties[key], root, f"{path}.{key}")
        elif (others := schema.get("additionalProperties", True)) is False:
            yield f"{path}.{key}: unknown"
        elif isinstance(others, dict):
            yield from violations(inner, others, root, f"{path}.{key}")


def _is(value: Any, name: str) -> bool:
    truth = isinstance(value, bool)
    return isinstance(value, _TYPES[name]) and (not truth or name == "boolean")


_CHECKS: Mapping[str, Any] = {
    "type": lambda value, wanted: any(
        _is(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted)
    ),
    "enum": lambda value, wanted: any(value == one and type(value) is type(one) for one in wanted),
    "const": lambda value, wanted: value == wanted and type(value) is type(wanted),
    "minimum": lambda value, wanted: not _is(value, "number") or value >= wanted,
    "maximum": lambda value, wanted: not _is(value, "number") or value <= wanted,
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
    "pattern": lambda value, wanted: not isinstance(value, str) or re.search(wanted, value),
}
