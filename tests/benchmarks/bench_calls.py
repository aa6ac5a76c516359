"""What a call of the platform costs on its whole way through the gateway, on an idle line.

    python -m tests.benchmarks.bench_calls [--calls 100] [--delay-ms 40]

A stand-in for the platform, the real gateway process and a simulated meter. Times are ratios
to the meter's own time for a reply.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from dlms_connector.simulator import MeterOptions
from tests.support.site import Configuration, device, site

DEVICE = "Meter"
#: Beside two round trips a call may take so long.
ALLOWANCE_MS = 50


def configure(configuration: Configuration) -> None:
    """Leave one meter, polled so rarely that its line is idle."""
    port = configuration["devices"][0]["connection"]["port"]
    configuration["devices"] = [device(DEVICE, port, pollPeriod=60_000)]
    configuration["devices"][0]["connection"] |= {"timeoutMs": 5000, "keepOpen": True}


async def measure(calls: int, delay_s: float) -> list[float]:
    """Return how long each call took, in seconds, in order of length."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder), [MeterOptions(serial=1)], configure) as running:
            await running.until_started()
            running.endpoints[0].meter.faults.set("delay", delay_s)
            for _ in range(calls):
                # The gateway's own clocks must not beat in time with the calls.
                await asyncio.sleep(random.uniform(0.05, 0.25))
                start = time.perf_counter()
                await running.platform.rpc(DEVICE, "readObject", {"obis": "1-0:32.7.0"})
                took.append(time.perf_counter() - start)
    return sorted(took)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--delay-ms", type=float, default=40.0)
    options = parser.parse_args()
    trip_s = options.delay_ms / 1000
    took = asyncio.run(measure(options.calls, trip_s))
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    verdict = "within" if p99 * 1000 < 2 * options.delay_ms + ALLOWANCE_MS else "BEYOND"
    print(
        f"readObject through the gateway: p50 {p50 / trip_s:.2f}  p99 {p99 / trip_s:.2f} of the "
        f"meter's {options.delay_ms:g} ms  {verdict} 2 trips + {ALLOWANCE_MS} ms"
    )


if __name__ == "__main__":
    main()
