"""`verify` beside a real gateway process: healthy, and each way a site went wrong."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dlms_connector.simulator import MeterOptions, microstar
from tests.support.second_client import bridge
from tests.support.site import TOKEN, Site, site, watch

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER, PASSWORD = "auditor", "s3cret-of-the-auditor"
#: It is noted every few seconds which meters are online; the machine may be busy.
WITHIN_S = 90.0
METERS = [microstar(), MeterOptions(serial=2)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway, and the platform's REST API, too."""
    async with site(tmp_path_factory.mktemp("verified"), METERS) as running:
        running.platform.rest.users[USER] = PASSWORD
        await running.platform.rest.start()
        await running.until_polled(times=2)
        await watch(lambda: set(running.devices) <= noted(running), WITHIN_S)
        yield running


def noted(running: Site) -> set[str]:
    """Return the meters that the connector has noted as online."""
    files = running.gateway.folder.rglob("online-DLMS.json")
    return {name for file in files for name in json.loads(file.read_text())}


async def verify(running: Site, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its exit code, the checks by name, and all it wrote."""
    arguments = ["--gateway-config", str(running.gateway.config_dir), "--json", *options]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dlms_connector", "verify", *arguments),
        env={**os.environ, "DLMS_PLATFORM_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    checks = {each["check"]: each for each in json.loads(output)["checks"]}
    return process.returncode, checks, output.decode() + errors.decode()


async def test_a_healthy_installation(running: Site) -> None:
    code, checks, text = await verify(
        running, "--platform", running.platform.rest.url, "--user", USER
    )
    assert {name: each for name, each in checks.items() if each["mark"] == "failed"} == {}
    assert code == 0
    for name in ("process", "entry", "loader", "configuration", "session", "meters", "data"):
        assert checks[name]["mark"] == "ok", checks[name]
    assert TOKEN not in text
    assert PASSWORD not in text


async def test_a_second_client_with_the_token(running: Site) -> None:
    program = "import sys, time; print('up', flush=True); time.sleep(600)"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, TOKEN, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        await other.stdout.readline()
        code, checks, text = await verify(running)
    finally:
        other.kill()
        await other.wait()
    assert code == 1
    assert f"process {other.pid}" in checks["token"]["text"]
    assert TOKEN not in text


async def test_sessions_that_close_each_other(running: Site) -> None:
    async with bridge(running.platform):
        closed = "disconnected by server with reason code"
        await watch(lambda: len(running.log_lines(closed)) >= 3, WITHIN_S)
        code, checks, text = await verify(running)
    assert code == 1
    assert checks["session"]["mark"] == "failed"
    assert "code 7" in checks["session"]["text"]
    assert "on its command line" in checks["token"]["text"]
    assert TOKEN not in text


async def test_a_user_whom_the_platform_does_not_know(running: Site) -> None:
    code, checks, _ = await verify(
        running, "--platform", running.platform.rest.url, "--user", "nobody"
    )
    assert code == 1
    assert "401" in checks["data"]["text"]


# Last: the site is not healthy any more afterwards.
async def test_a_meter_that_fell_silent_and_a_gateway_that_ended(running: Site) -> None:
    name = running.devices[1]
    await running.endpoints[1].stop()
    await running.until_logged(rf"WARNING.*{name}: ", WITHIN_S)
    await watch(lambda: name not in noted(running), WITHIN_S)
    _, checks, _ = await verify(running)
    assert f"1 of {len(METERS)} meters do not answer: {name}: " in checks["meters"]["text"]
    await running.gateway.stop()
    code, checks, _ = await verify(running)
    assert code == 1
    assert checks["process"]["mark"] == "failed"
