"""Delivery as the gateway sees it: what is sent to it, asked of it, and taken from it."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from thingsboard_gateway.gateway.constant_enums import Status
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.report_strategy_config import ReportStrategyConfig
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.config import Configuration
from dlms_connector.gateway.delivering import FILE, Delivering, GatewaysPlatform
from dlms_connector.gateway.renames import Renames
from dlms_connector.obis import Obis
from dlms_connector.records import Entry, Records, Slice, Source
from dlms_converters.device_data import DeviceData
from dlms_converters.report_strategy import ON_RECEIVED
from tests.support.gateway import FakeGateway

LOG = logging.getLogger("DLMS")
SOURCE = Source("M1", Obis.parse("1-0:99.1.0"))
ON_CHANGE = ReportStrategyConfig({"type": "ON_CHANGE"})


class Asked(FakeGateway):
    """Notes which attributes are requested; a test answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.requests: list[tuple[str, list[str], Callable[..., None]]] = []

    def request_device_attributes(
        self, device_name: str, shared_keys: Any, client_keys: list[str], callback: Any
    ) -> None:
        assert shared_keys is None
        self.requests.append((device_name, client_keys, callback))
        self.note("request", device_name, *client_keys)


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    made = Asked(tmp_path)
    made.connect()
    return made


@pytest.fixture
def start(gateway: FakeGateway, tmp_path: Path) -> Iterator[Callable[..., Delivering]]:
    begun: list[Delivering] = []

    def begin(**keys: Any) -> Delivering:
        document = {"journal": {}, "confirmPeriod": 1000, **keys}
        made = Delivering(
            gateway,
            Renames(gateway, ["M1"], LOG),
            Configuration.model_validate(document),
            ["M1"],
            LOG,
            lambda data: gateway.send_to_storage("DLMS", "id", data) == Status.SUCCESS,
        )
        made.open(tmp_path, "DLMS")
        begun.append(made)
        return made

    yield begin
    for each in begun:
        each.close(5.0)


def rows(count: int) -> tuple[Slice, list[Entry]]:
    period_ms = 900_000
    stamps = tuple(1_700_000_100_000 + period_ms * n for n in range(count))
    entries = [Entry(SOURCE, "Meter", ts_ms, {"load": 1}) for ts_ms in stamps]
    return Slice(SOURCE, 900, stamps[0], stamps[-1] + period_ms, stamps), entries


def polled(*values: tuple[str, Any, Any], ts_ms: int = 1_700_000_000_000) -> DeviceData:
    data = DeviceData("M1", "Meter")
    points = {DatapointKey(key, strategy): value for key, value, strategy in values}
    data.add_to_telemetry(TelemetryEntry(points, ts_ms))
    return data


def test_what_was_read_last_is_written_though_the_disk_is_slow(
    start: Callable[..., Delivering], tmp_path: Path
) -> None:
    delivering = start()
    records = delivering.records
    assert records is not None
    journal, begun, done = records.journal, threading.Event(), threading.Event()

    def slowly(entries: Any) -> Any:
        begun.set()
        done.wait(20)
        return journal(entries)

    records.journal = slowly  # type: ignore[method-assign]
    delivering.journal(polled(("voltage", 230, ON_RECEIVED)))
    assert begun.wait(10)
    assert not delivering.close(0.0)  # which is told: what is lost is not lost silently

    again = start()
    records = again.records
    assert records is not None
    journal = records.journal
    records.journal = slowly  # type: ignore[method-assign]
    again.journal(polled(("voltage", 231, ON_RECEIVED)))
    threading.Timer(0.3, done.set).start()
    assert again.close(20.0)
    kept = Records.open(tmp_path / FILE, LOG)
    assert 231 in [one.values["voltage"] for one in kept.pending()]
    kept.close()


