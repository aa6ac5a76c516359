"""How the cost of a fleet file grows: ratios of one run, so that they say the same on any machine.

    python -m tests.benchmarks.bench_configuration [--meters 10000]

`*_growth` is the cost per meter of the whole fleet over that of a tenth of it: 1 is a straight
line.
`check_vs_json` is the cost of a row over that of reading its values as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from dlms_connector.config import Loaded, load_file
from dlms_connector.config.model import Device
from dlms_connector.fleet import Fleet

T = TypeVar("T")
_COLUMNS = (
    "deviceName", "template", "connection.host", "dlms.blockCipherKey", "dlms.authenticationKey",
)  # fmt: skip
_TEMPLATE = {
    "dlms": {
        "interfaceType": "WRAPPER",
        "authentication": "HIGH_GMAC",
        "security": "AUTHENTICATION_ENCRYPTION",
        "systemTitle": "4142430000000001",
    },
    "timeseries": [{"key": f"power{n}", "obis": f"1-0:{n}.7.0"} for n in range(1, 6)],
}
_RUNS = 3


def row(number: int) -> list[str]:
    """Return the cells of one ciphered meter with keys of its own."""
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return [
        f"M{number}",
        "house",
        host,
        f"hex:{number:032x}",
        f"hex:{~number & (1 << 128) - 1:032x}",
    ]


def write(folder: Path, meters: int) -> Path:
    """Write a fleet file and the configuration that names it; return the latter."""
    table = folder / f"meters-{meters}.csv"
    table.write_text("\n".join([",".join(_COLUMNS), *(",".join(row(n)) for n in range(meters))]))
    path = folder / f"dlms-{meters}.json"
    path.write_text(json.dumps({"devicesFile": table.name, "templates": {"house": _TEMPLATE}}))
    return path


def timed(run: Callable[[], T]) -> tuple[float, T]:
    """Return the processor time of a call, and its result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


class _Sink:
    """Takes what a fleet says, which is nothing before it runs."""

    def polled(self, *_: Any) -> None: ...
    def state(self, *_: Any) -> None: ...
    def history(self, *_: Any) -> None: ...


async def made(devices: Sequence[Device]) -> float:
    """Return the processor time to make a fleet that does not run."""
    log = logging.getLogger("bench")
    return timed(lambda: Fleet(devices, _Sink(), log, room_for=lambda *_: None))[0]


def measure(path: Path, meters: int) -> dict[str, float]:
    """Return the medians of the costs per meter, in seconds."""
    loads, makes, reads = [], [], []
    texts = [json.dumps(dict(zip(_COLUMNS, row(n), strict=True))) for n in range(meters)]
    for _ in range(_RUNS):
        spent, loaded = timed(lambda: load_file(path))
        loads.append(spent)
        makes.append(asyncio.run(made(_whole(loaded, meters))))
        reads.append(timed(lambda: [json.loads(text) for text in texts])[0])
    return {
        "check": median(loads) / meters,
        "make": median(makes) / meters,
        "json": median(reads) / meters,
    }


def _whole(loaded: Loaded, meters: int) -> Sequence[Device]:
    devices = loaded.configuration.devices
    assert len(devices) == meters, loaded.every_problem[:3]
    return devices


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--meters", type=int, default=10_000)
    meters = parser.parse_args().meters
    with tempfile.TemporaryDirectory() as folder:
        few, many = (measure(write(Path(folder), count), count) for count in (meters // 10, meters))
    print(f"meters: {meters}")
    print(f"check_s: {many['check'] * meters:.2f}")
    print(f"fleet_made_s: {many['make'] * meters:.2f}")
    print(f"check_growth: {many['check'] / few['check']:.2f}")
    print(f"fleet_made_growth: {many['make'] / few['make']:.2f}")
    print(f"check_vs_json: {many['check'] / many['json']:.1f}")


if __name__ == "__main__":
    main()
