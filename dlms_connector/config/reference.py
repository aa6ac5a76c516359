"""Generate parts of the documentation: `python -m dlms_connector.config.reference docs`.

A generated part is the text between two comments in a Markdown file. It is replaced as a
whole. The rest of the file is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlms_connector.config import preset
from dlms_connector.config.schema import document_schema

Schema = Mapping[str, Any]

_PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return a document with its generated parts updated.

    Raises KeyError for an unknown part.
    """
    return _PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]]() + "\n" + part[3], text)


def _keys(section: str) -> Callable[[], str]:
    def table() -> str:
        schema = document_schema()
        definitions = schema["$defs"]
        node = schema if section == "top" else definitions[section]
        rows = [
            _row(f"`{key}`", *_describe(key, value, node, definitions))
            for key, value in node["properties"].items()
            if not value.get("description", "").startswith("set and read by the gateway")
        ]
        return "\n".join([_row("key", "meaning", "default", "allowed"), "|---|---|---|---|", *rows])

    return table


def _describe(key: str, value: Schema, node: Schema, definitions: Schema) -> tuple[str, str, str]:
    branches = [b for b in value.get("anyOf", [value]) if b.get("type") != "null"]
    meaning = value.get("description") or next(
        (b["description"] for b in branches if "description" in b), ""
    )
    if key in node.get("required", ()):
        default = "**required**"
    else:
        defaults = (b["default"] for b in (value, *branches) if b.get("default") is not None)
        default = " or ".join(dict.fromkeys(f"`{_plain(each)}`" for each in defaults)) or "-"
    allowed = dict.fromkeys(text for b in branches if (text := _allowed(b, definitions)))
    return meaning, default, " or ".join(allowed)


def _allowed(schema: Schema, definitions: Schema) -> str:
    """Describe the allowed values of a key in a few words."""
    if reference := schema.get("$ref"):
        return _link(reference)
    if "enum" in schema:
        choices = [choice for choice in schema["enum"] if choice is not None]
        return ", ".join(f"`{_plain(choice)}`" for choice in choices)
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if items := schema.get("items"):
        return f"list of {_allowed(items, definitions)}"
    if "minimum" in schema:
        return f"{schema['minimum']} … {schema.get('maximum', '')}".rstrip()
    if "properties" in schema:
        return "object with " + ", ".join(f"`{key}`" for key in schema["properties"])
    if schema.get("format") == "password":
        return "secret"
    names = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(names.get(kind, kind) for kind in kinds if kind != "null")


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _plain(value: Any) -> str:
    """Write a value as JSON, but strings without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _presets() -> str:
    """Write the table of presets; deduced values are in italics."""
    head = ("preset", "meter", "framing", "client", "authentication", "logical / physical")
    rows = [_row(*head), "|" + "---|" * len(head)]
    for name in preset.names():
        values, about = preset.values(name), preset.about(name)

        def cell(*keys: str, values: Schema = values, facts: Schema = about.facts) -> str:
            return " / ".join(_fact(key, values.get("dlms", {}), facts) for key in keys)

        address = cell("logicalAddress", "physicalAddress")
        if formula := values.get("dlms", {}).get("serialNumberFormula"):
            address = cell("logicalAddress") + f" / `{formula}`"
        client = cell("clientAddress")
        authentication = cell("authentication")
        framing = cell("interfaceType")
        row = (f"[`{name}`](#{name})", about.meter, framing, client, authentication, address)
        rows.append(_row(*row))
    return "\n".join(rows)


def _fact(key: str, dlms: Schema, facts: Schema) -> str:
    if key not in dlms:
        return "-"
    return str(dlms[key]) if facts.get(f"dlms.{key}") == "confirmed" else f"*{dlms[key]}*"


def _preset_notes() -> str:
    """Write the source, the facts and the notes of each preset."""
    return "\n\n".join("\n".join(_notes(name)) for name in preset.names())


def _notes(name: str) -> Iterator[str]:
    about, values = preset.about(name), preset.values(name)
    yield f"### {name}"
    yield ""
    yield f"{about.meter}. Source: {about.source}."
    yield ""
    for mark in ("confirmed", "deduced"):
        if keys := [f"`{key}`" for key, each in about.facts.items() if each == mark]:
            yield f"- {mark}: {', '.join(keys)}"
    if items := [f"`{item['key']}`" for item in values.get("timeseries", ())]:
        yield f"- time series: {', '.join(items)}"
    for note in about.notes:
        yield f"- {note}"


_SECTIONS = (
    *("top", "Device", "Connection", "ConnectionGroup", "Dlms", "ModeE", "Workarounds"),
    *("Item", "Profile", "ProfileColumn", "AttributeUpdate", "RpcMethod"),
    *("Journal", "PlatformAccess", "Metrics", "Backup", "DeviceTrace", "Shard", "Standby"),
    *("PushListener", "AutoCreate", "DevicePush", "PushLayout", "PushObject"),
)
PARTS: Mapping[str, Callable[[], str]] = {
    **{f"keys-{section}": _keys(section) for section in _SECTIONS},
    "presets": _presets,
    "preset-notes": _preset_notes,
}


def main(folder: Path) -> None:
    """Update the generated parts of every document in a folder."""
    for path in sorted(folder.glob("*.md")):
        text = path.read_text("utf-8")
        if (filled := fill(text)) != text:
            path.write_text(filled, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
