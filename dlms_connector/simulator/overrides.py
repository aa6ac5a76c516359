"""Objects that a user puts into a simulated meter, from JSON.

{"1-0:32.7.0": {"class": "register", "attributes": {
    "2": {"type": "long-unsigned", "value": 13519},
    "3": {"type": "structure", "value": [
        {"type": "integer", "value": -2}, {"type": "enum", "value": 35}]}},
  "writable": [2]},
 "1-0:14.7.0": {"attributes": {"2": {"error": 11}}},
 "0-0:1.0.0": {"attributes": {"2": {"hex": "090C07E8..."}}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlms_connector.cosem import class_id as read_class
from dlms_connector.obis import Obis
from dlms_connector.simulator import data as cosem
from dlms_connector.simulator.cosem_object import AccessError, CosemObject, Objects, Source
from dlms_connector.simulator.data import Data


def read_overrides(
    raw: Mapping[str, Any], present: Objects
) -> dict[tuple[int, bytes], CosemObject]:
    """Return the objects that replace or join the present ones.

    Attributes that are not named stay as they are. Raises ValueError with a sentence.
    """
    return {
        (changed.class_id, changed.name): changed
        for changed in (_read_object(text, entry, present) for text, entry in raw.items())
    }


def _read_object(text: str, entry: Mapping[str, Any], present: Objects) -> CosemObject:
    name = Obis.parse(text).octets
    unknown = set(entry) - {"class", "attributes", "writable"}
    if unknown:
        raise ValueError(f"{text}: unknown key {', '.join(sorted(unknown))}")
    if "class" in entry:
        number = read_class(entry["class"])
    else:
        number = next((class_id for class_id, other in present if other == name), 3)
    before = present.get((number, name)) or CosemObject(number, name, {})
    attributes: dict[int, Source] = dict(before.attributes)
    for index, value in entry.get("attributes", {}).items():
        attributes[int(index)] = _read_source(f"{text} attribute {index}", value)
    return CosemObject(
        number,
        name,
        attributes,
        before.version,
        {**before.writable, **dict.fromkeys(entry.get("writable", ()))},
        before.methods,
        before.table,
        before.public,
    )


def _read_source(where: str, raw: Mapping[str, Any]) -> Source:
    if "error" in raw:
        return _refusing(int(raw["error"]))
    if "hex" in raw:
        return cosem.decode(bytes.fromhex(raw["hex"]))
    return read_value(where, raw)


def _refusing(code: int) -> Source:
    def refuse(_: object) -> Data:
        raise AccessError(code)

    return refuse


def read_value(where: str, raw: Mapping[str, Any]) -> Data:
    """Read `{"type": …, "value": …}`; raises ValueError."""
    tag = cosem.TYPE_NAMES.get(str(raw.get("type")))
    if tag is None:
        raise ValueError(
            f"{where}: type {raw.get('type')!r} is none of {', '.join(cosem.TYPE_NAMES)}"
        )
    value = raw.get("value")
    try:
        made = Data(tag, _plain(where, tag, value))
        cosem.encode(made)
    except (TypeError, ArithmeticError, OSError) as error:
        raise ValueError(f"{where}: {value!r} does not fit {raw['type']}: {error}") from error
    except ValueError:
        raise
    except Exception as error:  # struct.error, which is a bare Exception
        raise ValueError(f"{where}: {value!r} does not fit {raw['type']}: {error}") from error
    return made


def _plain(where: str, tag: int, value: Any) -> Any:
    if tag in (cosem.ARRAY, cosem.STRUCTURE):
        return tuple(read_value(f"{where}[{index}]", item) for index, item in enumerate(value))
    if tag in (cosem.TEXT, cosem.UTF8):
        return str(value).encode()
    if tag in (cosem.OCTETS, cosem.DATE_TIME, cosem.DATE, cosem.TIME, cosem.COMPACT_ARRAY):
        return bytes.fromhex(value)
    return value
