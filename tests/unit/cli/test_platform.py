"""The command's output, its exit codes, and who asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main, platform
from dlms_connector.demo.platform_store import Store
from tests.support.tenant import Tenant

USER, PASSWORD = "admin@example.com", "a-password"


@pytest.fixture
async def tenant(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tenant]:
    for name in ("DLMS_PLATFORM_PASSWORD", "DLMS_PLATFORM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    store = Store()
    server = Tenant(store, {USER: PASSWORD})
    server.gateways["Gateway"] = "gateway-1"
    await server.start()
    yield server
    await server.close()
    store.close()


async def run(*options: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["platform", *options])


async def test_install_and_check(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_PLATFORM_PASSWORD", PASSWORD)
    who = ("--url", tenant.url, "--user", USER)
    result = await run("install", *who, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "+ dashboard DLMS fleet: would be created" in result.output
    assert not tenant.entities["dashboard"]
    result = await run("install", *who)
    assert "+ alarm rule Gateway is silent (Gateway): created" in result.output
    result = await run("install", *who)
    assert {line[0] for line in result.output.splitlines()} == {"="}
    result = await run("check", *who)
    assert result.exit_code == 1
    assert (
        "✗ active_power (meter): no meter has ever sent it; used by DLMS fleet / " in result.output
    )
    assert PASSWORD not in result.output


async def test_json(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_PLATFORM_PASSWORD", PASSWORD)
    who = ("--url", tenant.url, "--user", USER, "--json")
    steps = json.loads((await run("install", *who)).output)
    assert {"kind": "dashboard", "name": "DLMS meters", "did": "created", "note": ""} in steps
    report = json.loads((await run("check", *who)).output)
    assert report["well"] is False
    assert report["notInstalled"] == []


async def test_address_user_and_device_types_of_the_configuration(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METER_PLATFORM", PASSWORD)
    file = tmp_path / "dlms.json"
    access = {"url": tenant.url, "username": USER, "password": "${env:METER_PLATFORM}"}
    device = {"deviceName": "A", "deviceType": "House", "connection": {"host": "10.0.0.1"}}
    file.write_text(json.dumps({"platform": access, "devices": [device]}), "utf-8")
    result = await run("install", "--config", str(file))
    assert result.exit_code == 0, result.output
    assert "+ device profile House: created" in result.output
    # A password of the configuration goes nowhere else.
    result = await run("install", "--config", str(file), "--url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "who asks?" in result.output


async def test_the_password_is_asked_for(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "_is_terminal", lambda: True)
    result = await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["platform", "install", "--url", tenant.url, "--user", USER, "--dry-run"],
        input=f"{PASSWORD}\n",
    )
    assert result.exit_code == 0, result.output
    assert f"Password of {USER} at {tenant.url}: \n" in result.output
    assert PASSWORD not in result.output


async def test_a_wrong_password(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLMS_PLATFORM_PASSWORD", "wrong-one")
    result = await run("install", "--url", tenant.url, "--user", USER)
    assert result.exit_code == 1
    assert "error: /api/auth/login: the platform answered 401" in result.output
    assert "wrong-one" not in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give --url URL, or --config FILE"),
        (("--url", "tb.example.com"), "an address such as"),
        (("--url", "http://admin:pw@tb.example.com"), "without user and password"),
        (("--url", "http://tb.example.com"), "who asks?"),
        (("--config", "/nowhere/dlms.json"), "does not exist"),
    ],
)
async def test_what_is_not_given(tenant: Tenant, options: tuple[str, ...], said: str) -> None:
    for command in ("install", "check"):
        result = await run(command, *options)
        assert result.exit_code == 2
        assert said in " ".join(result.output.split())
        assert "pw@" not in result.output
