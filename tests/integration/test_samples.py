"""The samples of gateway-config/samples/, polled: each by meters of the kind that it is for.

What a sample says of hosts and ports is replaced by those of the simulated meters, and nothing
else; `dlms-connector check --connect` then reads every value once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.simulator import MeterOptions, dial_in, simulate, simulate_terminal
from tests.support.peers import free_port
from tests.support.sample_files import copied

pytestmark = pytest.mark.asyncio

_PASSWORD: dict[str, Any] = {"authentication": "LOW", "password": b"12345678"}
_CIPHERED: dict[str, Any] = {
    "framing": "WRAPPER",
    "security": "AUTHENTICATION_ENCRYPTION",
    "client_title": bytes.fromhex("434C490000000001"),
}


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in copied(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "samples"


def lacks(*obis: str, value: str = "06000003E8") -> dict[str, Any]:
    """Return registers that the simulated meter has not of its own: 1000 with scaler -1, in Wh."""
    scaler = "02020FFF161E"
    return {
        code: {"class": "register", "attributes": {"2": {"hex": value}, "3": {"hex": scaler}}}
        for code in obis
    }


def rewrite(file: Path, places: Iterable[tuple[str, int]]) -> None:
    """Give the devices of a sample, in their order, the hosts and ports of simulated meters."""
    document = json.loads(file.read_text("utf-8"))
    for device, (host, port) in zip(document["devices"], places, strict=True):
        device["connection"] |= {"host": host, "port": port}
    file.write_text(json.dumps(document), "utf-8")


async def connect(file: Path) -> Result:
    """Check a configuration and poll its meters; they live in this thread's loop."""
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["check", str(file), "--connect", "--timeout", "120"]
    )


async def call(calls: AsyncExitStack, meter: MeterOptions, port: int) -> None:
    """Have a meter call until somebody listens; the call is held until the end."""
    for _ in range(1200):
        try:
            await calls.enter_async_context(dial_in(meter, "127.0.0.1", port))
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody listens on {port}")


def answered(result: Result, *values: int) -> None:
    """Hold that each meter gave so many values, and nothing failed."""
    assert result.exit_code == 0, result.output
    counts = sorted(
        int(line.rpartition(": ")[2].split()[0])
        for line in result.stdout.splitlines()
        if line.endswith(("values read", "value read"))
    )
    assert counts == sorted(values), result.output


async def test_one_tcp_meter(samples: Path) -> None:
    meter = MeterOptions(
        profile="microstar", client_address=1, logical_address=0, physical_address=1, **_PASSWORD
    )
    async with simulate([meter]) as (endpoint,):
        rewrite(samples / "one-tcp-meter.json", [(endpoint.host, endpoint.port)])
        answered(await connect(samples / "one-tcp-meter.json"), 6)


async def test_serial_bus(samples: Path) -> None:
    addresses = (17, 18, 20260019 % 10000)
    meters = [
        MeterOptions(serial=at, client_address=32, physical_address=at, **_PASSWORD)
        for at in addresses
    ]
    async with simulate_terminal(meters) as terminal:
        file = samples / "serial-bus.json"
        document = json.loads(file.read_text("utf-8"))
        document["defaults"]["connection"]["port"] = terminal.path
        file.write_text(json.dumps(document), "utf-8")
        answered(await connect(file), 4, 4, 4)


async def test_ciphered_fleet(samples: Path) -> None:
    meter: dict[str, Any] = {**_CIPHERED, "authentication": "HIGH_GMAC", "client_address": 1}
    meters = [MeterOptions(serial=serial, **meter) for serial in (1, 2, 3)]
    async with simulate(meters) as endpoints:
        table = samples / "ciphered-fleet.csv"
        text = table.read_text("utf-8")
        for number, endpoint in enumerate(endpoints, 1):
            text = text.replace(f"10.20.0.{number},4059", f"{endpoint.host},{endpoint.port}")
        table.write_text(text, "utf-8")
        answered(await connect(samples / "ciphered-fleet.json"), 5, 5, 6)


async def test_india(samples: Path) -> None:
    read = {"class": "data", "attributes": {"2": {"hex": "0600000000"}}, "public": True}
    counter = {"0-0:43.1.2": read}
    meter = {**_CIPHERED, **_PASSWORD, "client_address": 32}
    meters = [MeterOptions(serial=serial, overrides=counter, **meter) for serial in (1, 2)]
    async with simulate(meters) as endpoints:
        rewrite(samples / "india-is15959.json", [(each.host, each.port) for each in endpoints])
        answered(await connect(samples / "india-is15959.json"), 10, 10)


async def test_spodes(samples: Path) -> None:
    """Two meters behind one converter, one of them by its serial number."""
    more = lacks("0-0:96.9.0", "1-0:1.8.3", "1-0:1.8.4")
    bus = [
        MeterOptions(serial=at, client_address=32, physical_address=at, overrides=more, **_PASSWORD)
        for at in (17, 240012345 % 10000 + 16)
    ]
    async with simulate([bus]) as (endpoint,):
        rewrite(samples / "spodes.json", [(endpoint.host, endpoint.port)] * 2)
        answered(await connect(samples / "spodes.json"), 16, 5)


async def test_dial_in(samples: Path) -> None:
    """Two meters call and are told apart by serial number; the third one's address is not here."""
    file, port = samples / "dial-in.json", free_port()
    document = json.loads(file.read_text("utf-8"))
    here = {"host": "127.0.0.1", "port": port, "allow": ["127.0.0.0/8"]}
    document["defaults"]["connection"] |= here
    del document["devices"][2]
    file.write_text(json.dumps(document), "utf-8")
    polled = asyncio.create_task(connect(file))
    async with AsyncExitStack() as calls:
        for serial in (1, 2):
            meter = MeterOptions(serial=serial, framing="WRAPPER", client_address=1, **_PASSWORD)
            await call(calls, meter, port)
        answered(await polled, 2, 2)


async def test_history(samples: Path) -> None:
    """The polled part; the gateway's records are needed for the rest."""
    meter = MeterOptions(framing="WRAPPER", client_address=1, **_PASSWORD)
    async with simulate([meter]) as (endpoint,):
        rewrite(samples / "history.json", [(endpoint.host, endpoint.port)])
        answered(await connect(samples / "history.json"), 2)
