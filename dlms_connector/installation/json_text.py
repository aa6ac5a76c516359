"""Adds to a list in a JSON text or removes from it, leaving every other byte as it is.

People keep their own order, indentation and alignment in files such as `tb_gateway.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_DECODER = json.JSONDecoder()


class _Span(NamedTuple):
    value: Any
    start: int
    end: int


def append(text: str, key: str, element: Mapping[str, Any]) -> str:
    """Add an element to the list under a top-level key, which is created if absent.

    Raises ValueError if the text is not an object or the key is not a list.
    """
    members = _members(text)
    unit = match.group(1) if (match := _INDENT.search(text)) else "  "
    if key not in members:
        inner = _indented({key: [element]}, unit, 0)[1:-1].strip()
        last = max((span.end for span in members.values()), default=text.index("{") + 1)
        comma = "," if members else ""
        tail = "\n" if not members else ""
        return f"{text[:last]}{comma}\n{unit}{inner}{tail}{text[last:]}"
    span = members[key]
    elements = _elements(text, span)
    if not elements:
        written = _indented(element, unit, 2)
        return f"{text[: span.start]}[\n{unit * 2}{written}\n{unit}]{text[span.end :]}"
    last_element = elements[-1]
    before = text[: last_element.start]
    gap = before[len(before.rstrip(" \t\r\n")) :]
    depth = gap.count(unit) if "\n" in gap else 2
    written = _indented(element, unit, depth) if "\n" in gap else json.dumps(element)
    end = last_element.end
    return f"{text[:end]},{gap or ' '}{written}{text[end:]}"


def replace(text: str, key: str, index: int, element: Mapping[str, Any]) -> str:
    """Replace an element of the list under a top-level key."""
    span = _elements(text, _members(text)[key])[index]
    unit = match.group(1) if (match := _INDENT.search(text)) else "  "
    multiline = "\n" in text[span.start : span.end]
    written = _indented(element, unit, 2) if multiline else json.dumps(element)
    return text[: span.start] + written + text[span.end :]


def remove(text: str, key: str, index: int) -> str:
    """Remove an element from the list under a top-level key."""
    span = _members(text)[key]
    elements = _elements(text, span)
    if len(elements) == 1:
        return f"{text[: span.start]}[]{text[span.end :]}"
    if index == 0:
        return text[: elements[0].start] + text[elements[1].start :]
    return text[: elements[index - 1].end] + text[elements[index].end :]


def _indented(value: Any, unit: str, depth: int) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", "\n" + unit * depth)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _members(text: str) -> dict[str, _Span]:
    """Return the members of the top-level object and the positions of their values."""
    if not isinstance(json.loads(text), dict):
        raise ValueError("not a JSON object")
    found: dict[str, _Span] = {}
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        value, end = _DECODER.raw_decode(text, start)
        found[key] = _Span(value, start, end)
        at = _next(text, end)
    return found


def _elements(text: str, span: _Span) -> list[_Span]:
    if not isinstance(span.value, list):
        raise ValueError("not a JSON list")
    found: list[_Span] = []
    at = _skip(text, span.start + 1)
    while text[at] != "]":
        value, end = _DECODER.raw_decode(text, at)
        found.append(_Span(value, at, end))
        at = _next(text, end)
    return found


def _next(text: str, end: int) -> int:
    """Return the position of the next member, or of the closing bracket."""
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at
