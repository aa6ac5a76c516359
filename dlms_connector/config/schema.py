"""The JSON Schema of `dlms.json` as users write it: with templates, defaults and fleets.

It is generated from the models, so that editors and the loader agree. A key that a template
can supply is not required in a device. Null stands for the default.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from dlms_connector.config.inheritance import NAMED_LISTS
from dlms_connector.config.keys import DEVICES_FILE, GATEWAY_KEYS, SCHEMA_KEY
from dlms_connector.config.model import Configuration
from dlms_connector.config.templates import DEFAULTS, TEMPLATES

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_CONNECTIONS = (
    *("TcpConnection", "UdpConnection", "SerialConnection", "ListenConnection"),
    "PushConnection",
)
_EXAMPLE = {
    "devices": [
        {
            "deviceName": "DLMS-Meter-01",
            "template": "microstar",
            "connection": {"host": "192.168.1.127", "port": 3333},
            "dlms": {"password": "${env:METER_01_PASSWORD}"},
        }
    ]
}

Schema = dict[str, Any]


def document_schema() -> Schema:
    """Return the schema (draft 2020-12) of a whole document."""
    schema = _cleaned(Configuration.model_json_schema(by_alias=True))
    definitions: Schema = schema["$defs"]
    definitions["Connection"] = _any_connection([definitions.pop(name) for name in _CONNECTIONS])
    device: Schema = definitions["Device"]
    device["properties"]["connection"] = {
        "$ref": "#/$defs/Connection",
        "description": device["properties"]["connection"]["description"],
    }
    device["required"] = ["deviceName"]
    for where, name in NAMED_LISTS.items():
        entry = device["properties"][where]["items"]["$ref"].rpartition("/")[2]
        definitions[entry]["required"] = [name]
    definitions["Template"] = _template(device)
    properties: Schema = {
        **{key: _or_null(value) for key, value in schema["properties"].items()},
        DEVICES_FILE: {
            "type": ["string", "null"],
            "description": "CSV file of devices in the configuration's folder; one column per key",
            "examples": ["meters.csv"],
        },
        DEFAULTS: {
            "$ref": "#/$defs/Template",
            "description": "device keys that apply to every device which does not set them itself",
        },
        TEMPLATES: {
            "type": ["object", "null"],
            "additionalProperties": {"$ref": "#/$defs/Template"},
            "description": "named sets of device keys; a device names one as its `template`",
        },
    }
    for node in definitions.values():
        required = node.get("required", ())
        node["properties"] = {
            key: value if key in required else _or_null(value)
            for key, value in node["properties"].items()
        }
    for name in ("Connection", "Dlms", "ModeE", "Workarounds"):
        definitions[name] = _or_null(definitions[name])
    of_editors = {
        SCHEMA_KEY: {
            "type": "string",
            "description": "the JSON Schema, for editors: path or URL; not read by the connector",
        }
    }
    own = {key: {"description": "set and read by the gateway itself"} for key in GATEWAY_KEYS}
    return {
        "$schema": DIALECT,
        "title": "DLMS connector",
        "description": "Configuration of the DLMS connector for the ThingsBoard IoT Gateway.",
        "examples": [_EXAMPLE],
        "type": "object",
        "additionalProperties": False,
        "properties": of_editors | properties | dict(sorted(own.items())),
        "$defs": dict(sorted(definitions.items())),
    }


def _template(device: Mapping[str, Any]) -> Schema:
    template = copy.deepcopy(dict(device))
    del template["required"], template["properties"]["deviceName"]
    template["type"] = ["object", "null"]
    template["description"] = "Keys of devices, to be shared."
    return template


def _or_null(schema: Schema) -> Schema:
    """Allow null, which stands for the default."""
    null = {"type": "null"}
    changed = dict(schema)
    if "anyOf" in schema and null not in schema["anyOf"]:
        changed["anyOf"] = [*schema["anyOf"], null]
    if "const" in schema:
        changed["enum"] = [changed.pop("const")]
    if "enum" in changed:
        changed["enum"] = [*changed["enum"], None]
    if isinstance(schema.get("type"), str):
        changed["type"] = [schema["type"], "null"]
    return changed


def _any_connection(kinds: list[Schema]) -> Schema:
    """Merge all kinds of connection into one object, because a template may set `type`."""
    properties: Schema = {}
    for kind in kinds:
        for key, schema in kind["properties"].items():
            known = properties.setdefault(key, {"anyOf": []})
            if schema not in known["anyOf"]:
                known["anyOf"].append(schema)
    for key, schema in properties.items():
        if len(schema["anyOf"]) == 1:
            properties[key] = schema["anyOf"][0]
    properties["type"] = {
        "enum": [kind["properties"]["type"]["const"] for kind in kinds],
        "default": "tcp",
        "description": kinds[0]["properties"]["type"]["description"],
    }
    properties["port"]["description"] = (
        "remote TCP or UDP port, local TCP port to listen on, or name of the serial port"
    )
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "How a meter is reached: keys of tcp, udp, serial or listen; push has none.",
        "properties": properties,
    }


def _cleaned(node: Any) -> Any:
    """Drop keywords that a reader does not need, and rename constraints as in JSON Schema."""
    if isinstance(node, list):
        return [_cleaned(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    spelled = {"ge": "minimum", "le": "maximum"}
    cleaned = {spelled.get(key, key): _cleaned(value) for key, value in node.items()}
    if isinstance(cleaned.get("title"), str):
        del cleaned["title"]
    if isinstance(cleaned.get("default"), dict):
        del cleaned["default"]  # the keys of an object have their own defaults
    return cleaned
