"""Objects that a user defines in JSON for a simulated meter.

{"1-0:32.7.0": {"class": "register", "attributes": {
    "2": {"type": "long-unsigned", "value": 13519},
    "3": {"type": "structure", "value": [
        {"type": "integer", "value": -2}, {"type": "enum", "value": 35}]}},
  "writable": [2]},
 "1-0:14.7.0": {"attributes": {"2": {"error": 11}}},
 "0-0:1.0.0": {"attributes": {"2": {"hex": "090C07E8..."}}}}
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from dlms_connector.cosem import class_id as read_class
from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding import data as cosem
from dlms_connector.simulator.encoding.data import Data
from dlms_connector.simulator.objects.cosem_object import AccessError, CosemObject, Objects, Source


def read_overrides(
    raw: Mapping[str, Any], present: Objects
) -> dict[tuple[int, bytes], CosemObject]:
    """Return the objects that replace present ones or are added to them.

    Attributes that are not named do not change. Raises ValueError with a message.
    """
    return {
        (changed.class_id, changed.name): changed
        for changed in (_read_object(text, entry, present) for text, entry in raw.items())
    }


def _read_object(text: str, entry: Any, present: Objects) -> CosemObject:
    name = Obis.parse(text).octets
    _expect(text, entry, Mapping, "an object")
    unknown = set(entry) - {"class", "attributes", "writable", "public"}
    if unknown:
        raise ValueError(f"{text}: unknown key {', '.join(sorted(unknown))}")
    if "class" in entry:
        number = read_class(entry["class"])
    else:
        number = next((class_id for class_id, other in present if other == name), 3)
    before = present.get((number, name)) or CosemObject(number, name, {})
    attributes: dict[int, Source] = dict(before.attributes)
    changed = _expect(f"{text} attributes", entry.get("attributes", {}), Mapping, "an object")
    for index, value in changed.items():
        if not index.isascii() or not index.isdigit():
            raise ValueError(f"{text}: attribute {index!r} is not a number such as 2")
        attributes[int(index)] = _read_source(f"{text} attribute {index}", value)
    writable = _expect(f"{text} writable", entry.get("writable", []), list, "a list of numbers")
    public = _expect(f"{text} public", entry.get("public", before.public), bool, "true or false")
    return CosemObject(
        number,
        name,
        attributes,
        before.version,
        {**before.writable, **dict.fromkeys(writable)},
        before.methods,
        before.table,
        public,
    )


def _expect(where: str, value: Any, kind: Any, words: str) -> Any:
    """Return a part of the document; raises ValueError if it has another type."""
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {words} is expected, not {value!r}")
    return value


def _read_source(where: str, raw: Any) -> Source:
    _expect(where, raw, Mapping, "an object")
    if "error" in raw:
        return _refusing(_expect(f"{where} error", raw["error"], int, "a number"))
    if "hex" in raw:
        return _decoded(where, raw["hex"])
    return read_value(where, raw)


def _decoded(where: str, text: Any) -> Data:
    try:
        return cosem.decode(bytes.fromhex(text))
    except (TypeError, ValueError, cosem.MalformedError) as error:
        raise ValueError(f"{where}: hex {text!r} is no A-XDR value: {error}") from error


def _refusing(code: int) -> Source:
    def refuse(_: object) -> Data:
        raise AccessError(code)

    return refuse


def read_value(where: str, raw: Any) -> Data:
    """Read `{"type": …, "value": …}`; raises ValueError."""
    _expect(where, raw, Mapping, "an object")
    tag = cosem.TYPE_NAMES.get(str(raw.get("type")))
    if tag is None:
        raise ValueError(
            f"{where}: type {raw.get('type')!r} is none of {', '.join(cosem.TYPE_NAMES)}"
        )
    value = raw.get("value")
    if tag in (cosem.ARRAY, cosem.STRUCTURE):
        items = _expect(where, value, list, "a list")
        value = tuple(read_value(f"{where}[{index}]", item) for index, item in enumerate(items))
    try:
        made = Data(tag, _plain(tag, value))
        cosem.encode(made)
    except (TypeError, ValueError, ArithmeticError, OSError, struct.error) as error:
        raise ValueError(
            f"{where}: {raw.get('value')!r} does not fit {raw['type']}: {error}"
        ) from error
    return made


def _plain(tag: int, value: Any) -> Any:
    if tag in (cosem.TEXT, cosem.UTF8):
        return str(value).encode()
    if tag in (cosem.OCTETS, cosem.DATE_TIME, cosem.DATE, cosem.TIME, cosem.COMPACT_ARRAY):
        return bytes.fromhex(value)
    return value
