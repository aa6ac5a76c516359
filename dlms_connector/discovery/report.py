"""The result of a discovery as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import simplejson

from dlms_connector.discovery.description import Description
from dlms_connector.discovery.entry import items_of, objects_as_json
from dlms_connector.discovery.survey import Discovery

#: Most bytes of one answer to a remote procedure call: brokers and gateways refuse more.
MOST_BYTES = 48 * 1024


def report(found: Discovery) -> dict[str, Any]:
    """Return the whole result of a discovery as JSON values."""
    description = found.description
    result: dict[str, Any] = {
        "endpoint": found.endpoint,
        "found": found.measures,
        "dlms": dict(found.dlms) if found.dlms else None,
        "answers": [
            {"probe": str(each.candidate), "from": str(each.found), "result": each.kind,
             "detail": each.detail}
            for each in found.answers
        ],
        "probes": len(found.attempts),
        "refusals": [str(each) for each in found.refusals],
        "presets": list(found.presets),
        "notes": list(found.notes),
        "advice": list(found.advice),
        "entry": found.entry,
    }  # fmt: skip
    if description is not None:
        result |= {
            "logicalDeviceName": description.logical_device_name,
            "serialNumber": description.serial_number,
            "services": sorted(description.conformance),
            "maxPdu": description.max_pdu,
            "objects": objects_as_json(description.objects),
            "skipped": [
                {"obis": str(ref.obis), "attribute": ref.attribute, "problem": problem}
                for ref, problem in description.skipped
            ],
        }
    return result


def document(entry: Mapping[str, Any]) -> str:
    """Return a whole `dlms.json` with one device, an item per line."""
    sections = [f"      {_text(key)}: {_section(value)}" for key, value in entry.items()]
    return '{\n  "devices": [\n    {\n' + ",\n".join(sections) + "\n    }\n  ]\n}"


def _section(value: Any) -> str:
    if not isinstance(value, list):
        return _text(value)
    lines = ",\n".join(f"        {_text(each)}" for each in value)
    return f"[\n{lines}\n      ]"


def _text(value: Any) -> str:
    return str(simplejson.dumps(value, use_decimal=True, ensure_ascii=False))


def brief(
    description: Description, *, every: bool = False, most_bytes: int = MOST_BYTES
) -> dict[str, Any]:
    """Return a description that fits one message; values are left out first, then objects.

    `entry` holds the items for the device's entry, `leftOut` how many objects did not fit.
    """
    objects = objects_as_json(description.objects)
    result: dict[str, Any] = {
        "logicalDeviceName": description.logical_device_name,
        "serialNumber": description.serial_number,
        "services": sorted(description.conformance),
        "entry": items_of(description, every=every),
        "objects": objects,
        "leftOut": 0,
    }
    if _size(result) > most_bytes:
        objects = [{key: one[key] for key in ("obis", "class", "key")} for one in objects]
        result["objects"] = objects
    while objects and _size(result) > most_bytes:
        objects = objects[: len(objects) * 3 // 4]
        result |= {"objects": objects, "leftOut": len(description.objects) - len(objects)}
    return result


def _size(value: Any) -> int:
    return len(simplejson.dumps(value, use_decimal=True))  # escaped: the longer form
