"""One full run with everything that tells something, and no secret in any of it.

The connector logs at TRACE, also to the platform; meters are traced; one refuses its password, one
has a key that is none, the audit cannot reach its platform; calls succeed and fail; the commands
are run on the same configuration.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from dlms_connector.cli import main
from dlms_connector.demo.platform_server import RpcError
from dlms_connector.simulator import MeterOptions
from tests.support.leaks import Collector
from tests.support.site import Configuration, Site, site

#: Keys of `dlms` that are secrets, and are moved to files.
SECRET_KEYS = ("password", "authenticationKey", "blockCipherKey", "signingKey")
OPEN, REFUSED, CIPHERED, SIGNED = (f"DLMS-Meter-0{number}" for number in (1, 2, 3, 4))
WRONG_PASSWORD = "Simsalabim%20&79"
NO_KEY = "0F1E2D3C4B5A69788796A5B4C3D2E1F"  # a digit is missing
METERS = [
    MeterOptions(serial=1, authentication="LOW", password=b"Sesame \xc3\xa4\"'73"),
    MeterOptions(serial=2, authentication="LOW", password=b"quite-another"),
    MeterOptions(
        serial=3,
        client_address=1,
        authentication="HIGH_GMAC",
        security="AUTHENTICATION_ENCRYPTION",
        authentication_key=bytes.fromhex("7B41C3A95D20E0F118FF3C2277B80E64"),
        block_cipher_key=bytes.fromhex("91B5E7204C6F83DA0E155A98CCF1437D"),
        client_title=bytes.fromhex("434C490000000001"),
    ),
    MeterOptions(serial=4, authentication="HIGH_ECDSA", security_suite=1,
                 client_title=bytes.fromhex("434C490000000001")),
]  # fmt: skip


class Secrets:
    """Moves the secrets of a configuration to files, as the documentation advises."""

    def __init__(self, folder: Path, metrics_port: int) -> None:
        self.folder, self._metrics_port = folder, metrics_port
        self.values: dict[str, bytes] = {}
        folder.mkdir(parents=True, mode=0o700)

    def configure(self, configuration: Configuration) -> None:
        devices = configuration["devices"]
        devices[1]["dlms"]["password"] = WRONG_PASSWORD
        devices += [
            {
                **devices[0],
                "deviceName": "No key",
                "dlms": {"security": "ENCRYPTION", "blockCipherKey": NO_KEY},
            }
        ]
        for device in devices:
            for key in SECRET_KEYS:
                if (value := device["dlms"].get(key)) is not None:
                    device["dlms"][key] = self._moved(f"{device['deviceName']} {key}", value)
            device["trace"] = {"minutes": 5}
            device["connection"]["retries"] = 0
        configuration |= {
            "logLevel": "TRACE",
            "enableRemoteLogging": True,
            "metrics": {"port": self._metrics_port, "perMeter": True},
            "platform": {
                "url": "http://127.0.0.1:9",
                "apiKey": self._moved("the platform's key", "tb_k3y-of.the/auditor+4711"),
            },
            "diagnosticsPeriod": 1000,
            "journal": {},
        }

    def _moved(self, name: str, value: str) -> str:
        file = name.replace(" ", "-").replace("'", "")
        (self.folder / file).write_text(value)
        self.values[name] = value.encode()
        with suppress(ValueError):
            self.values[f"{name}, its octets"] = bytes.fromhex(value)
        return f"${{file:{file}}}"


@pytest.fixture
def _open_to_all() -> Any:
    """No mask of the process makes up for a file that is created open to others."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_to_all")
async def test_no_secret_leaves(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    place, desk = tmp_path / "gateway", tmp_path / "commands"
    desk.mkdir()
    secrets = Secrets(place / "config" / "secrets", port)
    async with site(place, METERS, secrets.configure) as running:
        collector = Collector(secrets.values)
        await running.until_polled(OPEN, CIPHERED, SIGNED, times=2)
        await running.until(lambda: "online" not in running.states(REFUSED)
                            and bool(running.states(REFUSED)))  # fmt: skip
        await running.until(lambda: "misconfigured" in running.states("No key"))
        await ask(running, collector)
        collector.take("metrics", await asyncio.to_thread(scraped, port))
        await running.gateway.stop()
        for packet in running.platform.journal:
            collector.take(f"MQTT {packet.topic}", packet.payload)
        await run_commands(running, desk, collector)
        collector.take_files("the gateway", place, leave_out=[secrets.folder])
        collector.take_files("commands", desk)
        assert running.log_lines("DEBUG"), "the level of the log hides nothing"
        assert any("AARQ" in path.read_text() for path in place.glob("**/traces/*.txt"))
        assert {"MQTT v1/gateway/rpc", "the gateway: .pcapng"} <= collector.looked_at.keys()
        assert not running.log_lines("Traceback")
    collector.check()
    open_to_others = [
        str(path)
        for path in (place / "data" / "dlms").rglob("*")
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


async def ask(running: Site, collector: Collector) -> None:
    """Make calls that are answered, refused, and not understood."""
    for device, method, params in (
        (OPEN, "readClock", {}),
        (CIPHERED, "read", {"obis": "0-0:40.0.0", "class": 15, "attribute": 7}),
        (CIPHERED, "read", {"obis": "1-0:99.99.99", "class": 3}),
        (REFUSED, "readClock", {"timeout": 2000}),
        (SIGNED, "getDiagnostics", {}),
        (OPEN, "write", {"obis": "0-0:40.0.0", "class": 15, "attribute": 7, "value": "x"}),
        (OPEN, "no such method", None),
    ):
        try:
            answer = await running.platform.rpc(device, method, params, timeout_s=30)
        except RpcError as error:  # not every device is connected
            answer = str(error)
        collector.take("answers to calls", json.dumps(answer, default=str))


async def run_commands(running: Site, folder: Path, collector: Collector) -> None:
    """Run what reads the configuration, with its output in every form."""
    file = str(running.gateway.config_dir / "dlms.json")
    ran = []
    for arguments in (
        ("check", file),
        ("check", file, "--connect", "--timeout", "20", "--trace", str(folder / "check.txt")),
        ("read", file, "--json", "--device", REFUSED),
        ("read", file, "--device", CIPHERED, "--trace", str(folder / "read.txt")),
        ("record", file, "--device", CIPHERED, "--output", str(folder / "a.json")),
        ("record", file, "--device", REFUSED, "--output", str(folder / "b.json")),
        ("shard", file, "--over", "2", "--output", str(folder / "shards"), "--json"),
        ("verify", "--gateway-config", str(running.gateway.config_dir), "--json"),
        ("profile", file, "--device", OPEN, "--obis", "1-0:99.1.0", "--last", "2", "--json"),
    ):
        result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments))
        assert result.exit_code in (0, 1, 2), (arguments, result.output)
        ran.append(arguments[0])
        collector.take(f"output of {arguments[0]}", result.output)
        collector.take(f"exception of {arguments[0]}", repr(result.exception))
    assert len(ran) == 9
    for name in ("check.txt", "read.txt", "a.json", "b.json"):
        assert (folder / name).exists(), name


def scraped(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return bytes(answer.read())
