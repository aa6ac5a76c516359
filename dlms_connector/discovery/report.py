"""All that was found, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import simplejson

from dlms_connector.discovery.entry import objects_as_json
from dlms_connector.discovery.survey import Discovery


def report(found: Discovery) -> dict[str, Any]:
    """Return all that was found, as JSON has it."""
    description = found.description
    result: dict[str, Any] = {
        "endpoint": found.endpoint,
        "found": found.entry is not None,
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
    return str(simplejson.dumps(value, ensure_ascii=False))
