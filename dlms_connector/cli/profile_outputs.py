"""What `profile` makes of the rows: which files, charts and texts were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from dlms_connector.cli.profile_files import as_json, needed, writable, write_csv, write_parquet
from dlms_connector.cli.profile_plots import write_plot
from dlms_connector.cli.profile_rows import Rows
from dlms_connector.cli.profile_shown import draw, show

#: The endings of pictures that can be drawn.
_PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The outputs that were asked for; without any, the rows are shown as a table."""

    csv: Path | None
    parquet: Path | None
    plot: Path | None
    chart: bool
    json: bool

    def check(self) -> None:
        """Raise BadParameter for what could not be written in the end."""
        writable("--csv", self.csv)
        writable("--parquet", self.parquet)
        writable("--plot", self.plot)
        if self.parquet is not None:
            needed("--parquet", "pyarrow", "parquet")
        if self.plot is not None:
            needed("--plot", "matplotlib", "plot")
            if self.plot.suffix.lower() not in _PICTURES:
                raise click.BadParameter(
                    f"the file must end with {', '.join(_PICTURES)}", param_hint="--plot"
                )
        if self.chart:
            needed("--chart", "plotext", "chart")

    def write(self, rows: Rows) -> None:
        """Write the rows. Raises OSError."""
        if self.csv is not None:
            write_csv(self.csv, rows)
        if self.parquet is not None:
            write_parquet(self.parquet, rows)
        if self.plot is not None and not write_plot(self.plot, rows):
            click.echo(f"{self.plot} is not written: no row has a number with a unit", err=True)
        if self.json:
            click.echo(as_json(rows))
        if self.chart:
            draw(rows)
        if not (self.json or self.chart or self.csv or self.parquet or self.plot):
            show(rows)
