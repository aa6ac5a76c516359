"""The figures of the product, one `name: value` a line; ratios and medians, nothing is judged.

    python -m tests.benchmarks.figures [--meters 500] [--period-s 3] [--seconds 20]

By default as many polls a second are made as by 10,000 meters each 60 s; all 10,000 take
`--meters 10000 --period-s 60 --seconds 180`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

from tests.benchmarks import gateway_run, reading, work

_DELAY_S = 0.05
_IDLE_METERS = 100


def tell(name: str, value: float, remark: str = "") -> None:
    """Print a figure."""
    print(f"{name}: {value:.4g}" + (f"  ({remark})" if remark else ""), flush=True)


def of_reading() -> None:
    """Round trips, and processor time against the way of Gurux's samples."""
    listed = reading.cycle(_DELAY_S, single=False)
    tell("round_trips_per_cycle_list", listed.trips, "five registers")
    tell("round_trips_per_cycle_single", reading.cycle(_DELAY_S, single=True).trips)
    tell("cycle_at_50ms_ms", listed.ms, "a list, 50 ms for each reply")
    for ciphered in (False, True):
        for framing in ("HDLC", "WRAPPER"):
            costs = reading.exchanges(framing, ciphered=ciphered)
            kind = "ciphered" if ciphered else "plain"
            name = f"{kind}_{framing.lower()}_cpu_vs_gurux"
            remark = f"sample way {costs.theirs:.0f} µs, ours {costs.ours:.0f} µs an exchange"
            tell(name, costs.theirs / costs.ours, remark)
    for name, ciphered in (("list_of_5_vs_single", False), ("ciphered_list_of_5_vs_single", True)):
        five, one = reading.list_and_single(ciphered=ciphered)
        tell(name, five / one, f"polls over the wrapper: {five:.0f} µs, {one:.0f} µs")


def of_gateway(meters: int, period_s: float, seconds: float) -> None:
    """The real gateway process."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        own, _ = gateway_run.idle(0, seconds, place / "own")
        idle, small_mb = gateway_run.idle(_IDLE_METERS, seconds, place / "idle")
        tell("gateway_own_idle_cpu_percent", own, "without meters")
        tell("idle_cpu_percent", idle - own, f"{_IDLE_METERS} connected meters, nothing due")
        ran = gateway_run.run(meters, period_s, seconds, place / "run")
    how = f"{meters} ciphered meters, five registers each {period_s:g} s"
    tell("meters", meters, "not the goal of 10,000: see --meters" if meters < 10_000 else "")
    tell("gateway_cpu_cores", ran.cores, how)
    tell("gateway_rss_mb", ran.rss_mb, how)
    if meters > _IDLE_METERS:
        kilobytes = (ran.rss_mb - small_mb) * 1000 / (meters - _IDLE_METERS)
        tell("kb_per_meter", kilobytes, f"more than with {_IDLE_METERS}")
    tell("poll_lateness_p99_ms", ran.lateness_p99_ms, how)
    tell("missed_cycles", ran.missed)
    tell("values_at_platform", ran.values, "of these registers, since the start")
    tell("lost_values", ran.lost, "that the connector has counted and the platform has not")
    tell("start_s", ran.start_s, "until the first value of each meter was at the platform")
    tell("half_started_s", ran.half_s, "until half of the meters had a value there")
    tell("stop_s", ran.stop_s, "from the signal to the end of the process")
    tell("load_average", ran.load, "of the machine in the last five minutes")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=500)
    parser.add_argument("--period-s", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--without-gateway", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    with work.undisturbed():
        of_reading()
        with tempfile.TemporaryDirectory() as folder:
            took = work.uplink_us_per_value(Path(folder))
        tell("uplink_us_per_value", took, "polls of five values")
        tell("profile_rows_per_s", work.profile_rows_per_s(), "a clock and four registers a row")
    if not given.without_gateway:
        of_gateway(given.meters, given.period_s, given.seconds)


if __name__ == "__main__":
    main()
