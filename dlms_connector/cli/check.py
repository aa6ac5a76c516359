"""`dlms-connector check`: lists all problems of a configuration at once."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from dlms_connector.cli.options import file_argument
from dlms_connector.cli.program import FAILED, USER_MISTAKE
from dlms_connector.cli.sent import hints_of, unsent, with_hint
from dlms_connector.cli.silent_log import silent_log
from dlms_connector.cli.state_folder import state_folder
from dlms_connector.cli.tracing import trace_options, traces, writing
from dlms_connector.config import Configuration, Device, Loaded, load_file
from dlms_connector.errors import DlmsError
from dlms_connector.meter import wanted
from dlms_connector.state import NoPlace
from dlms_connector.tracing import Trace


@click.command()
@file_argument
@click.option("--connect", is_flag=True, help="Also poll every meter once.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --connect: how long to wait for all meters.",
)
@trace_options
def command(
    file: Path, connect: bool, timeout_s: float, trace: Path | None, trace_everything: bool
) -> None:
    """Validate the configuration FILE and list every problem with its path.

    Secrets are looked up as in the connector: their environment variables must be set
    here too. Exit codes: 0 no problem, 1 a meter could not be read (with --connect), 2 the
    configuration is wrong.
    """
    if trace is not None and not connect:
        raise click.UsageError("--trace goes with --connect")
    progress = _Progress(sys.stderr)
    try:
        loaded = load_file(file, checked=progress.show)
    finally:
        progress.clear()
    for problem in loaded.every_problem:
        click.echo(problem, err=True)
    for note in loaded.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(_summary(loaded))
    failed = False
    if connect and (devices := loaded.configuration.devices):
        with writing(trace) as writers:
            polled = [device for device in devices if device.is_polled]
            taps = traces(polled, writers, everything=trace_everything)
            state_dir = state_folder(loaded, file, *polled)
            failed = not asyncio.run(_read_all(loaded.configuration, timeout_s, state_dir, taps))
    if loaded.every_problem:
        sys.exit(USER_MISTAKE)
    if failed:
        sys.exit(FAILED)


class _Progress:
    """How many meters of a large fleet were checked, in one line of a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._shown = 0

    def show(self, count: int) -> None:
        """Write the count over the one before; a file or a pipe gets none."""
        if self._terminal.isatty():
            text = f"{count} devices checked …"
            self._terminal.write(f"\r{text}")
            self._terminal.flush()
            self._shown = len(text)

    def clear(self) -> None:
        """Remove the line, so that the results stand alone."""
        if self._shown:
            self._terminal.write("\r" + " " * self._shown + "\r")
            self._terminal.flush()


def _summary(loaded: Loaded) -> str:
    devices = loaded.configuration.devices
    lines = Counter(device.connection.endpoint for device in devices if device.is_polled)
    text = f"{_count(len(devices), 'device')} on {_count(len(lines), 'line')}"
    if loaded.share is not None and loaded.share.count > 1:
        text += f", share {loaded.share} of the fleet; {len(loaded.elsewhere)} are of others"
    if pushing := sum(not device.is_polled for device in devices):
        text += f", {pushing} of them only push"
    if loaded.refused:
        text += f", {len(loaded.refused)} refused"
    if loaded.every_problem:
        text += f"; {_count(len(loaded.every_problem), 'problem')}"
    shared = [f"  {line}: {count} devices" for line, count in lines.items() if count > 1]
    return "\n".join([text, *shared])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


class _FirstAnswers:
    """A sink that waits for one poll of every meter, successful or not."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.waiting = {device.device_name for device in devices if device.is_polled}
        self.failed: set[str] = set()
        self.done = asyncio.Event()
        for device in devices:
            if not device.is_polled:
                click.echo(f"{device.device_name}: only pushes, so it was not asked")
        if not self.waiting:
            self.done.set()

    def polled(self, device: Device, poll: Any) -> None:
        """Print the result of a meter's first poll."""
        read, failures = len(poll.readings), poll.failures
        text = f"{device.device_name}: {_count(read, 'value')} read"
        for failure in failures:
            text += f"\n  {failure.key} ({failure.obis}): {failure.error}"
        text += "".join(f"\n  hint: {hint}" for hint in hints_of(failures))
        kept_back = list(unsent(device, poll))
        for reading, why in kept_back:
            text += f"\n  {reading.key} ({reading.obis}) {why}"
        self._answered(device, text, good=not (failures or kept_back))

    def state(self, device: Device, state: str, error: DlmsError | None) -> None:
        """Print why a meter does not answer, or that it answers but has nothing to read."""
        if state == "online" and not wanted(device):
            text = f"{device.device_name}: answers; nothing to read is configured"
            self._answered(device, text, good=True)
        if error is not None:
            text = f"{device.device_name}: {state}: {with_hint(error)}"
            self._answered(device, text, good=False)

    def history(self, *slice_: object) -> None:
        """Do nothing: without records no profile is read."""

    def _answered(self, device: Device, text: str, *, good: bool) -> None:
        if device.device_name not in self.waiting:
            return
        self.waiting.discard(device.device_name)
        click.echo(text, err=not good)
        if not good:
            self.failed.add(device.device_name)
        if not self.waiting:
            self.done.set()


async def _read_all(
    configuration: Configuration,
    timeout_s: float,
    state_dir: Path | NoPlace | None,
    taps: Mapping[str, Trace],
) -> bool:
    """Poll every meter once; true if all of them answered completely."""
    from dlms_connector.fleet import Fleet

    sink = _FirstAnswers(configuration.devices)
    fleet = Fleet(
        configuration.devices,
        sink,
        silent_log("check"),
        state_dir=state_dir,
        groups=configuration.groups,
    )
    for name, tap in taps.items():
        fleet.trace(name, tap)
    running = asyncio.create_task(fleet.run())
    finished = asyncio.create_task(sink.done.wait())
    await asyncio.wait({running, finished}, timeout=timeout_s, return_when="FIRST_COMPLETED")
    if running.done():
        running.result()  # a fleet ends by itself only with an error; raise it
    for task in (finished, running):
        task.cancel()
    await asyncio.gather(running, finished, return_exceptions=True)
    for name in sorted(sink.waiting):
        click.echo(
            f"{name}: no answer within {timeout_s:g} s\n  hint: --timeout waits longer; "
            f"dlms-connector read --device asks this meter alone",
            err=True,
        )
    return not sink.waiting and not sink.failed
