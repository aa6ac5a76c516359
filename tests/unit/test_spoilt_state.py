"""Whatever lies in the state folder, the meters are polled, and what was there is kept aside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.connector import DLMSConnector
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.gateway import FakeGateway

_TITLE = bytes.fromhex("434C490000000001")
_METERS = [
    MeterOptions(serial=1),
    MeterOptions(serial=2, client_address=1, framing="WRAPPER", authentication="HIGH_GMAC",
                 security="AUTHENTICATION_ENCRYPTION", client_title=_TITLE),
]  # fmt: skip


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _huge(path: Path) -> None:
    path.write_bytes(b"[" * 200)
    os.truncate(path, 1 << 34)  # a hole: it takes no room


_SPOILS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": _cut,
    "nested": lambda path: path.write_bytes(b"[" * 50_000),
    "huge": _huge,
    "a folder": _folder,
    "a pipe": _pipe,
}


@pytest.mark.parametrize("kind", _SPOILS)
async def test_all_files_of_the_state_are_spoilt(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path / "logs"))
    gateway = FakeGateway(tmp_path)
    gateway.connect()
    state = tmp_path / "data" / "dlms"
    async with simulate(_METERS) as endpoints:
        await _polled(gateway, _configuration([one.port for one in endpoints]))
        for name in ("online-Meters.json", "renamed-Meters.json", "tenure.json"):
            (state / name).touch(0o600)
        spoilt = [path for path in sorted(state.rglob("*")) if path.is_file()]
        assert any(path.suffix == ".sqlite" for path in spoilt)
        assert any(path.name.startswith("counter-") for path in spoilt)
        for path in spoilt:
            _SPOILS[kind](path)
        gateway.sent.clear()
        caplog.clear()
        await _polled(gateway, _configuration([one.port for one in endpoints]))
    told = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert not any(record.exc_info for record in caplog.records), told
    assert 0 < len(told) <= len(spoilt), told
    aside = {path.name.partition(".unreadable")[0] for path in state.glob("*.unreadable-1")}
    # What cannot be replaced is left where it is, and nothing is kept.
    kept = {"online-Meters.json", "renamed-Meters.json"} if "a " not in kind else set()
    assert aside >= kept, told


def _configuration(ports: list[int]) -> dict[str, Any]:
    keys = {"security": "AUTHENTICATION_ENCRYPTION", "systemTitle": _TITLE.hex(),
            "authenticationKey": _METERS[1].authentication_key.hex(),
            "blockCipherKey": _METERS[1].block_cipher_key.hex(),
            "authentication": "HIGH_GMAC", "clientAddress": 1, "interfaceType": "WRAPPER",
            "invocationCounter": "0-0:43.1.0"}  # fmt: skip
    return {
        "name": "Meters",
        "journal": {"maxMegabytes": 1000},
        "devices": [
            {
                "deviceName": f"M{number}",
                "connection": {"host": "127.0.0.1", "port": port},
                "dlms": keys if number == 2 else {},
                "pollPeriod": 200,
                "timeseries": [{"key": "voltage", "obis": "1-0:32.7.0"}],
                "profiles": [{"obis": "1-0:99.1.0"}],
            }
            for number, port in enumerate(ports, 1)
        ],
    }


async def _polled(gateway: FakeGateway, configuration: dict[str, Any]) -> None:
    """Run a connector until both meters have given a value."""
    connector = DLMSConnector(gateway, configuration, "custom")
    connector.open()

    def both() -> bool:
        return {row["device"] for row in gateway.telemetry() if "voltage" in row} == {"M1", "M2"}

    try:
        await asyncio.to_thread(gateway.wait_for, both)
    finally:
        await asyncio.to_thread(connector.close)
