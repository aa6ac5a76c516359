"""The display of the demo: the telemetry at the platform, and the status below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dlms_connector.demo.platform_store import Point
from dlms_connector.demo.scene import Scene
from dlms_connector.platform_keys import STATE

#: Lines that the table needs besides its rows, including the status below it.
_FRAME_LINES = 7


def board(scene: Scene, now_s: float, elapsed_s: float, height: int | None = None) -> Group:
    """Return the table with the status below it; `now_s` is Unix time.

    With a height, rows that do not fit are counted instead of shown.
    """
    points = scene.points()
    shown = points if height is None else _fitting(points, height - _FRAME_LINES)
    parts: list[Table | Text] = [_table(scene, shown, now_s)]
    if hidden := len(points) - len(shown):
        parts.append(Text(f"… and {hidden} more", style="dim"))
    return Group(*parts, Text(status(scene, elapsed_s)))


def _fitting(points: Sequence[Point], lines: int) -> Sequence[Point]:
    """Return the points that fit in `lines`; one line separates two devices."""
    for count, _ in enumerate(points):
        devices = {point.device for point in points[: count + 1]}
        if count + len(devices) > max(1, lines):
            return points[:count]
    return points


def _table(scene: Scene, points: Sequence[Point], now_s: float) -> Table:
    table = Table(title="What arrived at the platform", title_justify="left")
    for heading in ("device", "key"):
        table.add_column(heading)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("age", justify="right")
    names = [point.device for point in points]
    for point, before, after in zip(points, ["", *names], [*names[1:], ""], strict=False):
        table.add_row(
            point.device if point.device != before else "",
            point.key,
            str(point.value),
            scene.units[point.device, point.key],
            f"{max(0.0, now_s - point.ts / 1000):.1f} s",
            end_section=point.device != after,
        )
    return table


def line(scene: Scene, point: Point) -> str:
    """Return a value as a line of plain text."""
    return f"{point.device}  {point.key} = {point.value} {scene.units[point.device, point.key]}"


def status(scene: Scene, elapsed_s: float) -> str:
    """Return the status in one line."""
    platform = scene.platform
    states = [platform.store.attributes(name).get(STATE.name) for name in scene.devices]
    return " · ".join(
        (
            f"{elapsed_s:.0f} s",
            f"gateway process {scene.gateway.pid}",
            _many(platform.connects, "MQTT session"),
            f"{states.count('online')} of {_many(len(scene.devices), 'meter')} online",
            f"{platform.messages} messages",
            f"{platform.store.count()} values",
        )
    )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
