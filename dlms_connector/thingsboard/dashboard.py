"""Lays widgets out on a dashboard: rows of tiles on a grid of 24 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from dlms_connector.thingsboard.widgets import DAY_MS, Alias, Json, Widget, timewindow

COLUMNS = 24
_HOUR_MS = 3_600_000
_SPACE = UUID("6b0a2f6c-8d0e-4e0b-9f86-6d5c1f3f7a10")


def stable_id(*names: str) -> str:
    """Return an id that is always the same for the same names: files change only with content."""
    return str(uuid5(_SPACE, "/".join(names)))


@dataclass(frozen=True, slots=True)
class Tile:
    """A widget and its size in cells of the grid."""

    widget: Widget
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class State:
    """A page of a dashboard: bands of tiles from left to right, one below the other.

    A band is as high as its highest tile. A list of tiles in a band is a column.
    """

    id: str
    name: str
    bands: Sequence[Sequence[Tile | Sequence[Tile]]]


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition for the devices of an alias."""

    id: str
    name: str
    key_filters: Sequence[Mapping[str, Any]]


def dashboard(
    title: str,
    description: str,
    states: Sequence[State],
    aliases: Sequence[Alias],
    filters: Sequence[Filter] = (),
) -> Json:
    """Return a dashboard as it is imported; the first state is the one that opens."""
    widgets: Json = {}
    pages: Json = {}
    for number, state in enumerate(states):
        placed: Json = {}
        for n, (tile, column, row) in enumerate(_places(state.bands)):
            widget_id = stable_id(title, state.id, str(n))
            place = {"sizeX": tile.width, "sizeY": tile.height, "row": row, "col": column}
            placed[widget_id] = place
            widgets[widget_id] = {
                "typeFullFqn": tile.widget.fqn,
                "type": tile.widget.kind,
                **place,
                "id": widget_id,
                "config": tile.widget.config,
            }
        pages[state.id] = {
            "name": state.name,
            "root": number == 0,
            "layouts": {"main": {"widgets": placed, "gridSettings": _grid()}},
        }
    return {
        "title": title,
        "image": None,
        "mobileHide": False,
        "mobileOrder": None,
        "configuration": {
            "description": description,
            "widgets": widgets,
            "states": pages,
            "entityAliases": {
                each.id: {"id": each.id, "alias": each.name, "filter": dict(each.filter)}
                for each in aliases
            },
            "filters": {
                each.id: {
                    "id": each.id,
                    "filter": each.name,
                    "keyFilters": [dict(one) for one in each.key_filters],
                    "editable": False,
                }
                for each in filters
            },
            "timewindow": timewindow(DAY_MS, _HOUR_MS // 12, "AVG"),
            "settings": {
                "stateControllerId": "entity",
                "showTitle": False,
                "showDashboardsSelect": True,
                "showEntitiesSelect": True,
                "showDashboardTimewindow": True,
                "showDashboardExport": True,
                "toolbarAlwaysOpen": True,
            },
        },
    }


def _places(
    bands: Sequence[Sequence[Tile | Sequence[Tile]]],
) -> list[tuple[Tile, int, int]]:
    """Return each tile with its column and row."""
    found, row = [], 0
    for band in bands:
        column, height = 0, 0
        for part in band:
            stack = [part] if isinstance(part, Tile) else part
            down = 0
            for tile in stack:
                found.append((tile, column, row + down))
                down += tile.height
            column += max(tile.width for tile in stack)
            height = max(height, down)
        if column > COLUMNS:
            raise ValueError(f"a band is {column} cells wide, not {COLUMNS}")
        row += height
    return found


def _grid() -> Json:
    return {
        "layoutType": "default",
        "backgroundColor": "#eeeeee",
        "columns": COLUMNS,
        "margin": 8,
        "outerMargin": True,
        "backgroundSizeMode": "100%",
        "autoFillHeight": False,
        "mobileAutoFillHeight": False,
        "mobileRowHeight": 70,
    }
