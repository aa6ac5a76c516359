"""A gateway that is lost with its disk, and restored from a backup after which it ran on."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
from pathlib import Path

from dlms_connector.backup import Opened
from dlms_connector.simulator import MeterOptions
from tests.support.history import DAY_MS, held, stored, with_profile
from tests.support.site import Configuration, Site, site

METERS = [
    MeterOptions(serial=1, framing="WRAPPER", profile_days=3),
    MeterOptions(
        serial=2, client_address=1, authentication="LOW", security="AUTHENTICATION_ENCRYPTION"
    ),
]


def configure(configuration: Configuration) -> None:
    with_profile(1)(configuration)
    del configuration["devices"][1]["profiles"]


async def command(*arguments: str) -> tuple[int, str]:
    """Run `dlms-connector`; return its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def watched_until_it_dies(running: Site, *config: str) -> str:
    """Kill the gateway while `verify --watch` finds it healthy; return what that says then."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", "verify", *config),
        *("--watch", "--every", "1", "--for", "900"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    while "✓ nothing fails" not in (line := (await process.stdout.readline()).decode()):
        assert "✗" not in line, line
        assert line, "it has ended"
    await running.gateway.stop(signal.SIGKILL)
    output, _ = await process.communicate()
    assert process.returncode == 1
    return output.decode()


def lose(running: Site) -> None:
    """Leave a gateway as it is after it was installed on a new disk."""
    folder, config = running.gateway.folder, running.gateway.config_dir
    for path in [*folder.rglob("records.sqlite"), *folder.rglob("counter-*.json")]:
        shutil.rmtree(path.parent, ignore_errors=True)
    for path in config.iterdir():
        if path.name.startswith((".dlms", "dlms")):
            path.unlink()
    main = config / "tb_gateway.json"
    main.write_text(json.dumps({**json.loads(main.read_text()), "connectors": []}))


def put_secrets_back(backup: Opened, running: Site) -> None:
    """Write the keys that were left out where the restored configuration looks for them."""
    for path, file in backup.manifest.left_out:
        index, key = int(path.split("[")[1].split("]")[0]), path.rpartition(".")[2]
        secret = running.gateway.config_dir / "secrets" / file
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(running.configuration["devices"][index]["dlms"][key])


async def test_a_gateway_that_was_lost_with_its_disk(tmp_path: Path) -> None:
    host, kept = tmp_path / "host", tmp_path / "kept"
    host.mkdir()
    async with site(host, METERS, configure) as running:
        config = ("--gateway-config", str(running.gateway.config_dir))
        profiled, ciphered = running.devices
        meters = [meter for endpoint in running.endpoints for meter in endpoint.meters]
        now_ms = int(meters[0].clock() * 1000)
        wanted = held(meters[0], now_ms - DAY_MS + 3_600_000, now_ms)
        await running.until(lambda: wanted.keys() <= stored(running, profiled).keys(), 60)
        await running.until_polled(times=2)
        code, told = await command("backup", str(kept), *config)
        assert code == 0, told
        assert "invocation counters, the records" in told
        (archive,) = kept.glob("*.tar.gz")
        backup = Opened.of(archive)

        polls = running.polls(ciphered)
        await running.until_polled(ciphered, times=polls + 3)  # numbers that the backup has not
        code, told = await command("restore", str(kept), *config)
        assert code == 1
        assert "stop it first" in told

        told = await watched_until_it_dies(running, *config)
        assert "✗ process: no gateway" in told

        lose(running)
        used = meters[1].received_counter
        code, told = await command("restore", str(kept), *config)
        assert code == 0, told
        assert "still to do: devices[1].dlms" in told
        put_secrets_back(backup, running)
        polls = running.polls(ciphered)
        await running.gateway.start()
        await running.until_polled(ciphered, times=polls + 2)
        await running.until_polled(profiled)
        assert meters[1].received_counter > used
        wanted = held(meters[0], now_ms, int(meters[0].clock() * 1000) - 1_000_000)
        await running.until(lambda: wanted.keys() <= stored(running, profiled).keys(), 60)
        assert running.log_lines("Traceback") == []
