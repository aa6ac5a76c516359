"""`dlms-connector watch`: the values of a meter, or the states of a fleet, as they change."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from dlms_connector.cli.chosen import chosen
from dlms_connector.cli.options import device_option, file_argument
from dlms_connector.cli.program import FAILED, USER_MISTAKE
from dlms_connector.cli.silent_log import silent_log
from dlms_connector.cli.state_folder import state_folder
from dlms_connector.cli.watch_table import Watched, Watching, fleet_table, meter_table
from dlms_connector.config import Device, load_file
from dlms_connector.errors import DlmsError
from dlms_connector.fleet import Fleet, MeterState
from dlms_connector.reading import Poll
from dlms_connector.state import NoPlace

#: How often the table is drawn, in seconds.
_DRAW_S = 0.5


@click.command("watch")
@file_argument
@device_option("Watch only this meter; repeatable.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
    help="End after this many seconds. [default: until Ctrl-C]",
)  # fmt: skip
@click.option(
    "--polls", type=click.IntRange(min=1), metavar="N",
    help="End when each meter was polled N times, or does not answer.",
)  # fmt: skip
def command(file: Path, names: Sequence[str], seconds: float | None, polls: int | None) -> None:
    """Poll the meters of FILE as the gateway does, and show what changes.

    One meter is shown with its values, several with their states, those in trouble first. Where
    the output is no terminal, each change is a line. Nothing is sent to the platform. A meter that
    takes one client at a time cannot be watched while the gateway polls it.

    Exit codes: 0 in the end all meters answered, 1 one did not, 2 what you wrote is wrong.
    """
    loaded = load_file(file)
    devices = [device for device in chosen(loaded, names) if device.is_polled]
    problems = () if names else loaded.every_problem
    for problem in problems:
        click.echo(problem, err=True)
    if not devices:
        raise click.UsageError("there is no meter to watch: none of them is polled")
    console = Console()
    watching = Watching(
        [Watched(device) for device in devices],
        say=(lambda line: None) if console.is_terminal else _say,
    )
    state_dir = state_folder(loaded, file, *devices)
    asyncio.run(_watch(watching, console, seconds, polls, state_dir))
    if problems:
        sys.exit(USER_MISTAKE)
    if any(one.state != "online" for one in watching.meters):
        sys.exit(FAILED)


class _Changes:
    """A sink that takes what the fleet tells into what is shown; `changed` is called after it."""

    def __init__(self, watching: Watching, changed: Callable[[], None]) -> None:
        self._watching, self._changed = watching, changed

    def polled(self, device: Device, poll: Poll) -> None:
        """Take the values of a poll."""
        self._watching.polled(device, poll, time.time())
        self._changed()

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        """Take a meter's state."""
        self._watching.state(device, state, error, time.time())
        self._changed()

    def history(self, *slice_: object) -> None:
        """Do nothing: without records no profile is read."""


async def _watch(
    watching: Watching,
    console: Console,
    seconds: float | None,
    polls: int | None,
    state_dir: Path | NoPlace | None,
) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def changed() -> None:
        if polls is not None and watching.were_polled(polls):
            stopped.set()

    devices = [one.device for one in watching.meters]
    sink = _Changes(watching, changed)
    fleet = Fleet(devices, sink, silent_log("watch"), state_dir=state_dir)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no signal handlers, and threads have none either.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stopped.set)
    tasks = [asyncio.ensure_future(fleet.run()), asyncio.ensure_future(stopped.wait())]
    if console.is_terminal:
        tasks.append(asyncio.ensure_future(_draw(watching, console)))
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_COMPLETED")
        for task in done:
            task.result()  # fleet and table end by themselves only with an error; raise it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _draw(watching: Watching, console: Console) -> None:
    """Draw the table until cancelled; its last state stays on the screen."""
    table = meter_table if len(watching.meters) == 1 else fleet_table
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(table(watching, time.time(), console.height), refresh=True)
                await asyncio.sleep(_DRAW_S)
        finally:
            live.update(table(watching, time.time(), console.height), refresh=True)


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
