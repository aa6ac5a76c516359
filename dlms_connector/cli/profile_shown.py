"""Shows the rows of a profile in the terminal: as a table, as charts, and what they do not show."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from dlms_connector.cli.profile_files import heading
from dlms_connector.cli.profile_plots import charts
from dlms_connector.cli.profile_rows import Rows
from dlms_connector.cli.sent import text_of
from dlms_connector.cli.terminal import table_console

#: Columns of the terminal for a chart at most: wider ones are not easier to read.
_CHART_WIDTH = 120


def show(rows: Rows) -> None:
    """Write the rows as a table."""
    columns, reader = list(rows.columns.values()), rows.reader
    title = Text(f"{reader.device.device_name} {reader.profile.obis}")
    table = Table(title=title, title_justify="left")
    table.add_column("time", overflow="fold", no_wrap=True)
    for one in columns:
        table.add_column(Text(heading(one)), justify="right", overflow="fold")
    for line in rows.lines:
        cells = [line.values.get(one.key) for one in columns]
        table.add_row(
            line.at.isoformat(),
            *(
                Text(
                    "" if cell is None else text_of(cell),
                    "yellow" if one.key in line.suspect else "",
                )
                for one, cell in zip(columns, cells, strict=True)
            ),
        )
    table_console().print(table)


def draw(rows: Rows) -> None:
    """Write a chart for each column with numbers."""
    console = table_console()
    width = min(console.width, _CHART_WIDTH)
    drawn = False
    for text in charts(rows, width, colour=console.is_terminal and not console.no_color):
        click.echo(text)
        drawn = True
    if not drawn:
        click.echo("nothing to draw: no row has a number with a unit", err=True)


def tell(rows: Rows, error: BaseException | None) -> None:
    """Say on stderr what the rows do not show."""
    for remark in rows.remarks:
        click.echo(f"note: {remark}", err=True)
    name, profile = rows.reader.device.device_name, rows.reader.profile.obis
    if error is not None:
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else "ended early"
        count = len(rows.lines)
        click.echo(f"{what}: {name}, {profile}: {count} rows were read before", err=True)
    elif not rows:
        click.echo(f"{name}: {profile} has no such rows", err=True)
