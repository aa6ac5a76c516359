"""`dlms-connector completeness`: how complete the rows of profiles are on the platform."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from dlms_connector.cli.chosen import named
from dlms_connector.cli.moments import moment
from dlms_connector.cli.options import device_option, file_argument
from dlms_connector.cli.program import FAILED, USER_MISTAKE
from dlms_connector.cli.terminal import table_console
from dlms_connector.config import Device, load_file
from dlms_connector.errors import ConfigError, DlmsError
from dlms_connector.interpret import options_of
from dlms_connector.records import REASONS, DayCount, Ledger, RecordsError, Source, reading
from dlms_connector.state import NoPlace, commands_folder

#: The file in the folder of the gateway's state.
_FILE = "records.sqlite"
#: Days that are shown without `--from`.
_DAYS = 31
_COUNTS = ("expected", "held", "sent", "confirmed")


@dataclass(frozen=True, slots=True)
class _Line:
    """A local day of a profile; None where nothing was read of it ever."""

    device: str
    profile: str
    count: DayCount | None

    def as_json(self) -> dict[str, object]:
        line: dict[str, object] = {"device": self.device, "profile": self.profile}
        if self.count is None:
            return line | {"error": "nothing was read yet"}
        counts = {name: getattr(self.count, name) for name in _COUNTS}
        day = self.count.day.isoformat()
        return line | {"day": day, **counts, "missing": dict(self.count.missing)}


@click.command()
@file_argument
@device_option("Only this meter; repeatable.")
@click.option(
    "--from", "start", metavar="T", help="First day, or moment (ISO 8601); the last 31 days."
)
@click.option("--to", "end", metavar="T", help="End, not included; the beginning of today.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, one object for each day.")
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
    help="Write the days to a CSV file.",
)  # fmt: skip
def command(
    file: Path,
    names: Sequence[str],
    start: str | None,
    end: str | None,
    as_json: bool,
    csv_file: Path | None,
) -> None:
    """Count the intervals of the profiles of FILE, day by day: expected, confirmed, missing.

    Reads what the gateway has recorded, also while it runs. Exit codes: 0 all intervals are
    confirmed, 1 some are missing or there are no records, 2 what you wrote is wrong.
    """
    loaded = load_file(file)
    devices = named(loaded, names) if names else loaded.configuration.devices
    problems = () if names else loaded.every_problem
    for problem in problems:
        click.echo(problem, err=True)
    folder = commands_folder(loaded.configuration.state_directory, file.resolve().parent)
    if isinstance(folder, NoPlace):
        raise DlmsError(f"the records are not found: {folder.problem}; {folder.hint}")
    if folder is None:
        raise ConfigError("the records are not found: set stateDirectory, or HOME")
    try:
        with reading(folder / _FILE) as ledger:
            lines = [line for one in devices for line in _lines(ledger, one, start, end)]
    except RecordsError as error:
        raise DlmsError(str(error)) from error
    if csv_file is not None:
        _write_csv(csv_file, lines)
    if as_json:
        click.echo(json.dumps([line.as_json() for line in lines], indent=2, ensure_ascii=False))
    elif csv_file is None:
        _show(lines)
    if problems:
        sys.exit(USER_MISTAKE)
    if any(line.count is None or line.count.gaps for line in lines):
        sys.exit(FAILED)


def _lines(ledger: Ledger, device: Device, start: str | None, end: str | None) -> Iterator[_Line]:
    """Yield the days of a device's profiles: those configured, and those recorded before."""
    name = device.device_name
    zone = options_of(device.dlms).zone or timezone.utc
    sources = [Source(name, profile.obis) for profile in device.profiles]
    sources += [one for one in ledger.sources(name) if one not in sources]
    today = datetime.combine(datetime.now(zone).date(), time(), zone)
    for source in sources:
        begins = ledger.begins(source)
        if begins is None:
            yield _Line(name, str(source.profile), None)
            continue
        # Without a whole day of it, what there is of today.
        whole = today if begins < _ms(today) else datetime.now(zone)
        until = _ms(_moment(end, "--to", zone) if end else whole)
        since = _ms(_moment(start, "--from", zone) if start else today - timedelta(days=_DAYS))
        # The day on which reading began need not be whole.
        since = since if start else max(since, begins)
        if start and until <= since:
            raise click.BadParameter("it is not before the end", param_hint="--from")
        for count in ledger.completeness(source, since, until, zone):
            yield _Line(name, str(source.profile), count)


def _moment(text: str, option: str, zone: tzinfo) -> datetime:
    told = moment(text, option)
    return told if told.tzinfo else told.replace(tzinfo=zone)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _reasons(count: DayCount) -> str:
    shown = ", ".join(f"{number} {reason}" for reason, number in count.missing.items())
    return f"{shown} ({count.why})" if count.why else shown


def _show(lines: Sequence[_Line]) -> None:
    table = Table()
    for heading in ("device", "profile", "day"):
        table.add_column(heading, overflow="fold")
    for heading in _COUNTS:
        table.add_column(heading, justify="right")
    table.add_column("missing", overflow="fold")
    for line in lines:
        count = line.count
        if count is None:
            missing = Text("nothing was read yet", "red")
            table.add_row(Text(line.device), line.profile, *[""] * 5, missing)
            continue
        table.add_row(
            Text(line.device), line.profile, count.day.isoformat(),
            *(str(getattr(count, name)) for name in _COUNTS),
            Text(_reasons(count), "red" if count.gaps else ""),
        )  # fmt: skip
    table_console().print(table)


def _write_csv(path: Path, lines: Sequence[_Line]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["device", "profile", "day", *_COUNTS, "missing", *REASONS])
        for line in lines:
            if (count := line.count) is None:
                writer.writerow([line.device, line.profile])
                continue
            counts = [getattr(count, name) for name in _COUNTS]
            reasons = [count.missing.get(reason, 0) for reason in REASONS]
            day = count.day.isoformat()
            writer.writerow([line.device, line.profile, day, *counts, count.gaps, *reasons])
