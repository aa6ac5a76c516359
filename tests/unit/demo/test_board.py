"""What the demo shows."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from rich.console import Console

from dlms_connector.demo.board import board, line, status
from dlms_connector.demo.platform_server import Platform
from dlms_connector.demo.scene import Scene

NOW_S = 1_790_000_000.0


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    """Two meters with two time series each; nothing has arrived yet."""
    async with Platform({}) as platform:
        gateway = cast(Any, SimpleNamespace(pid=4711))
        units = {
            (device, key): unit for device in ("A", "B") for key, unit in (("i", "A"), ("v", "V"))
        }
        yield Scene(platform, gateway, units)


def arrive(scene: Scene, device: str, age_s: float, **values: Any) -> None:
    scene.platform.store.add_telemetry(device, int((NOW_S - age_s) * 1000), values)


def text(scene: Scene, height: int | None = None) -> list[str]:
    """Return the lines of the board, without the characters that draw the table."""
    console = Console(file=io.StringIO(), width=100)
    console.print(board(scene, NOW_S, 12.3, height))
    printed = cast(io.StringIO, console.file).getvalue()
    rows = [
        " ".join(row.replace("│", " ").replace("┃", " ").split()) for row in printed.splitlines()
    ]
    return [row for row in rows if row.strip("━─╇┿╋┳┏┓┡┩├┼┤└┴┘ ")]


async def test_the_latest_values_with_unit_and_age(scene: Scene) -> None:
    arrive(scene, "A", 9, v=1)
    arrive(scene, "A", 2, v=230.1)
    arrive(scene, "A", 2.5, i=4)
    arrive(scene, "B", -0.5, v=229)
    arrive(scene, "A", 1, dlmsPollMs=5)
    arrive(scene, "Gateway", 1, errors=0)
    assert text(scene)[:-1] == [
        "What arrived at the platform",
        "device key value unit age",
        "A i 4 A 2.5 s",
        "v 230.1 V 2.0 s",
        "B v 229 V 0.0 s",
    ]


@pytest.mark.parametrize(
    ("height", "shown"), [(40, 4), (12, 4), (11, 3), (10, 2), (9, 2), (8, 1), (1, 1)]
)
async def test_rows_beyond_the_height_are_counted(scene: Scene, height: int, shown: int) -> None:
    for device in ("A", "B"):
        arrive(scene, device, 1, v=1, i=2)
    lines = text(scene, height)
    assert len([row for row in lines if row.endswith("1.0 s")]) == shown
    assert (f"… and {4 - shown} more" in lines) is (shown < 4)


async def test_the_status_line(scene: Scene) -> None:
    arrive(scene, "A", 1, v=1)
    scene.platform.store.set_attributes("A", "client", {"dlmsState": "online"})
    scene.platform.store.set_attributes("B", "client", {"dlmsState": "offline"})
    assert status(scene, 12.3) == (
        "12 s · gateway process 4711 · 0 MQTT sessions · 1 of 2 meters online"
        " · 0 messages · 1 values"
    )


async def test_a_value_as_a_line(scene: Scene) -> None:
    arrive(scene, "A", 1, v=230.1)
    assert [line(scene, point) for point in scene.points()] == ["A  v = 230.1 V"]


async def test_a_meter_is_missing_until_every_time_series_arrived(scene: Scene) -> None:
    assert scene.devices == scene.missing() == ["A", "B"]
    arrive(scene, "A", 1, v=1, i=1)
    arrive(scene, "B", 1, v=1)
    assert scene.missing() == ["B"]
