"""`dlms-connector demo`: the main job at work, with nothing else installed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dlms_connector.errors import ConfigError

if TYPE_CHECKING:
    from dlms_connector.demo.scene import Scene

#: Without a terminal there is nobody to press Ctrl-C.
_SECONDS_UNWATCHED = 30.0
_REFRESH_S = 0.5


@click.command("demo", help="Show the whole way at work on this machine.")
@click.option("--meters", default=5, show_default=True, type=click.IntRange(1, 200))
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    help="Stop after so long; by default at Ctrl-C, or after 30 s without a terminal.",
)
def command(meters: int, seconds: float | None) -> None:
    """Start simulated meters, the real gateway and a stand-in for the platform."""
    for module in ("mqtt5", "thingsboard_gateway"):
        if importlib.util.find_spec(module) is None:
            raise ConfigError(
                f"the demo needs {module}; pip install 'thingsboard-dlms-connector[demo]'"
            )
    console = Console()
    if seconds is None and not console.is_terminal:
        seconds = _SECONDS_UNWATCHED
    if not asyncio.run(_show(console, meters, seconds)):
        sys.exit(1)


@dataclass
class _Status:
    """What the line under the table says."""

    started: float
    scene: Scene

    def __str__(self) -> str:
        platform = self.scene.platform
        accepted = len(platform.journal.select("Connect"))
        sessions = f"{accepted} MQTT session{'s' if accepted != 1 else ''}"
        return (
            f"{monotonic() - self.started:.0f} s · gateway process {self.scene.gateway.pid} · "
            f"{sessions} · {len(platform.store.devices())} devices · "
            f"{platform.store.count()} values at the platform"
        )


async def _show(console: Console, meters: int, seconds: float | None) -> bool:
    """Run the demo; true if values of every meter arrived."""
    from dlms_connector.demo.scene import stage

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(name, stop.set)
    console.print(
        f"starting {meters} simulated meter{'s' if meters != 1 else ''}, a stand-in for the "
        "platform, and the real gateway process with the connector …"
    )
    async with stage(meters) as scene:
        status = _Status(monotonic(), scene)
        end = monotonic() + seconds if seconds else None
        if console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                await _until(stop, end, scene, lambda: live.update(_view(scene, status), refresh=True))
        else:
            await _until(stop, end, scene, lambda: None)
            console.print(_view(scene, status))
        return _report(console, scene)


async def _until(
    stop: asyncio.Event, end: float | None, scene: Scene, refresh: Callable[[], None]
) -> None:
    """Refresh until told to stop, until the time is over, or until the gateway is gone."""
    while not stop.is_set() and scene.gateway.running and (end is None or monotonic() < end):
        refresh()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), _REFRESH_S)
    refresh()


def _view(scene: Scene, status: _Status) -> Group:
    from dlms_connector.demo.scene import UNITS

    table = Table(title="What arrived at the platform")
    for heading in ("device", "key"):
        table.add_column(heading)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("age", justify="right")
    now_ms, last = time() * 1000, ""
    for point in scene.platform.store.latest():
        if point.device not in scene.devices or point.key not in UNITS:
            continue
        table.add_row(
            point.device if point.device != last else "",
            point.key,
            str(point.value),
            UNITS[point.key],
            f"{(now_ms - point.ts) / 1000:.1f} s",
            end_section=point.key == max(UNITS),
        )
        last = point.device
    return Group(table, Text(str(status)))


def _report(console: Console, scene: Scene) -> bool:
    """Say how it went; true if all is well."""
    arrived = {point.device for point in scene.platform.store.latest()}
    silent = [name for name in scene.devices if name not in arrived]
    if not silent:
        console.print(f"values of all {len(scene.devices)} meters arrived")
        return True
    console.print(f"nothing arrived of {', '.join(silent)}; the end of the gateway's log:")
    console.print("\n".join(scene.gateway.log().splitlines()[-20:]), markup=False)
    return False
