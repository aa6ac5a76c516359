"""How costs grow: measured into docs/performance/figures.json, drawn as SVG beside it.

    python -m tests.benchmarks.plots [--measure] [--most 1000] [--folder docs/performance]

Without `--measure` the pictures are drawn anew from the figures that are there. `--most 10000`
measures the gateway with up to ten thousand meters, which takes ten minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests.benchmarks import gateway_run, reading, work

_FIGURES = "figures.json"
_METERS = (10, 100, 1_000, 10_000)
_ITEMS = (1, 2, 5, 10, 20, 32, 50)
_ROWS = (10, 100, 1_000, 10_000)
_PERIOD_S = 60.0
_GETS = 5
_RUNS = 3
_REGISTER = {
    "class": "register",
    "attributes": {
        "2": {"type": "double-long-unsigned", "value": 13519},
        "3": {
            "type": "structure",
            "value": [{"type": "integer", "value": -2}, {"type": "enum", "value": 35}],
        },
    },
}


def measure(most: int) -> dict[str, Any]:
    """Return all figures."""
    cost = reading.exchanges("WRAPPER", ciphered=True)
    return {
        "machine": _machine(),
        "period_s": _PERIOD_S,
        "sample_us_per_get": round(cost.theirs),
        "items": {
            kind: {str(count): round(_poll(count, ciphered=ciphered)) for count in _ITEMS}
            for kind, ciphered in (("plain", False), ("ciphered", True))
        },
        "rows_ms": {
            str(rows): round(1000 * rows / work.profile_rows_per_s(rows), 3) for rows in _ROWS
        },
        "gateway": {str(count): _gateway(count) for count in _METERS if count <= most},
    }


def _machine() -> str:
    gigabytes = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {gigabytes:.0f} GiB, Python {platform.python_version()}"


def _poll(items: int, *, ciphered: bool) -> float:
    codes = [f"1-0:{number}.8.0" for number in range(100, 100 + max(_ITEMS))]
    series = [{"key": code, "obis": code} for code in codes]
    registers = dict.fromkeys(codes, _REGISTER)
    with reading.served_meters("WRAPPER", ciphered=ciphered, overrides=registers) as served:
        return median(reading.polls(served, items=items, timeseries=series) for _ in range(_RUNS))


def _gateway(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        ran = gateway_run.run(count, _PERIOD_S, 2 * _PERIOD_S + 2, Path(folder) / "run")
    return {
        "cores": round(ran.cores, 4),
        "rss_mb": round(ran.rss_mb, 1),
        "lateness_p99_ms": round(ran.lateness_p99_ms, 1),
        "missed": ran.missed,
        "lost": ran.lost,
        "start_s": round(ran.start_s, 1),
        "stop_s": round(ran.stop_s, 1),
        "load": round(ran.load, 1),
    }


def draw(figures: dict[str, Any], folder: Path) -> None:
    """Write the pictures."""
    ran = {int(count): one for count, one in figures["gateway"].items()}
    counts = sorted(ran)
    sample_us = figures["sample_us_per_get"]
    way = [n * _GETS * sample_us / 1e6 / figures["period_s"] for n in counts]
    _plot(
        folder / "cpu.svg", "meters, five registers each 60 s, ciphered", "cores",
        ("the gateway's process", counts, [ran[n]["cores"] for n in counts]),
        ("reading as Gurux's sample does, without a gateway (from its cost per GET)", counts, way),
        log=True,
    )  # fmt: skip
    _plot(
        folder / "memory.svg", "meters", "MB",
        ("the gateway's process", counts, [ran[n]["rss_mb"] for n in counts]),
    )  # fmt: skip
    items = [int(count) for count in figures["items"]["plain"]]
    _plot(
        folder / "items.svg", "registers in a poll", "µs of processor time",
        *(
            (kind, items, list(figures["items"][kind].values()))
            for kind in ("plain", "ciphered")
        ),
        ("ciphered, as Gurux's sample does", items, [sample_us * count for count in items]),
        log=True,
    )  # fmt: skip
    rows = [int(count) for count in figures["rows_ms"]]
    _plot(
        folder / "rows.svg", "rows of a clock and four registers", "ms of processor time",
        ("decoding a profile", rows, list(figures["rows_ms"].values())), log=True,
    )  # fmt: skip


Curve = tuple[str, Sequence[float], Sequence[float]]


def _plot(path: Path, x: str, y: str, *curves: Curve, log: bool = False) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "dlms", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, across, up in curves:
        axes.plot(across, up, marker="o", markersize=4, label=name)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def main(tell: Callable[[str], None] = print) -> None:
    """Measure if wanted, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path("docs/performance"))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / _FIGURES
    if given.measure:
        file.write_text(json.dumps(measure(given.most), indent=1) + "\n", "utf-8")
    draw(json.loads(file.read_text("utf-8")), given.folder)
    tell(f"{given.folder}: cpu.svg, memory.svg, items.svg, rows.svg")


if __name__ == "__main__":
    main()
