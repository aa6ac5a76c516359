"""`python -m tests.simulation --seed 1 --days 1 --meters 3`: simulate, and tell how it went."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.simulation import substitutes

_cpu = time.process_time
#: From so many days on each of them is told.
_MANY_DAYS = 2


def main() -> int:
    """Simulate the seeds that were asked for; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="the first seed; else a random one")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--meters", type=int, default=None, help="how many; else 1 to 4")
    parser.add_argument("--period", type=float, default=None, help="poll period in s; else drawn")
    parser.add_argument("--faults", type=float, default=14.0, help="faults a day, per 4 meters")
    parser.add_argument("--verbose", action="store_true", help="print what happens")
    options = parser.parse_args()
    seed = int.from_bytes(_random_octets(), "big") if options.seed is None else options.seed
    substitutes.install()
    from tests.simulation.judge import Violation
    from tests.simulation.scenario import METERS, PERIODS_S, Plan
    from tests.simulation.world import Simulated

    gc.freeze()
    worst = 0
    for each in range(seed, seed + options.seeds):
        period_s = options.period or PERIODS_S[each % len(PERIODS_S)]
        meters = options.meters or METERS[each % len(METERS)]
        plan = Plan(each, options.days, meters, period_s, faults=options.faults)
        began, world = _cpu(), Simulated(plan)
        if options.verbose:
            _show(world)
        if options.days >= _MANY_DAYS:
            _tell_days(world, began)
        try:
            world.run()
            said = "ok"
        except Exception as error:
            worst = 1
            rule = error.rule if isinstance(error, Violation) else type(error).__name__
            said = f"BROKEN {rule}"
            print("\n".join(world.journal.tail()))
            print(f"at {world.hub.now:.3f} s: {error}")
            if not isinstance(error, Violation):
                import traceback

                traceback.print_exc()
            more = f'SIMULATE="--period {period_s:g} --faults {options.faults:g}"'
            print(f"again: make simulate SEED={each} DAYS={options.days:g} METERS={meters} {more}")
        print(
            f"seed {each}: {said}, digest {world.journal.digest}, {world.journal.count} events, "
            f"{world.judge.values} values, {world.judge.rows} row values, "
            f"{world.judge.sealed.count} ciphered, {world.starts} starts, "
            f"{_cpu() - began:.2f} s of CPU",
            flush=True,
        )
    return worst


def _tell_days(world: Any, began: float) -> None:
    """Tell at the end of each day how it goes, and whether anything grows."""
    from tests.simulation.substitutes import VirtualLoop

    def tell(day: int) -> None:
        tasks = sum(len(asyncio.all_tasks(loop)) for loop in VirtualLoop.living.values())
        print(
            f"day {day}: {_cpu() - began:.0f} s of CPU, {_memory_mb()} MB, {tasks} tasks, "
            f"{len(os.listdir('/proc/self/fd'))} files, {world.starts} starts, "  # noqa: PTH208
            f"{world.journal.count} events, {world.judge.values} values, "
            f"{world.judge.rows} row values",
            flush=True,
        )
        world.hub.call_at((day + 1) * 86_400.0, tell, day + 1)

    world.hub.call_at(86_400.0, tell, 1)


def _memory_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def _show(world: Any) -> None:
    note = world.journal.note

    def noted(kind: str, *facts: Any) -> None:
        if kind not in ("stored", "connect", "attribute"):
            print(f"{world.hub.now:.3f} {kind} {' '.join(map(str, facts))}")
        note(kind, *facts)

    world.journal.note = noted


def _random_octets() -> bytes:
    import secrets

    return secrets.token_bytes(4)


if __name__ == "__main__":
    sys.exit(main())
