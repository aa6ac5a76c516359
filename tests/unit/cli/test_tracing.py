"""`--trace` of the commands, against simulated meters: what is in the files, and what is not."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.simulator import MeterOptions, simulate

PASSWORD = b"Sesame-73"
KEY, AUTHENTICATION_KEY = b"\xc1\x5e" * 8, b"\xa7\x0d" * 8
TITLE, METERS_TITLE = b"GWY01234", b"SIM56789"
ITEMS = {
    "attributes": [
        {"key": "serial", "obis": "0-0:96.1.0", "class": "data"},
        {"key": "name", "obis": "0-0:42.0.0", "class": "data"},
    ],
    "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "low": ({"authentication": "LOW"}, {"password": PASSWORD.decode()}),
    "high": ({"authentication": "HIGH"}, {"password": PASSWORD.decode()}),
    "md5": ({"authentication": "HIGH_MD5"}, {"password": PASSWORD.decode()}),
    "sha256": (
        {"authentication": "HIGH_SHA256"},
        {"password": PASSWORD.decode(), "systemTitle": TITLE.hex()},
    ),
    "ciphered": (
        {"authentication": "HIGH_GMAC", "security": "AUTHENTICATION_ENCRYPTION"},
        {
            "systemTitle": TITLE.hex(),
            "blockCipherKey": KEY.hex(),
            "authenticationKey": AUTHENTICATION_KEY.hex(),
        },
    ),
    "short_names": (
        {"authentication": "LOW", "referencing": "SN"},
        {"password": PASSWORD.decode()},
    ),
}
Framing = Literal["HDLC", "WRAPPER"]
FRAMINGS: tuple[Framing, ...] = ("HDLC", "WRAPPER")


async def run(folder: Path, *arguments: str) -> Result:
    """Run the command in a thread: the simulated meters live in this one's loop."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments))


def configured(folder: Path, port: int, dlms: dict[str, Any], **more: Any) -> str:
    device = {
        "deviceName": "House 1",
        "connection": {"host": "127.0.0.1", "port": port, "timeoutMs": 5000},
        "dlms": dlms,
        **ITEMS,
        **more,
    }
    file = folder / "dlms.json"
    file.write_text(json.dumps({"devices": [device], "stateDirectory": str(folder / "state")}))
    return str(file)


def forms(secret: bytes) -> list[bytes]:
    """Return how a value might be written: octets, hexadecimal, base64, as a list."""
    spaced = secret.hex(" ")
    made = [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        spaced.encode(),
        spaced.upper().encode(),
        base64.b64encode(secret).rstrip(b"=")[:-1],
        str(list(secret)).encode(),
    ]
    return [form for form in made if len(form) >= 4]


def found_in(artefacts: list[Path], secrets: list[bytes]) -> list[str]:
    return [
        f"{secret!r} in {path.name} as {form!r}"
        for path in artefacts
        for secret in secrets
        for form in forms(secret)
        if form in path.read_bytes()
    ]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("way", WAYS)
async def test_a_trace_shows_frames_and_no_secrets(
    tmp_path: Path, framing: Framing, way: str
) -> None:
    options, dlms = WAYS[way]
    meter = MeterOptions(
        framing=framing,
        password=PASSWORD,
        system_title=METERS_TITLE,
        block_cipher_key=KEY,
        authentication_key=AUTHENTICATION_KEY,
        serial=73_219_846,
        **options,
    )
    async with simulate([meter]) as (server,):
        dlms = {"interfaceType": framing, **options, **dlms}
        file = configured(tmp_path, server.port, dlms)
        result = await run(tmp_path, "read", file, "--json", "--trace", str(tmp_path / "t.txt"))
    assert result.exit_code == 0, result.output
    values = {one["key"]: one["value"] for one in json.loads(result.stdout)[0]["readings"]}
    secrets = [PASSWORD, KEY, AUTHENTICATION_KEY, TITLE, METERS_TITLE]
    secrets += [str(values[key]).encode() for key in ("serial", "name")]
    files = [tmp_path / "t.txt", tmp_path / "t.pcapng"]
    text = files[0].read_text()
    assert "AARQ" in text
    assert "AARE" in text
    assert ("HDLC SNRM" in text) == (framing == "HDLC")
    assert "WRONG" not in text
    assert "a fault" not in text
    if options.get("referencing") != "SN" and "security" not in options:
        assert "GET-request" in text
        assert "1-0:1.8.0*255" in text
    assert not found_in(files, secrets)
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]


async def test_everything_is_shown_when_that_is_wanted(tmp_path: Path) -> None:
    options, dlms = WAYS["low"]
    async with simulate([MeterOptions(password=PASSWORD, **options)]) as (server,):
        file = configured(tmp_path, server.port, {**options, **dlms})
        result = await run(
            tmp_path, "read", file, "--trace", str(tmp_path / "t.txt"), "--trace-everything"
        )
    assert result.exit_code == 0, result.output
    assert PASSWORD in (tmp_path / "t.pcapng").read_bytes()
    assert PASSWORD.hex(" ").upper() in (tmp_path / "t.txt").read_text()


async def test_check_traces_too(tmp_path: Path) -> None:
    options, dlms = WAYS["low"]
    async with simulate([MeterOptions(password=PASSWORD, **options)]) as (server,):
        file = configured(tmp_path, server.port, {**options, **dlms})
        trace = tmp_path / "t.txt"
        result = await run(tmp_path, "check", file, "--connect", "--trace", str(trace))
    assert result.exit_code == 0, result.output
    assert "AARE" in trace.read_text()
    assert not found_in([trace, tmp_path / "t.pcapng"], [PASSWORD])


async def test_discovery_traces_its_probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_PASSWORD", PASSWORD.decode())
    options, _ = WAYS["low"]
    async with simulate([MeterOptions(password=PASSWORD, **options)]) as (server,):
        trace = tmp_path / "t.txt"
        result = await run(
            tmp_path, "discover", "--host", "127.0.0.1", "--port", str(server.port),
            "--interface", "HDLC", "--client", "16", "--server", "1/1", "--rate", "1000",
            "--password-env", "METER_PASSWORD", "--output", str(tmp_path / "d.json"),
            "--trace", str(trace),
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "HDLC SNRM" in trace.read_text()
    assert not found_in([trace, tmp_path / "t.pcapng"], [PASSWORD])


async def test_no_file_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("mine")
    result = await run(
        tmp_path, "read", configured(tmp_path, 1, {}), "--trace", str(tmp_path / "t.txt")
    )
    assert result.exit_code == 2
    assert "t.txt" in result.output
    assert (tmp_path / "t.txt").read_text() == "mine"


async def test_a_trace_wants_a_connection(tmp_path: Path) -> None:
    result = await run(tmp_path, "check", configured(tmp_path, 1, {}), "--trace", "t.txt")
    assert result.exit_code == 2
    assert "--connect" in result.output


async def test_a_readout_is_traced_without_its_serial_number(tmp_path: Path) -> None:
    meter = MeterOptions(framing="IEC_62056_21", serial=73_219_846)
    async with simulate([meter]) as (server,):
        file = configured(tmp_path, server.port, {"interfaceType": "IEC_62056_21"})
        trace = tmp_path / "t.txt"
        result = await run(tmp_path, "read", file, "--json", "--trace", str(trace))
        assert "73219846" in result.stdout  # it is what the meter tells
    assert "1.8.0" in trace.read_text()
    assert not found_in([trace, tmp_path / "t.pcapng"], [b"73219846"])
