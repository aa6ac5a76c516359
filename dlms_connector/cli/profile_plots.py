"""Draws the rows of a profile: a picture for each unit, in the terminal or as a file.

Only here numbers become floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dlms_connector.cli.profile_files import numbers_of
from dlms_connector.cli.profile_rows import Column, Line, Rows

#: Lines of the terminal for a chart, and the marks below it.
_HEIGHT, _MARKS = 16, 5
_INCHES = (12.0, 3.2)

_Curves = list[tuple[Column, list[tuple[Line, float]]]]


def _by_unit(rows: Rows) -> Iterator[tuple[str, _Curves]]:
    """Yield the columns with numbers by their unit: curves of one unit share an axis."""
    lines = rows.lines
    found: dict[str, _Curves] = {}
    for one in rows.columns.values():
        # A number without a unit is a code or a counter: a curve of it tells nothing.
        if one.unit and (curve := numbers_of(lines, one.key)):
            found.setdefault(one.unit, []).append((one, curve))
    yield from found.items()


def charts(rows: Rows, width: int, *, colour: bool) -> Iterator[str]:
    """Yield a chart for each column with numbers, `width` characters wide, for a terminal.

    Curves do not share one: where one counter is far above the other, both would be flat.
    """
    import plotext

    for unit, curves in _by_unit(rows):
        for column, curve in curves:
            plotext.clear_figure()
            plotext.plotsize(width, _HEIGHT)
            plotext.title(f"{column.key} [{unit}]")
            times = {line.ts_ms / 1000: line.at.strftime("%d.%m. %H:%M") for line, _ in curve}
            plotext.plot(list(times), [number for _, number in curve], marker="braille")
            marks = _spread(sorted(times))
            plotext.xticks(marks, [times[mark] for mark in marks])
            text = str(plotext.build())
            yield text if colour else str(plotext.uncolorize(text))


def _spread(instants: list[float]) -> list[float]:
    """Return a few instants, evenly over all of them."""
    if len(instants) <= _MARKS:
        return instants
    last = len(instants) - 1
    return [instants[last * mark // (_MARKS - 1)] for mark in range(_MARKS)]


def write_plot(path: Path, rows: Rows) -> bool:
    """Draw into a file, PNG, SVG or PDF by its ending; false if there is no number to draw.

    Raises ValueError if the ending is of no kind that can be drawn.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    units = list(_by_unit(rows))
    if not units:
        return False
    figure = Figure(figsize=(_INCHES[0], _INCHES[1] * len(units)), layout="constrained")
    reader = rows.reader
    figure.suptitle(f"{reader.device.device_name} · {reader.profile.obis}")
    axes = figure.subplots(len(units), 1, squeeze=False, sharex=True)
    zone = rows.lines[-1].at.tzinfo
    for (unit, curves), (axis,) in zip(units, axes, strict=True):
        for column, curve in curves:
            axis.plot(
                [line.at.astimezone(zone) for line, _ in curve],
                [number for _, number in curve],
                marker="." if len(curve) < 100 else "",
                linewidth=1,
                label=column.key,
            )
        axis.set_ylabel(unit)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(loc="best", fontsize="small")
        axis.ticklabel_format(axis="y", useOffset=False, style="plain")
        locator = AutoDateLocator(tz=zone)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    figure.savefig(path, dpi=120)
    return True