def test_rows_are_kept_sent_with_their_number_and_confirmed(
    gateway: FakeGateway, start: Callable[..., Delivering]
) -> None:
    delivering = start(confirm="receipts")
    told: list[tuple[bool, str]] = []
    delivering.history(*rows(3), lambda good, why: told.append((good, why)))
    assert told == [(True, "")]
    gateway.wait_for(lambda: len(gateway.telemetry()) == 3)
    numbers = [one["dlmsReceipt"] for one in gateway.telemetry()]
    assert {key.report_strategy for _, _, data in gateway.sent for entry in data.telemetry
            for key in entry.values} == {ON_RECEIVED}  # fmt: skip
    for number in numbers:
        content = {"device": "M1", "data": {"dlmsReceipt": number}}
        assert delivering.take_receipts(content) is None
    assert delivering.records is not None
    records = delivering.records
    gateway.wait_for(lambda: poked(delivering, gateway) and not records.pending())
    delivering.history(*rows(3), lambda good, why: told.append((good, why)))
    assert not records.pending()  # read again, and known to be there


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "just-confirmed"])
def test_rows_of_a_deleted_device_are_wanted_again(
    gateway: FakeGateway, start: Callable[..., Delivering], *, noted: bool
) -> None:
    delivering = start(confirm="receipts")
    wanted: list[Source] = []
    delivering.lacks = wanted.append
    delivering.history(*rows(3), lambda good, why: None)
    gateway.wait_for(lambda: len(gateway.telemetry()) == 3)
    for one in gateway.telemetry():
        content = {"device": "M1", "data": {"dlmsReceipt": one["dlmsReceipt"]}}
        delivering.take_receipts(content)
    records = delivering.records
    assert records is not None
    if noted:
        gateway.wait_for(lambda: poked(delivering, gateway) and not records.pending())
    delivering.deleted("M1")
    gateway.wait_for(lambda: poked(delivering, gateway) and wanted == [SOURCE])
    delivering.history(*rows(3), lambda good, why: None)
    gateway.wait_for(lambda: len(gateway.telemetry()) == 6)


def poked(delivering: Delivering, gateway: FakeGateway) -> bool:
    """Let the waiting test look again: confirmations reach the disk, not the gateway."""
    delivering._put(lambda courier: gateway.note("poked"))
    return True


def test_watermarks_are_asked_for_by_the_name_on_the_platform(
    gateway: Asked, start: Callable[..., Delivering]
) -> None:
    gateway.rename("M1", "Kitchen")
    delivering = start(confirm="watermarks")
    delivering.history(*rows(2), lambda good, why: None)
    for _ in range(2):
        gateway.wait_for(lambda: gateway.requests)
        name, keys, answer = gateway.requests.pop()
        assert (name, keys) == ("Kitchen", ["dlmsWatermark"])
        answer({"id": 1, "device": name}, None)  # not set yet
        answer(None, TimeoutError())
        value = gateway.attributes("M1")["dlmsWatermark"]
        answer({"id": 1, "device": name, "value": value}, None)
    assert delivering.records is not None
    records = delivering.records
    gateway.wait_for(lambda: poked(delivering, gateway) and not records.pending())
    assert delivering.status()["confirmed"] == 2


def test_a_question_that_is_never_answered_holds_nobody(gateway: Asked) -> None:
    """The gateway keeps what it would call for ever, and with it a whole fleet of before."""
    answers: list[tuple[str, Any]] = []
    renames = Renames(gateway, ["M1"], LOG)
    platform = GatewaysPlatform(
        gateway, renames, lambda data: True, lambda *one: answers.append(one)
    )
    platform.ask("M1", "dlmsWatermark")
    _, _, answer = gateway.requests.pop()
    answer({"value": 7}, None)
    gone = weakref.ref(platform)
    del platform
    assert gone() is None
    answer({"value": 8}, None)
    assert answers == [("M1", 7)]


def test_only_receipts_are_taken_out_of_shared_attributes(
    start: Callable[..., Delivering],
) -> None:
    delivering = start()
    for ordinary in ({}, {"device": "M1", "data": {"limit": 1}}, {"deleted": ["x"]}, None):
        assert delivering.take_receipts(ordinary) is ordinary
    both = {"device": "M1", "data": {"dlmsReceipt": 5, "limit": 1}}
    assert delivering.take_receipts(both) == {"device": "M1", "data": {"limit": 1}}


