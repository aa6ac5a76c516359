"""The audit against the stand-in's REST API, and what is made of its answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable

import pytest

from dlms_connector.delivery import Audit, AuditThread, PlatformRest, RestError
from dlms_connector.delivery.audit import Finding
from dlms_connector.demo.platform_rest import PlatformRest as Server
from dlms_connector.demo.platform_store import Store
from dlms_connector.obis import Obis
from dlms_connector.records import Source
from tests.support.peers import free_port

LOG = logging.getLogger("test audit")
SOURCE = Source("M 1", Obis.parse("1-0:99.1.0"))
DAY = 86_400_000
NOW = 20_000 * DAY + 5 * 3_600_000
PERIOD_S = 900
USER, PASSWORD = "auditor", "not-for-the-log"


class FakeLedger:
    """Says that all of the last days is confirmed."""

    def __init__(self) -> None:
        self.lacking: list[int] = []

    def confirmed_instants(
        self, source: Source, start_ms: int, end_ms: int, period_s: int
    ) -> tuple[int, ...]:
        return tuple(range(start_ms, end_ms, (period_s or 3600) * 1000))

    def missing(self, source: Source, instants: Iterable[int]) -> int:
        self.lacking = [*instants]
        return len(self.lacking)


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[tuple[Server, Store]]:
    store = Store()
    made = Server(store, {USER: PASSWORD})
    await made.start()
    store.add_device("M 1", "Meter")
    for ts in range(NOW - 10 * DAY, NOW, PERIOD_S * 1000):
        ts = ts // (PERIOD_S * 1000) * PERIOD_S * 1000
        # A column without a value in one row: it is not stored.
        store.add_telemetry("M 1", ts, {"load": 1} if ts % DAY else {"load": 1, "noon": 1})
    yield made, store
    await made.close()
    store.close()


def auditing(url: str, password: str = PASSWORD) -> tuple[Audit, FakeLedger]:
    ledger = FakeLedger()
    rest = PlatformRest(url, username=USER, password=password.encode())
    audit = Audit(ledger, rest, lambda name: name, LOG)
    audit.saw(SOURCE, PERIOD_S, [{"load": 1}, {"load": 1, "noon": 1}])
    return audit, ledger


async def test_all_is_there() -> None:
    async with server() as (made, _):
        audit, ledger = auditing(made.url)
        found = await asyncio.to_thread(audit.look, SOURCE, NOW)
        assert (found.confirmed, found.missing) == (8 * 96, 0)
        assert not ledger.lacking
        assert len(made.asked) == 3  # log in, find, count


async def test_what_is_missing_is_found_to_the_row(caplog: pytest.LogCaptureFixture) -> None:
    async with server() as (made, store):
        gone = [20_000 * DAY - 3 * DAY + 900_000 * n for n in (5, 6, 50)]
        for ts in gone:
            store._db.execute("DELETE FROM telemetry WHERE ts = ?", (ts,))
        audit, ledger = auditing(made.url)
        found = await asyncio.to_thread(audit.look, SOURCE, NOW)
        assert found.missing == 3
        assert ledger.lacking == gone
        assert "M 1: 1-0:99.1.0" in caplog.text
        made.expire()  # it logs in anew
        assert (await asyncio.to_thread(audit.look, SOURCE, NOW)).missing == 3


async def test_a_row_in_which_the_counted_key_has_no_value_is_not_missing() -> None:
    async with server() as (made, store):
        ts = 20_000 * DAY - 2 * DAY + 900_000
        store._db.execute("DELETE FROM telemetry WHERE ts = ?", (ts,))
        store.add_telemetry("M 1", ts, {"noon": 1})
        audit, ledger = auditing(made.url)
        await asyncio.to_thread(audit.look, SOURCE, NOW)
        assert not ledger.lacking


async def test_what_goes_wrong_is_said_without_the_secret() -> None:
    async with server() as (made, store):
        audit, _ = auditing(made.url, PASSWORD + "x")
        with pytest.raises(RestError, match="check the platform's user") as wrong:
            await asyncio.to_thread(audit.look, SOURCE, NOW)
        store.delete_device("M 1")
        audit, _ = auditing(made.url)
        with pytest.raises(RestError, match="no such device") as gone:
            await asyncio.to_thread(audit.look, SOURCE, NOW)
    audit, ledger = auditing(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RestError, match=r"check platform\.url") as away:
        await asyncio.to_thread(audit.look, SOURCE, NOW)
    assert not ledger.lacking  # no answer is not an answer
    for error in (wrong, gone, away):
        assert PASSWORD not in str(error.value)
        assert PASSWORD not in repr(error.value.__context__)
    assert PASSWORD not in repr(audit._rest)


async def test_a_device_that_was_deleted_since_the_last_audit_is_looked_up_anew() -> None:
    """The platform answers for an id that is no more as for a device without data."""
    async with server() as (made, store):
        audit, ledger = auditing(made.url)
        await asyncio.to_thread(audit.look, SOURCE, NOW)
        store.delete_device("M 1")
        with pytest.raises(RestError, match="no such device"):
            await asyncio.to_thread(audit.look, SOURCE, NOW)
        assert not ledger.lacking
        store.add_device("M 1", "Meter")
        kept = 20_000 * DAY - 2 * DAY
        store.add_telemetry("M 1", kept, {"load": 1})
        await asyncio.to_thread(audit.look, SOURCE, NOW)
        assert len(ledger.lacking) == 8 * 96 - 1
        assert kept not in ledger.lacking


async def test_each_profile_is_audited_and_what_lacks_is_told() -> None:
    async with server() as (made, store):
        store._db.execute("DELETE FROM telemetry WHERE ts = ?", (20_000 * DAY - DAY,))
        audit, _ = auditing(made.url)
        lacking: list[Source] = []
        now = NOW / 1000
        thread = AuditThread(audit, LOG, lacking.append, pause_s=0.0, unix=lambda: now)
        again_s = await asyncio.to_thread(thread.once)
        assert lacking == [SOURCE]
        assert again_s == 3600
        assert thread.last == {"at": NOW, "profiles": 1, "confirmed": 768, "missing": 1}
        now += again_s
        await asyncio.to_thread(thread.once)
        assert lacking == [SOURCE]
        now += 86_400
        await asyncio.to_thread(thread.once)
        assert lacking == [SOURCE] * 2


async def test_a_profile_that_becomes_known_after_the_first_audit_does_not_wait_for_a_day() -> None:
    async with server() as (made, store):
        store._db.execute("DELETE FROM telemetry WHERE ts = ?", (20_000 * DAY - DAY,))
        rest = PlatformRest(made.url, username=USER, password=PASSWORD.encode())
        audit = Audit(FakeLedger(), rest, lambda name: name, LOG)
        lacking: list[Source] = []
        thread = AuditThread(audit, LOG, lacking.append, pause_s=0.0, unix=lambda: NOW / 1000)
        await asyncio.to_thread(thread.once)
        audit.saw(SOURCE, PERIOD_S, [{"load": 1}])
        assert await asyncio.to_thread(thread.once) == 3600
        assert lacking == [SOURCE]


def test_an_odd_answer_about_one_profile_costs_the_others_no_audit() -> None:
    class Odd:
        """An audit for which the platform answers one profile with nonsense."""

        def sources(self) -> tuple[Source, ...]:
            return Source("odd", SOURCE.profile), SOURCE

        def look(self, source: Source, now_ms: int) -> Finding:
            if source.device == "odd":
                raise KeyError("ts")
            return Finding(5, 1)

    lacking: list[Source] = []
    thread = AuditThread(Odd(), LOG, lacking.append, pause_s=0.0, unix=lambda: NOW / 1000)  # type: ignore[arg-type]
    thread.once()
    assert lacking == [SOURCE]
    assert thread.last["profiles"] == 1


def test_devices_that_the_platform_has_not_keep_no_other_from_its_audit() -> None:
    class Gone:
        """An audit of many devices of which most were never made on the platform."""

        looked: list[str] = []  # noqa: RUF012

        def sources(self) -> tuple[Source, ...]:
            return (*(Source(f"gone {n}", SOURCE.profile) for n in range(12)), SOURCE)

        def look(self, source: Source, now_ms: int) -> Finding:
            self.looked.append(source.device)
            if source != SOURCE:
                raise RestError(f"{source.device}: the platform has no such device")
            return Finding(5, 0)

    audit, now = Gone(), NOW / 1000
    thread = AuditThread(audit, LOG, print, pause_s=0.0, unix=lambda: now)  # type: ignore[arg-type]
    for _ in range(3):
        now += thread.once()
    assert SOURCE.device in audit.looked
