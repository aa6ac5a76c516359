"""What a call costs beside the meter's own time, on an idle line.

    python -m tests.benchmarks.bench_commands [--calls 200] [--delay-ms 40]

The real connector with a stand-in for the gateway's service, in this process; the simulated
meters run in a process of their own. Times are ratios to a round trip measured in the same
run, so that they say the same on any machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from dlms_connector.connector import DLMSConnector
from dlms_connector.protocol.client import make_client
from tests.benchmarks.bench_fleet import Simulated, device
from tests.support.gateway import FakeGateway

DEVICE = "Meter"
#: Beside two round trips a call may take so long.
ALLOWANCE_MS = 50
CALLS = (
    ("readObject", {"obis": "1-0:96.1.0", "class": "data"}, 1),
    ("readObject", {"obis": "1-0:32.7.0"}, 1),
    ("writeObject", {"obis": "0-0:17.0.0", "class": 71, "attribute": 4, "value": 5}, 3),
)


class Gateway(FakeGateway):
    """Says when an answer has come."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.answered = threading.Event()

    def send_rpc_reply(self, **reply: Any) -> None:
        super().send_rpc_reply(**reply)
        self.answered.set()


def round_trip_s(port: int, count: int) -> float:
    """Return the median time of a request and its reply on a bare socket."""
    client, took = make_client(device(port)), []
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            request = next(client.clear())
            start = time.perf_counter()
            link.sendall(request)
            if not link.recv(1024):
                raise SystemExit("the meter hung up")
            took.append(time.perf_counter() - start)
    return statistics.median(took)


def call_s(
    connector: DLMSConnector, gateway: Gateway, number: int, method: str, params: Any
) -> float:
    """Make a call from this thread, as the gateway would, and return how long it took."""
    gateway.answered.clear()
    start = time.perf_counter()
    data = {"id": number, "method": method, "params": params}
    connector.server_side_rpc_handler({"device": DEVICE, "data": data, "id": number})
    if not gateway.answered.wait(30):
        raise SystemExit(f"call {number} was not answered")
    took = time.perf_counter() - start
    content = gateway.replies[-1]["content"]
    if "error" in content and "object-undefined" not in content["error"]:
        raise SystemExit(f"call {number}: {content}")
    return took


def configuration(port: int) -> dict[str, Any]:
    """Return a connector's configuration whose one meter is polled so rarely that it is idle."""
    meter = {
        "deviceName": DEVICE,
        "connection": {"host": "127.0.0.1", "port": port, "keepOpen": True},
        "pollPeriod": 60_000,
        "allowWrite": True,
        "timeseries": [{"key": "voltage", "obis": "1-0:32.7.0"}],
    }
    return {"id": "bench", "name": "Bench", "logLevel": "ERROR", "devices": [meter]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--delay-ms", type=float, default=40.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulated(2, f"delay={options.delay_ms / 1000}") as ports,
    ):
        os.environ.setdefault("TB_GW_LOGS_PATH", folder)
        trip_s = round_trip_s(ports[1], 50)
        gateway = Gateway(Path(folder))
        gateway.connect()
        connector = DLMSConnector(gateway, configuration(ports[0]), "custom")
        connector.open()
        try:
            gateway.wait_for(lambda: gateway.sent)
            print(f"a round trip takes {trip_s * 1000:.2f} ms")
            numbers = iter(range(1, 1_000_000))
            for method, params, trips in CALLS:
                took = sorted(
                    call_s(connector, gateway, next(numbers), method, params)
                    for _ in range(options.calls)
                )
                report(method, str(params["obis"]), trips, took, trip_s)
        finally:
            connector.close()


def report(method: str, obis: str, trips: int, took: list[float], trip_s: float) -> None:
    """Print the median and the 99th percentile as ratios to a round trip."""
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    fine = p99 * 1000 < 2 * trip_s * 1000 + ALLOWANCE_MS
    verdict = "" if trips > 2 else f"  {'within' if fine else 'BEYOND'} 2 trips + {ALLOWANCE_MS} ms"
    print(
        f"{method:12} {obis:12} p50 {p50 / trip_s:5.2f}  p99 {p99 / trip_s:5.2f} round trips"
        f"  ({trips} needed){verdict}"
    )


if __name__ == "__main__":
    main()
