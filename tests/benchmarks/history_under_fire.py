"""A load profile of any length read through the gateway, while faults happen at random.

    python -m tests.benchmarks.history_under_fire --days 400 --faults 100

kills, terminates and interrupts the gateway, stops, cuts and stalls the platform, and power-cycles
the meter. It prints what arrived, and ends with 1 if a row is missing, wrong or not the meter's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from dlms_connector.demo.platform_rules import Manners
from tests.support.history import under_fire


def main() -> None:
    """Run once and print `name: value` lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--confirm", default="watermarks", choices=["watermarks", "receipts"])
    given = parser.parse_args()
    manners = Manners(telemetry_s=0.1, attributes_s=0.05, receipts=given.confirm == "receipts")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(
            under_fire(
                Path(folder), days=given.days, faults=given.faults, seed=given.seed,
                confirm=given.confirm, manners=manners,
            )
        )  # fmt: skip
    for name, value in {
        "rows": result.expected,
        "missing": len(result.missing),
        "wrong": len(result.wrong),
        "foreign": len(result.foreign),
        "unconfirmed": result.unconfirmed,
        "sent_per_row": round(result.sent / max(1, result.expected), 2),
        "seconds": round(time.monotonic() - start),
        **{f"fault {fault}": count for fault, count in sorted(result.faults.items())},
    }.items():
        print(f"{name}: {value}")
    sys.exit(bool(result.missing or result.wrong or result.foreign or result.unconfirmed))


if __name__ == "__main__":
    main()
