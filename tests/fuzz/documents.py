"""Changes documents of JSON where they have values, keys and lists, not where they have octets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.fuzz.target import Input

_MOST_CHANGES = 8
#: What somebody may write where something else should stand.
_ODD: tuple[Callable[[], Any], ...] = tuple(
    (lambda value: lambda: json.loads(value))(text)
    for text in (
        "null", "true", "0", "-1", "1.5", "1e999", "-0.0", "4711", "NaN", '""', '" "', '"x"',
        '"\\u0000"', '"\\ud800"', '"1-0:1.8.0"', '"10.0.0.0/8"', '"{systemTitle}"', '"env:HOME"',
        '"00112233445566778899AABBCCDDEEFF"', "[]", "{}", "[[]]", '[{"key": "k"}]', '{"": ""}',
        '{"host": "h"}', '{"type": "listen"}', "1" + "0" * 30, '"' + "x" * 300 + '"',
        "[" * 40 + "]" * 40, "[" * 700 + "]" * 700, '{"a":' * 40 + "1" + "}" * 40,
    )
)  # fmt: skip


def changed(document: Any, source: Input) -> Any:
    """Return a document after as many changes as the input has, some at most."""
    for _ in range(_MOST_CHANGES):
        if source.left <= 0:
            break
        if isinstance(document, dict | list):
            _change(document, source)
    return document


def written(document: Any) -> bytes:
    """Return a document as somebody may write it: `NaN`, and halves of surrogate pairs."""
    return json.dumps(document).encode()


def _change(document: Any, source: Input) -> None:
    node = document
    for _ in range(1 + source.octet() % 6):
        inner = list(node.keys() if isinstance(node, dict) else range(len(node)))
        if not inner:
            return
        key = inner[source.octet() % len(inner)]
        if not isinstance(node[key], dict | list):
            break
        if source.octet() % 4 == 0:
            break
        node = node[key]
        if not node:
            return
        key = next(iter(node)) if isinstance(node, dict) else 0
    what, odd = source.octet() % 6, _ODD[source.octet() % len(_ODD)]
    if what == 0:
        del node[key]
    elif what == 1 and isinstance(node, dict):
        node[("x", "", "\0", "\ud800", "devices", "dlms", "host")[source.octet() % 7]] = odd()
    elif what == 2 and isinstance(node, list):
        node.append(node[0])
    elif what == 3 and isinstance(node, dict):
        text = source.take(source.octet() % 24).decode("latin-1")
        node[key] = text
    else:
        node[key] = odd()
