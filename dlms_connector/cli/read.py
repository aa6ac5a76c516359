"""`dlms-connector read`: polls every meter once, and prints tables or JSON."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from dlms_connector.cli.at_meter import meter_over
from dlms_connector.cli.chosen import chosen
from dlms_connector.cli.options import device_option, file_argument
from dlms_connector.cli.program import FAILED, USER_MISTAKE
from dlms_connector.cli.read_formats import FORMATS, object_failures
from dlms_connector.cli.sent import as_sent, hints_of, items_of, text_of, unsent, with_hint
from dlms_connector.cli.state_folder import state_folder
from dlms_connector.cli.terminal import table_console
from dlms_connector.cli.tracing import trace_options, traces, writing
from dlms_connector.config import Device, load_file
from dlms_connector.errors import ConfigError, DlmsError
from dlms_connector.fleet import Reception
from dlms_connector.link import DialInLink, Link, make_link
from dlms_connector.meter import Outcome, Tap, wanted
from dlms_connector.protocol import make_client
from dlms_connector.reading import Poll
from dlms_connector.state import NoPlace

#: Most lines to read at the same time.
_AT_ONCE = 50


@click.command()
@file_argument
@device_option("Read only this meter; repeatable.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    default="table",
    show_default=True,
    help="Write a table, or for machines; decimals stay exact. `prometheus` is for the textfile "
    "collector of its node exporter.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@trace_options
def command(
    file: Path,
    names: Sequence[str],
    form: str,
    as_json: bool,
    trace: Path | None,
    trace_everything: bool,
) -> None:
    """Poll the meters of the configuration FILE once and show all their items.

    Exit codes: 0 everything was read, 1 a meter or an object could not be read or a unit
    could not be converted, 2 the configuration is wrong or has no such device.
    """
    if as_json and form not in ("table", "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other")
    loaded = load_file(file)
    devices = chosen(loaded, names)
    problems = () if names else loaded.every_problem
    for problem in problems:
        click.echo(problem, err=True)
    results: dict[str, tuple[Device, Outcome]] = {}

    def done(device: Device, outcome: Outcome) -> None:
        results[device.device_name] = device, outcome

    state_dir = state_folder(loaded, file, *devices)
    with writing(trace) as writers, Console(stderr=True).status("reading meters"):
        taps = traces(devices, writers, everything=trace_everything)
        asyncio.run(read_once(devices, done, state_dir=state_dir, taps=taps))
    # In the order of the configuration, not in that of the answers.
    ordered = [results[device.device_name] for device in devices]
    if as_json or form in FORMATS:
        click.echo(FORMATS["json" if as_json else form](ordered))
    else:
        _show(ordered)
    if problems:
        sys.exit(USER_MISTAKE)
    if any(_is_incomplete(*result) for result in ordered):
        sys.exit(FAILED)


async def read_once(
    devices: Sequence[Device],
    done: Callable[[Device, Outcome], None],
    *,
    state_dir: Path | NoPlace | None = None,
    log: logging.Logger | None = None,
    taps: Mapping[str, Tap] | None = None,
) -> None:
    """Poll every item of every device once and call `done`; meters of one line in turn.

    `taps` see what passes, by the names of devices, and are closed.

    Errors of a meter are in its outcome; nothing is raised.
    """
    lines: dict[str, list[Device]] = {}
    for device in devices:
        lines.setdefault(device.connection.endpoint, []).append(device)
    places = asyncio.Semaphore(_AT_ONCE)
    log = log or logging.getLogger(__name__)
    links: dict[str, Link] = {}
    reception = Reception(log, make_client, state_dir)
    for endpoint, members in lines.items():
        try:
            link = links[endpoint] = make_link(members[0].connection)
        except ConfigError as error:
            for device in members:
                done(device, Outcome(poll=Poll(readings=()), error=error))
            continue
        if isinstance(link, DialInLink):
            reception.expect(members, link)

    async def line(members: Sequence[Device], link: Link) -> None:
        if isinstance(link, DialInLink):
            await link.arrival(members[0].connection.connect_timeout_ms / 1000)
        async with places:
            await _read_line(members, link, done, state_dir, log, taps or {})

    receiving = asyncio.ensure_future(reception.run())
    try:
        await asyncio.gather(*(line(lines[endpoint], link) for endpoint, link in links.items()))
    finally:
        receiving.cancel()
        await reception.close()


async def _read_line(
    devices: Sequence[Device],
    link: Link,
    done: Callable[[Device, Outcome], None],
    state_dir: Path | NoPlace | None,
    log: logging.Logger,
    taps: Mapping[str, Tap],
) -> None:
    try:
        for device in devices:
            meter = meter_over(link, device, state_dir, log)
            tap = taps.get(device.device_name)
            meter.session.trace(tap)
            outcome = await meter.poll(wanted(device))
            await meter.session.release()
            if tap is not None:
                tap.close()
            done(device, outcome)
    finally:
        await link.close()


def _is_incomplete(device: Device, outcome: Outcome) -> bool:
    """Whether a configured item would not reach the platform."""
    lacking = outcome.error or outcome.poll.failures or any(unsent(device, outcome.poll))
    return bool(lacking)


def _show(results: Sequence[tuple[Device, Outcome]]) -> None:
    console = table_console()
    for device, outcome in results:
        if outcome.poll.readings or not outcome.error:
            console.print(_table(device, outcome))
        for hint in hints_of(object_failures(outcome)):
            click.echo(f"{device.device_name}: hint: {hint}", err=True)
        for reading, why in unsent(device, outcome.poll):
            click.echo(f"{device.device_name}: {reading.key} ({reading.obis}) {why}", err=True)
        if outcome.error:
            click.echo(f"{device.device_name}: {with_hint(outcome.error)}", err=True)


def _table(device: Device, outcome: Outcome) -> Table:
    """Return a meter's readings as a table; long values are folded, as a cut number is wrong.

    Names come from the user and may look like Rich markup: they are added as Text.
    """
    items = items_of(device)
    table = Table(title=Text(device.device_name), title_justify="left")
    for heading in ("key", "object", "value", "unit"):
        justify: JustifyMethod = "right" if heading == "value" else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for reading in outcome.poll.readings:
        value, unit = as_sent(reading, items[reading.kind, reading.key])
        shown = Text(text_of(value), "yellow" if reading.quality == "suspect" else "")
        table.add_row(Text(reading.key), Text(str(reading.obis)), shown, Text(unit or ""))
    for failure in object_failures(outcome):
        sentence = Text(_sentence(failure.error), "red")
        table.add_row(Text(failure.key), Text(str(failure.obis)), sentence, Text())
    return table


def _sentence(error: DlmsError) -> str:
    return str(error).removeprefix("reading ")
