"""`dlms-connector demo`: shows the connector at work, with nothing else installed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live

from dlms_connector.cli.program import FAILED
from dlms_connector.errors import DlmsError
from dlms_connector.hints import Symptom

if TYPE_CHECKING:
    from dlms_connector.demo import Scene

#: The duration without a terminal, where nobody can press Ctrl-C.
_SECONDS_UNWATCHED = 30.0
_REFRESH_S = 0.5
#: Seconds that a slow machine may need to start the gateway.
_START_S = 60.0
_NEEDED = ("mqtt5", "thingsboard_gateway")


class MissingExtraError(DlmsError):
    """Something that only the demo needs is not installed."""

    symptoms = (Symptom.EXTRA_MISSING,)
    facts = {"extra": "demo"}  # noqa: RUF012


@click.command("demo")
@click.option(
    "--meters", default=5, show_default=True, type=click.IntRange(1, 200), help="Number of meters."
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    help="Stop this many seconds after the gateway connected. By default it stops at Ctrl-C, "
    "or after 30 s if there is no terminal.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Also write the last table to this file, as an SVG picture.",
)
def command(meters: int, seconds: float | None, picture: Path | None) -> None:
    """Show the whole path from the meter to the platform on this machine.

    Simulated meters, the real gateway process with the connector, and a simulated platform
    are started. Values are shown as they arrive at the platform. Nothing is left behind.

    Exit code 0 if all values of every meter arrived, 1 if not.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"the demo needs {' and '.join(missing)}, not installed here")
    console = Console()
    if seconds is None and not console.is_terminal:
        seconds = _SECONDS_UNWATCHED
    if not asyncio.run(_show(console, meters, seconds, picture)):
        sys.exit(FAILED)


async def _show(console: Console, meters: int, seconds: float | None, picture: Path | None) -> bool:
    """Run the demo; true if the values of every meter arrived."""
    from dlms_connector.demo import stage

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    until = "until Ctrl-C" if seconds is None else f"for {seconds:g} s"
    console.print(
        f"starting {meters} simulated meter{'s' if meters != 1 else ''}, a stand-in for the "
        f"platform, and the real gateway process with the connector, {until} …"
    )
    started = monotonic()
    async with stage(meters) as scene:
        await _until(stop, started + _START_S, scene, lambda: scene.platform.sessions > 0)
        end = monotonic() + seconds if seconds else None
        if console.is_terminal:
            await _watch(console, stop, end, scene, started)
        else:
            await _list(console, stop, end, scene, started)
        if picture:
            _draw(picture, scene, started)
        return _report(scene)


async def _watch(
    console: Console, stop: asyncio.Event, end: float | None, scene: Scene, started: float
) -> None:
    """Keep a table up to date; the last one stays."""
    from dlms_connector.demo.board import board

    def refresh() -> bool:
        view = board(scene, time(), monotonic() - started, console.height)
        live.update(view, refresh=True)
        return False

    with Live(console=console, auto_refresh=False) as live:
        await _until(stop, end, scene, refresh)


async def _list(
    console: Console, stop: asyncio.Event, end: float | None, scene: Scene, started: float
) -> None:
    """Print the first value of each time series as a line, and the table at the end."""
    from dlms_connector.demo.board import board, line

    listed: set[tuple[str, str]] = set()

    def refresh() -> bool:
        for point in scene.points():
            if (point.device, point.key) not in listed:
                listed.add((point.device, point.key))
                click.echo(line(scene, point))
        return False

    await _until(stop, end, scene, refresh)
    console.print(board(scene, time(), monotonic() - started))


def _draw(file: Path, scene: Scene, started: float) -> None:
    """Write the table as a picture."""
    from dlms_connector.demo import board, picture

    view = board.board(scene, time(), monotonic() - started)
    file.write_text(picture.picture(view, "dlms-connector demo"), "utf-8")


async def _until(
    stop: asyncio.Event, end: float | None, scene: Scene, look: Callable[[], bool]
) -> None:
    """Call `look` until it returns true, `stop` is set, `end` is reached, or the gateway ends."""
    while not look() and not stop.is_set() and scene.gateway.running:
        if end is not None and monotonic() >= end:
            break
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), _REFRESH_S)


def _report(scene: Scene) -> bool:
    """Print the result; true if all values arrived."""
    missing = scene.missing()
    if scene.gateway.running and not missing:
        click.echo(f"the values of all {len(scene.devices)} meters arrived")
        return True
    if not scene.gateway.running:
        click.echo("the gateway process ended by itself")
    if missing:
        click.echo(f"not everything arrived of {', '.join(missing)}")
    click.echo("the end of the gateway's log:")
    click.echo("\n".join(scene.gateway.log().splitlines()[-20:]))
    return False
