"""`dlms-connector profile`: rows of a load profile as a table, a chart, or a file."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dlms_connector.cli.at_meter import at_meter
from dlms_connector.cli.chosen import chosen, offered
from dlms_connector.cli.moments import moment
from dlms_connector.cli.options import file_argument
from dlms_connector.cli.profile_outputs import Outputs
from dlms_connector.cli.profile_rows import RangeError, Rows, Told, read_last, read_range
from dlms_connector.cli.profile_shown import tell
from dlms_connector.cli.program import INTERRUPTED
from dlms_connector.cli.state_folder import state_folder
from dlms_connector.cli.tracing import trace_options, traces, writing
from dlms_connector.config import Device, Loaded, Profile, load_file
from dlms_connector.errors import DlmsError
from dlms_connector.history import ProfileReader
from dlms_connector.obis import Obis
from dlms_connector.state import NoPlace
from dlms_connector.tracing import Trace

#: Rows that are read without `--from` and `--last`: a day of quarters.
_LAST = 96
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("profile")
@file_argument
@click.option(
    "--device",
    "name",
    metavar="NAME",
    shell_complete=offered,
    help="The meter; may be left out if there is only one.",
)
@click.option(
    "--obis",
    metavar="O",
    help="The profile, such as 1-0:99.1.0; may be left out if the meter has only one configured.",
)
@click.option(
    "--from",
    "start",
    metavar="T",
    help="First moment, ISO 8601; without an offset in the zone of the meter's clock.",
)
@click.option("--to", "end", metavar="T", help="End, not included; without it the newest row.")
@click.option(
    "--last",
    "count",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help=f"The newest N rows instead of a range. [default: {_LAST}]",
)
@click.option("--csv", "csv_file", type=_FILE, metavar="F", help="Write a CSV file.")
@click.option(
    "--parquet",
    "parquet_file",
    type=_FILE,
    metavar="F",
    help="Write a Parquet file (needs the extra [parquet]).",
)
@click.option(
    "--plot",
    "plot_file",
    type=_FILE,
    metavar="F.png",
    help="Draw into a PNG, SVG or PDF file (needs the extra [plot]).",
)
@click.option("--chart", is_flag=True, help="Draw in the terminal (needs the extra [chart]).")
@click.option("--json", "json_wanted", is_flag=True, help="Write JSON; decimals stay exact.")
@trace_options
def command(
    file: Path,
    name: str | None,
    obis: str | None,
    start: str | None,
    end: str | None,
    count: int | None,
    csv_file: Path | None,
    parquet_file: Path | None,
    plot_file: Path | None,
    chart: bool,
    json_wanted: bool,
    trace: Path | None,
    trace_everything: bool,
) -> None:
    """Read rows of a load profile, a billing profile or an event log of one meter of FILE.

    They are shown as a table unless a file, a chart or JSON is asked for. Keys and values are
    those that the platform gets; times are in the zone of the meter, with their offset. Nothing
    is recorded or sent. Ctrl-C ends the reading and keeps what has come.

    Exit codes: 0 all was read, also if the meter holds no row, 1 the meter or the profile could
    not be read to the end (what came before is written), 2 what you wrote is wrong, 130
    interrupted.
    """
    if start is not None and count is not None:
        raise click.UsageError("--from and --last exclude each other")
    if end is not None and start is None:
        raise click.UsageError("--to needs --from")
    since = moment(start, "--from") if start is not None else None
    until = moment(end, "--to") if end is not None else None
    outputs = Outputs(
        csv=csv_file, parquet=parquet_file, plot=plot_file, chart=chart, json=json_wanted
    )
    outputs.check()
    loaded = load_file(file)
    device = _device(loaded, name)
    rows = Rows(ProfileReader(device, _profile(device, obis)))
    folder = state_folder(loaded, file, device)
    with writing(trace) as writers:
        tap = traces([device], writers, everything=trace_everything).get(device.device_name)
        error = _read(rows, since, until, count or _LAST, folder, tap)
    if rows or error is None:
        outputs.write(rows)
    tell(rows, error)
    if isinstance(error, DlmsError):
        raise error
    if error is not None:
        sys.exit(INTERRUPTED)


def _device(loaded: Loaded, name: str | None) -> Device:
    devices = chosen(loaded, [] if name is None else [name])
    if len(devices) != 1:
        there_are = ", ".join(one.device_name for one in devices) or "no usable devices"
        raise click.BadParameter(f"say which; there are: {there_are}", param_hint="--device")
    (device,) = devices
    if not device.is_polled:
        raise click.BadParameter(
            f"{device.device_name} only pushes: it cannot be asked", param_hint="--device"
        )
    return device


def _profile(device: Device, obis: str | None) -> Profile:
    """Return the profile with its settings; one that is not configured has none."""
    known = {one.obis: one for one in device.profiles}
    if obis is None:
        if len(known) == 1:
            return next(iter(known.values()))
        configured = ", ".join(map(str, known)) or "none; a load profile is often 1-0:99.1.0"
        raise click.BadParameter(
            f"say which; configured of {device.device_name}: {configured}", param_hint="--obis"
        )
    try:
        code = Obis.parse(obis)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--obis") from None
    return known.get(code) or Profile.model_validate({"obis": str(code)})


def _read(
    rows: Rows,
    since: datetime | None,
    until: datetime | None,
    count: int,
    state_dir: Path | NoPlace | None,
    tap: Trace | None,
) -> DlmsError | KeyboardInterrupt | None:
    """Read; return what ended it before its time."""
    device = rows.reader.device
    log = logging.getLogger(__name__)

    async def read(told: Told) -> None:
        async with at_meter(device, state_dir, log) as meter:
            meter.session.trace(tap)
            if since is not None:
                await read_range(meter, rows, since, until, told)
            else:
                await read_last(meter, rows, count, told)

    try:
        with _progress(f"{device.device_name} {rows.reader.profile.obis}") as told:
            asyncio.run(read(told))
    except (DlmsError, KeyboardInterrupt) as error:
        return error
    except RangeError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None
    finally:
        if tap is not None:
            tap.close()
    return None


@contextmanager
def _progress(what: str) -> Iterator[Told]:
    """Show how much is done, the rows, and the time left, on a terminal only."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]} rows"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=1.0, rows=0)
        yield lambda part, rows: bar.update(task, completed=part, rows=rows)
