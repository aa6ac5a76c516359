"""The gateway's MQTT mapping (`dlmsToMqtt.json`): under which names the bridge's values arrived.

Both forms of the mapping are read, that of gateways before 3.5 (`deviceNameJsonExpression`,
`mapping`) and the present one (`deviceInfo`, `dataMapping`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dlms_connector.migration.bridge import MigrationError

Section = Literal["timeseries", "attributes"]
SECTIONS: tuple[Section, ...] = ("timeseries", "attributes")

_LARGEST = 4_000_000
#: `${values.voltage_l1}`, and `${voltage_l1}` of bridges that published without `values`.
_REFERENCE = re.compile(r"\$\{\s*(?:\$\.)?(?:values\.)?([^${}.]+?)\s*\}")


@dataclass(frozen=True)
class Arrived:
    """A key under which a published value arrived at the platform."""

    section: Section
    key: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry of the mapping. `keys` is by the name under which the bridge published."""

    topic: str = ""
    device_name: str | None = None  #: None where it depends on the message or on its topic
    device_type: str | None = None
    only_on_change: bool = False
    keys: Mapping[str, tuple[Arrived, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """The whole mapping, and what of it cannot be carried over, a sentence each."""

    port: int | None = None  #: of the broker to which the bridge published
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()


def read_mapping(path: Path) -> Mapped:
    """Read the configuration of the gateway's MQTT connector. Raises MigrationError."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise MigrationError(f"{path}: {error.strerror or error}") from None
    if len(content) > _LARGEST:
        raise MigrationError(f"{path}: is larger than {_LARGEST} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MigrationError(f"{path}: is no valid JSON: {error}") from None
    return _mapped(path, document)


def _mapped(path: Path, document: object) -> Mapped:
    if isinstance(document, Mapping) and isinstance(document.get("configurationJson"), Mapping):
        document = document["configurationJson"]  # as the platform keeps it
    entries = document.get("mapping", document.get("dataMapping")) if isinstance(
        document, Mapping) else None  # fmt: skip
    if not isinstance(document, Mapping) or not isinstance(entries, list):
        raise MigrationError(f"{path}: has no list `mapping`: it is no MQTT connector's file")
    notes: list[str] = []
    rules = tuple(
        _rule(entry, f"{path.name}: mapping[{index}]", notes)
        for index, entry in enumerate(entries)
        if isinstance(entry, Mapping)
    )
    broker = document.get("broker")
    port = broker.get("port") if isinstance(broker, Mapping) else None
    return Mapped(port=port if isinstance(port, int) else None, rules=rules, notes=tuple(notes))


def _rule(entry: Mapping[str, Any], place: str, notes: list[str]) -> Rule:
    converter = entry.get("converter")
    if not isinstance(converter, Mapping):
        converter = {}
    if converter.get("type", "json") != "json":
        notes.append(f"{place}: a converter of type {converter['type']!r} is not understood: "
                     "its keys are not known")  # fmt: skip
        converter = {}
    info = converter.get("deviceInfo")
    info = info if isinstance(info, Mapping) else {}
    keys: dict[str, list[Arrived]] = {}
    for section in SECTIONS:
        for row in _list(converter.get(section)):
            for published, arrived in _row(section, row, place, notes):
                keys.setdefault(published, []).append(arrived)
    strategy = converter.get("reportStrategy") or entry.get("reportStrategy")
    on_change = isinstance(strategy, Mapping) and strategy.get("type") == "ON_CHANGE"
    return Rule(
        topic=str(entry.get("topicFilter", "")),
        device_name=_constant(
            info.get("deviceNameExpression"),
            info.get("deviceNameExpressionSource", "constant"),
            converter.get("deviceNameJsonExpression"),
        ),
        device_type=_constant(
            info.get("deviceProfileExpression"),
            info.get("deviceProfileExpressionSource", "constant"),
            converter.get("deviceTypeJsonExpression"),
        ),
        only_on_change=converter.get("sendDataOnlyOnChange") is True or on_change,
        keys={published: tuple(arrived) for published, arrived in keys.items()},
    )


def _constant(new: object, source: object, old: object) -> str | None:
    """Return a name that is the same for every message; None if it depends on the message.

    The gateway takes a text without `${…}` as it is, wherever it was told to look.
    """
    text = new if isinstance(new, str) else old
    if not isinstance(text, str) or not text.strip() or "${" in text:
        return None
    return None if text is new and source == "topic" else text.strip()


def _row(
    section: Section, row: object, place: str, notes: list[str]
) -> Iterator[tuple[str, Arrived]]:
    """Yield the name that was published, and as what it arrived."""
    if row == "*":
        notes.append(f"{place}.{section}: `*` takes whole messages: its keys are not known")
        return
    key, value = (row.get("key"), row.get("value")) if isinstance(row, Mapping) else (None, None)
    if not isinstance(key, str) or not isinstance(value, str):
        notes.append(f"{place}.{section}: an entry without key and value: left out")
    elif "${" in key:
        notes.append(f"{place}.{section}: the key {key} depends on the message: left out")
    elif match := _REFERENCE.fullmatch(value.strip()):
        yield match[1], Arrived(section, key)
    elif "${" in value:
        notes.append(f"{place}.{section}: {key} is {value}, which is more than one published "
                     "value: left out")  # fmt: skip
    else:
        notes.append(f"{place}.{section}: {key} is a constant, no value of the meter: left out")


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