def test_the_journal_takes_what_is_sent_each_time_and_leaves_the_rest(
    gateway: FakeGateway, start: Callable[..., Delivering]
) -> None:
    delivering = start(confirm="none")
    data = polled(("voltage", 230, ON_RECEIVED), ("state", "on", ON_CHANGE), ("own", 1, None))
    data.add_to_attributes({DatapointKey("serial"): "A1"})
    rest = delivering.journal(data)
    assert rest.to_dict()["telemetry"] == [
        {"ts": 1_700_000_000_000, "values": {"state": "on", "own": 1}}
    ]
    assert rest.to_dict()["attributes"] == {"serial": "A1"}
    gateway.wait_for(lambda: gateway.telemetry())
    assert gateway.telemetry() == [{"device": "M1", "ts": 1_700_000_000_000, "voltage": 230}]


def test_without_a_journal_polls_go_their_usual_way(start: Callable[..., Delivering]) -> None:
    delivering = start(journal=False)
    data = polled(("voltage", 230, ON_RECEIVED))
    assert delivering.journal(data) is data
    assert delivering.status()["mode"] == "none"
    told: list[tuple[bool, str]] = []
    delivering.history(*rows(1), lambda good, why: told.append((good, why)))
    assert told == [(False, "no records are kept")]


def test_records_that_cannot_be_opened_stop_no_poll(
    tmp_path: Path, start: Callable[..., Delivering], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "records.sqlite").mkdir()
    delivering = start()
    assert delivering.records is None
    data = polled(("voltage", 230, ON_RECEIVED))
    assert delivering.journal(data) is data
    assert "no journal is kept" in caplog.text


def test_a_connection_that_comes_later_is_noticed(
    gateway: FakeGateway, start: Callable[..., Delivering]
) -> None:
    assert gateway.tb_client is not None
    gateway.tb_client.connected = False
    delivering = start(confirm="none")
    delivering.reconcile()
    delivering.history(*rows(1), lambda good, why: None)
    gateway.wait_for(lambda: poked(delivering, gateway) and gateway.calls)
    assert not gateway.telemetry()
    gateway.tb_client.connected = True
    delivering.reconcile()
    gateway.wait_for(lambda: gateway.telemetry())


def test_values_that_cannot_be_kept_cost_no_reading_of_others(
    gateway: FakeGateway, start: Callable[..., Delivering]
) -> None:
    """A user's converter may return what JSON has not; all meters share a commit."""
    delivering = start(confirm="none")
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    delivering.journal(polled(("first", 1, ON_RECEIVED), ts_ms=1000))
    delivering.journal(polled(("odd", at, ON_RECEIVED), ts_ms=2000))
    delivering.journal(polled(("good", 2, ON_RECEIVED), ts_ms=3000))
    gateway.wait_for(lambda: len(gateway.telemetry()) == 3)
    assert delivering.records is not None
    kept = [dict(entry.values) for entry in delivering.records.pending()]
    assert kept == [{"first": 1}, {"odd": str(at)}, {"good": 2}]


def test_rows_that_json_has_not_are_told_as_not_kept(start: Callable[..., Delivering]) -> None:
    delivering = start()
    part, entries = rows(1)
    told: list[bool] = []
    bad = [replace(entries[0], values={"load": {1, 2}})]
    delivering.history(part, bad, lambda good, why: told.append(good))
    delivering.history(
        part, [replace(entries[0], ts_ms=1 << 70)], lambda good, _: told.append(good)
    )
    assert told == [False, False]


def test_what_waits_of_a_device_is_sent_when_it_is_there(
    gateway: FakeGateway, start: Callable[..., Delivering]
) -> None:
    """What of one that has left was sent already is not called back."""
    delivering = start(confirm="none")
    other = Source("M2", SOURCE.profile)
    part, entries = rows(3)
    records = delivering.records
    assert records is not None
    theirs = [Entry(other, "Meter", one.ts_ms, {"load": 2}) for one in entries]
    records.keep(replace(part, source=other), theirs)
    delivering.history(part, entries, lambda good, why: None)

    def sent() -> list[str]:
        return sorted(one["device"] for one in gateway.telemetry())

    gateway.wait_for(lambda: sent() == ["M1"] * 3)
    delivering.serve((), ["M2"])
    gateway.wait_for(lambda: sent() == ["M1"] * 3 + ["M2"] * 3)
    delivering.adopt("M3")
    delivering.serve((), ["M1", "M3"])
    gateway.wait_for(lambda: poked(delivering, gateway) and ("poked",) in gateway.calls)
    assert len(sent()) == 6
