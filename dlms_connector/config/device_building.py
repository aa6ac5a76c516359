"""Build one device from its layers: merge, validate, and trace every problem to its layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from dlms_connector.config import secret
from dlms_connector.config.base import DOCUMENT
from dlms_connector.config.connection import CONNECTION_KINDS
from dlms_connector.config.consistency import contradictions
from dlms_connector.config.dlms import SECRET_KEYS
from dlms_connector.config.inheritance import (
    NAMED_LISTS,
    Layer,
    Location,
    Origins,
    Place,
    merge,
)
from dlms_connector.config.model import Device
from dlms_connector.config.problems import problems_of

#: Locations where a reference to a secret is allowed.
SECRETS = frozenset(("dlms", key) for key in SECRET_KEYS)
#: Placeholders for missing values, so that the rest can still be checked.
_STAND_INS: dict[str, Any] = {
    "deviceName": "?",
    "connection": {"host": "?"},
    "host": "?",
    "port": "?",
    "key": "?",
    "method": "?",
    "obis": "0-0:0.0.0",
}
_ATTEMPTS = 5
#: Different lists that are remembered to find equal ones: of more, the text would be too much.
_MOST_LISTS = 1000


@dataclass(frozen=True)
class Problem:
    """A sentence, the layer that causes the problem, and the location in that layer."""

    place: Place
    location: Location
    sentence: str

    def __str__(self) -> str:
        return f"{self.place.at(self.location)}: {self.sentence}"


class SharedLists:
    """Lists of which several devices have an equal one: validated once, stored once.

    A fleet of thousands has few kinds of meters; copies of their items would take most of its
    memory, whether they come from a template or stand in each device.
    """

    def __init__(self) -> None:
        # The raw list is kept with its values, so that its id is not used again.
        self._known: dict[tuple[str, int], tuple[Any, Any]] = {}
        self._equal: dict[tuple[str, str], Any] = {}

    def put_in(self, merged: dict[str, Any]) -> None:
        """Replace lists that were validated before by their values."""
        for key in NAMED_LISTS:
            whole = merged.get(key)
            if known := self._known.get((key, id(whole))):
                merged[key] = known[1]
            elif isinstance(whole, list) and (equal := self._equal.get((key, repr(whole)))):
                merged[key] = equal

    def remember(self, shared: Sequence[Layer], raw: Mapping[str, Any], device: Device) -> None:
        """Keep the lists of a device without problems."""
        for key in NAMED_LISTS:
            whole, values = raw.get(key), getattr(device, to_snake(key))
            if not isinstance(whole, list):
                continue
            if any(each.values.get(key) is whole for each in shared):
                self._known.setdefault((key, id(whole)), (whole, values))
            if len(self._equal) < _MOST_LISTS:
                self._equal.setdefault((key, repr(whole)), values)


def build(
    layers: Sequence[Layer], source: secret.SecretSource, shared: SharedLists
) -> Device | list[Problem]:
    """Build a device from its layers, the first on top, or return all its problems."""
    raw, origins = merge(layers)
    merged = dict(raw)
    shared.put_in(merged)
    found: list[tuple[Location, str]] = list(_stray_references(merged))
    source = source.made_for(merged.get("deviceName"), merged.get("connection"))
    device = _validate(merged, source, found, hides=_in_a_table(origins))
    problems = _blamed(found, origins)
    if device is not None:
        reported = {location for location, _ in found}
        for location, sentence in contradictions(device):
            if location not in reported:
                problems.append(_contradiction(location, sentence, origins, layers[0].place))
        if not problems:
            shared.remember(layers[1:], raw, device)
            return device
    return problems


def _contradiction(location: Location, sentence: str, origins: Origins, own: Place) -> Problem:
    """Report keys that contradict each other at the device: its template may be right."""
    if len(location) > 1 and isinstance(location[1], int):
        return Problem(*origins.of(location), sentence)
    return Problem(own, location, sentence)


def check_partially(layers: Sequence[Layer]) -> list[Problem]:
    """Return the problems of layers that need not form a complete device."""
    merged, origins = merge(layers)
    connection = merged.get("connection")
    variants = [merged]
    if isinstance(connection, dict) and connection.get("type") is None:
        variants = [
            {**merged, "connection": {**connection, "type": kind}} for kind in CONNECTION_KINDS
        ]
    outcomes: list[list[tuple[Location, str]]] = []
    for variant in variants:
        found: list[tuple[Location, str]] = list(_stray_references(variant))
        checking = secret.SecretSource(environment=None)
        _validate(variant, checking, found, whole=False, hides=_in_a_table(origins))
        outcomes.append(found)
    fewest = min(outcomes, key=len)
    return _blamed(fewest, origins)


def _in_a_table(origins: Origins) -> Callable[[Location], bool]:
    return lambda location: origins.of(location)[0].secretive


def _blamed(found: Iterable[tuple[Location, str]], origins: Origins) -> list[Problem]:
    return [Problem(*origins.of(location), sentence) for location, sentence in found]


def _validate(
    merged: dict[str, Any],
    source: secret.SecretSource,
    found: list[tuple[Location, str]],
    *,
    hides: Callable[[Location], bool],
    whole: bool = True,
) -> Device | None:
    """Validate, note the problems in `found`, and try again without the wrong values.

    Returns None if no device can be built.
    """
    context = {DOCUMENT: True, secret.SOURCE: source}
    for _ in range(_ATTEMPTS):
        try:
            return Device.model_validate(merged, context=context)
        except ValidationError as error:
            problems = list(problems_of(error, Device, hides))
        found += [
            (location, sentence)
            for location, sentence, kind in problems
            if (whole or kind != "missing" or _in_a_list(location)) and not _known(location, found)
        ]
        merged = _repaired(merged, [(location, kind) for location, _, kind in problems])
    return None


def _in_a_list(location: Location) -> bool:
    return any(isinstance(step, int) for step in location)


def _known(location: Location, found: Iterable[tuple[Location, str]]) -> bool:
    return any(location == other for other, _ in found)


def _repaired(merged: dict[str, Any], wrong: Iterable[tuple[Location, str]]) -> dict[str, Any]:
    """Return a copy without the wrong values, and with placeholders for missing ones."""
    repaired = copy.deepcopy(merged)
    for location, kind in wrong:
        steps = location[:-1] if location and isinstance(location[-1], int) else location
        node: Any = repaired
        for step in steps[:-1]:
            node = _child(node, step)
        last = steps[-1] if steps else None
        if isinstance(node, dict) and kind == "missing" and last in _STAND_INS:
            node[last] = copy.deepcopy(_STAND_INS[str(last)])
        elif isinstance(node, dict):
            node.pop(last, None)
    return repaired


def _child(node: Any, step: str | int) -> Any:
    try:
        return node[step]
    except (KeyError, IndexError, TypeError):
        return None


def _stray_references(value: Any, location: Location = ()) -> Iterator[tuple[Location, str]]:
    match value:
        case str() if secret.holds_reference(value) and location not in SECRETS:
            yield location, "references to secrets stand for passwords and keys only"
        case dict():
            for key, inner in value.items():
                yield from _stray_references(inner, (*location, str(key)))
        case list():
            for index, inner in enumerate(value):
                yield from _stray_references(inner, (*location, index))
