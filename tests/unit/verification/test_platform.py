"""What the platform has of the meters, asked of the stand-in's REST API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dlms_connector.delivery import PlatformRest
from dlms_connector.demo.platform_rest import PlatformRest as Server
from dlms_connector.demo.platform_store import Store
from dlms_connector.verification import OnPlatform, ask_platform
from dlms_connector.verification import platform as asking
from tests.unit.verification.test_checks import FILE, HEALTHY

NOW_S = 1_790_000_000.0
USER, PASSWORD = "auditor", "s3cret"
FACTS = replace(
    HEALTHY,
    platform=None,
    clock_off_s=None,
    file=replace(FILE, polled=("A", "B", "Gone")),
)


@pytest_asyncio.fixture
async def rest() -> AsyncIterator[PlatformRest]:
    store = Store()
    server = Server(store, {USER: PASSWORD})
    await server.start()
    for name in ("A", "B"):
        store.add_device(name, "Meter")
    store.add_telemetry("A", int(NOW_S * 1000) - 70_000, {"u": 1})
    store.add_telemetry("A", int(NOW_S * 1000) - 30_000, {"i": 1})
    store.add_telemetry("A", int(NOW_S * 1000) - 1_000, {"dlmsPollMs": 9})
    store.set_attributes("A", "client", {"dlmsState": "online", "other": 1})
    store.add_telemetry("B", int(NOW_S * 1000) - 1_000, {"dlmsPollsFailed": 9})
    store.set_attributes("B", "client", {"dlmsState": "offline"})
    yield PlatformRest(server.url, username=USER, password=PASSWORD.encode())
    await server.close()
    store.close()


async def test_ages_and_states(rest: PlatformRest) -> None:
    facts = await asyncio.to_thread(ask_platform, FACTS, rest, NOW_S)
    assert facts.platform == {
        "A": OnPlatform(age_s=30.0, state="online"),
        "B": OnPlatform(age_s=None, state="offline"),  # its own counters do not count
        "Gone": OnPlatform(error="the platform has no such device"),
    }


async def test_the_clocks_are_compared(rest: PlatformRest) -> None:
    facts = await asyncio.to_thread(ask_platform, FACTS, rest, NOW_S)
    assert rest.date_s is not None
    assert facts.clock_off_s == NOW_S - rest.date_s


async def test_of_a_large_fleet_some_are_asked(
    rest: PlatformRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_DEVICES", 1)
    facts = await asyncio.to_thread(ask_platform, FACTS, rest, NOW_S)
    assert facts.platform is not None
    assert list(facts.platform) == ["A"]


async def test_a_refusal_is_told(rest: PlatformRest) -> None:
    wrong = PlatformRest(rest._url, username=USER, password=b"wrong")
    facts = await asyncio.to_thread(ask_platform, FACTS, wrong, NOW_S)
    assert "401" in facts.platform_problem
    assert facts.platform is None
