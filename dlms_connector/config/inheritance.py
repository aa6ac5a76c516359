"""Merge layers of configuration: device, templates, defaults.

Objects merge key by key. Lists whose entries have a name (`key`, `method`, `obis`) merge
by that name: an entry of the upper layer changes the lower entry of the same name, other
entries are appended. Any other value of the upper layer replaces the lower one. Null does
too, and stands for the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Location = tuple[str | int, ...]

#: Lists that merge by name, and the key that names an entry.
NAMED_LISTS: Mapping[str, str] = {
    "attributes": "key",
    "timeseries": "key",
    "attributeUpdates": "key",
    "serverSideRpc": "method",
    "profiles": "obis",
}


@dataclass(frozen=True)
class Place:
    """The position of a layer in the user's files."""

    path: str
    columns: bool = False  #: True for a row of a table, whose columns are key paths

    @property
    def secretive(self) -> bool:
        """Whether any value may be a secret: in a table, a shifted row puts it anywhere."""
        return self.columns

    def at(self, location: Location) -> str:
        """Write the path of a location in the layer."""
        if self.columns and location:
            return f"{self.path}, column {json_path('', location)}"
        return json_path(self.path, location)


def json_path(path: str, location: Iterable[str | int]) -> str:
    """Append a location to a path, as in `devices[2].dlms.clientAddress`."""
    for step in location:
        key = step if isinstance(step, int) or step.isprintable() else repr(step)
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
    return path


@dataclass(frozen=True)
class Layer:
    """One object of configuration and its position."""

    place: Place
    values: Mapping[str, Any]


class Origins:
    """The layer that each part of a merged object comes from."""

    def __init__(self, top: Place) -> None:
        self._parts: dict[Location, tuple[Place, Location]] = {(): (top, ())}

    def note(self, location: Location, place: Place, there: Location) -> None:
        """Record that the value at `location` comes from `there` in a layer."""
        self._parts[location] = (place, there)

    def of(self, location: Location) -> tuple[Place, Location]:
        """Return the layer's place that a location comes from, and the location there."""
        for length in range(len(location), -1, -1):
            if known := self._parts.get(location[:length]):
                place, there = known
                return place, there + location[length:]
        raise AssertionError("the root always has an origin")


_Node = tuple[Any, Place, Location]
#: Values that replace the lower ones as they are.
_PLAIN = (str, bool, int, float)


def merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], Origins]:
    """Merge layers; the first one is on top."""
    origins = Origins(layers[0].place)
    nodes: list[_Node] = [(layer.values, layer.place, ()) for layer in layers]
    return _merge_objects(nodes, (), origins), origins


def _merge(nodes: list[_Node], location: Location, origins: Origins) -> Any:
    value, place, there = nodes[0]
    if isinstance(value, _PLAIN):  # most values, in each row of a fleet of thousands
        origins.note(location, place, there)
        return value
    alike = [node for node in nodes if isinstance(node[0], type(value))]
    if isinstance(value, Mapping):
        if nodes[0][1:] != origins.of(location):
            origins.note(location, place, there)
        return _merge_objects(alike, location, origins)
    name = NAMED_LISTS.get(str(location[0])) if len(location) == 1 else None
    if name and isinstance(value, list) and len(alike) > 1:
        return _merge_named(alike, name, location, origins)
    origins.note(location, place, there)
    return value


def _merge_objects(nodes: list[_Node], location: Location, origins: Origins) -> dict[str, Any]:
    keys = dict.fromkeys(key for value, _, _ in reversed(nodes) for key in value)
    merged = {}
    for key in keys:
        said = [(value[key], place, (*there, key)) for value, place, there in nodes if key in value]
        # Null over a lower value removes the key: a serial port must not get a template's host.
        if said[0][0] is not None or len(said) == 1:
            merged[key] = _merge(said, (*location, key), origins)
    return merged


def _merge_named(nodes: list[_Node], name: str, location: Location, origins: Origins) -> list[Any]:
    """Merge lists by the names of their entries; entries without a name are kept as they are."""
    groups: dict[Any, list[_Node]] = {}
    for value, place, there in reversed(nodes):
        for index, entry in enumerate(value):
            node = (entry, place, (*there, index))
            named = entry.get(name) if isinstance(entry, Mapping) else None
            # Entries of one layer never merge with each other: the same name twice is an error.
            group: Any = (id(value), index)
            if isinstance(named, str) and not any(
                other_place is place for _, other_place, _ in groups.get(named, ())
            ):
                group = named
            groups.setdefault(group, []).insert(0, node)
    origins.note(location, *nodes[0][1:])
    return [
        _merge(group, (*location, index), origins) for index, group in enumerate(groups.values())
    ]
