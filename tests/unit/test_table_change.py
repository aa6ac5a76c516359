"""A table of devices that changes: whom it concerns, and whom not, at the connector's seams."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

from dlms_connector.config import Device, load
from dlms_connector.connector import DLMSConnector
from dlms_connector.fleet.jobs import ReplacedError
from tests.support.fake_fleet import FakeFleet, poll
from tests.support.gateway import FakeGateway

Make = Callable[..., DLMSConnector]
HEAD = "deviceName,connection.host"


class Site:
    """A connector with a table, and the fleets that were made for it."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self.path = gateway.folder / "config" / "meters.csv"
        self.fleets: list[FakeFleet] = []
        self.connectors: list[DLMSConnector] = []

    def write(self, *rows: str, head: str = HEAD) -> None:
        """Write the table; a row that is a name only is of a meter at one host."""
        draft = self.path.with_suffix(".draft")
        lines = (row if "," in row or not row else f"{row},h" for row in rows)
        draft.write_text("\n".join((head, *lines)))
        draft.replace(self.path)

    def open(
        self, *rows: str, head: str = HEAD, fleet: type[FakeFleet] = FakeFleet, **config: Any
    ) -> DLMSConnector:
        """Open a connector with these rows, and wait until it has a fleet."""
        self.write(*rows, head=head)
        site = self

        class Watched(fleet):  # type: ignore[misc,valid-type]
            def __init__(self, *args: Any, **keys: Any) -> None:
                super().__init__(*args, **keys)
                site.fleets.append(self)

        kind = type("Connector", (DLMSConnector,), {"fleet_factory": Watched})
        raw = {"id": "id-1", "name": "Meters", "devicesFile": self.path.name, **config}
        connector: DLMSConnector = kind(self.gateway, raw, "custom")
        self.connectors.append(connector)
        connector.open()
        self.gateway.connect()
        self.until(lambda: self.fleets)
        return connector

    @property
    def fleet(self) -> FakeFleet:
        """The only fleet that there ever was."""
        (fleet,) = self.fleets
        return fleet

    def until(self, condition: Callable[[], Any]) -> None:
        end = monotonic() + 30
        while not condition():
            what = [one.name for one in threading.enumerate()], self.gateway.calls
            assert monotonic() < end, what
            sleep(0.005)

    def until_changed(self, *names: str) -> None:
        """Wait until the fleet has these devices."""
        self.until(lambda: self.fleet.changes[-1:] == [[*names]])

    def state(self, name: str) -> Any:
        return self.gateway.attributes(name).get("dlmsState")

    def until_state(self, **states: str) -> None:
        self.until(lambda: all(self.state(name) == one for name, one in states.items()))

    def told(self, name: str) -> list[str]:
        """Return all states of a meter that were told."""
        sent = [data.attributes.to_dict() for _, _, data in self.gateway.sent
                if data.device_name == name]  # fmt: skip
        return [one["dlmsState"] for one in sent if "dlmsState" in one]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    monkeypatch.setattr("dlms_connector.gateway.table.LOOK_S", 0.01)
    made = Site(FakeGateway(tmp_path))
    yield made
    for connector in made.connectors:
        connector.close()


def others(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that were not there before."""
    return {*threading.enumerate()} - before


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


def test_only_the_changed_devices_are_others(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    connector = site.open("M1", "M2", "M3")
    site.until_state(M1="online", M2="online", M3="online")
    parts, before = connector.parts, site.fleet.devices
    converters = dict(parts.prepared.converters)
    site.write("M3", "M1,elsewhere", "M4")
    site.until_changed("M3", "M1", "M4")
    site.until_state(M2="offline", M4="online")
    assert connector.parts is parts
    after = site.fleet.devices
    assert after[0] is before[2]
    assert after[1].connection.host == "elsewhere"  # type: ignore[union-attr]
    assert parts.prepared.converters["M3"] is converters["M3"]
    assert parts.prepared.converters["M1"] is not converters["M1"]
    assert parts.prepared.converters.keys() == {"M1", "M3", "M4"}
    told = "1 meters are new, 1 are configured otherwise, 1 have left; 1 go on"
    site.until(lambda: told in caplog.text)
    assert site.gateway.attributes("M2")["dlmsLastError"].startswith("not polled any more")
    assert site.told("M3") == ["online"]
    assert errors(caplog) == []


def test_who_did_not_change_is_not_announced_again(site: Site) -> None:
    site.open("M1", "M2")

    def announced() -> list[tuple[str, ...]]:
        return [call for call in site.gateway.calls if call[0] == "add"]

    add_device = site.gateway.add_device

    def adding(name: str, *args: Any, **keys: Any) -> bool:
        site.gateway.note("add", name)
        return add_device(name, *args, **keys)

    site.gateway.add_device = adding  # type: ignore[method-assign]
    site.until_state(M1="online", M2="online")
    site.until(lambda: len(announced()) == 2)
    site.write("M1", "M2,elsewhere", "M3")
    site.until(lambda: len(announced()) == 4)
    site.write("M1", "M3")
    site.until(lambda: ("disconnect", "M2") in site.gateway.calls)
    assert sorted(announced()) == [("add", "M1"), ("add", "M2"), ("add", "M2"), ("add", "M3")]
    assert site.gateway.calls.count(("connect", "M1", "DLMS Energy Meter")) == 1


def test_a_table_that_says_nothing_new_or_nothing_at_all(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    connector = site.open("M1")
    site.write("M1", "")
    site.until(lambda: "says what it said" in caplog.text)
    site.path.write_text("a table without a head\n")
    site.until(lambda: "polling goes on as before" in caplog.text)
    site.path.unlink()
    site.write("M3")
    site.until_changed("M3")
    assert site.fleet.changes == [["M3"]]
    connector.close()
    assert connector.is_stopped()


def test_several_changes_in_a_row(site: Site) -> None:
    """Also while one is being made: each is made, or a later one."""
    site.open("M0")
    for number in range(1, 30):
        site.write(*(f"M{n}" for n in range(number % 7 + 1)))
        sleep(0.004 * (number % 5))
    site.until(lambda: site.fleet.changes)
    site.write("M1", "last")
    site.until_changed("M1", "last")
    site.until_state(last="online", M0="offline")


def test_secrets_count_by_their_values(site: Site) -> None:
    secrets = site.gateway.folder / "config" / "secrets"
    secrets.mkdir()
    for name in ("a", "b"):
        (secrets / name).write_text("1234")
    head = f"{HEAD},dlms.authentication,dlms.password"
    rows = ["M1,h,LOW,${file:a}", "M2,i,LOW,${file:b}"]
    site.open(*rows, head=head)
    before = site.fleet.devices
    (secrets / "b").write_text("5678")
    site.write(*rows, "", head=head)
    site.until_changed("M1", "M2")
    assert site.fleet.devices[0] is before[0]
    assert bytes(site.fleet.devices[1].dlms.password or b"") == b"5678"


def test_a_refused_device_that_is_fine_and_the_other_way_round(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"{HEAD},pollPeriod"
    connector = site.open("M1,h,1000", head=head)
    site.write("M1,h,1000", "M2,h,1", head=head)
    site.until_state(M1="online", M2="misconfigured")
    site.write("M1,h,1", "M2,h,1000", head=head)
    site.until_state(M1="misconfigured", M2="online")
    assert "pollPeriod" in site.gateway.attributes("M1")["dlmsLastError"]
    site.write("M2,h,1000", "M3,h,1000", head=head)
    site.until_state(M3="online")
    assert [one.name for one in connector.parts.prepared.misconfigured] == []
    assert site.told("M2") == ["misconfigured", "online"]
    assert site.told("M1") == ["online", "misconfigured"]
    assert len(site.fleets) == 1


def test_what_was_read_before_is_converted_as_it_would_have_been(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a converter of the user's own, also if its device has left before it is its turn."""
    go_on, made = threading.Event(), []

    class Own:
        def __init__(self, device: Device, log: Any) -> None:
            self.host = device.connection.host  # type: ignore[union-attr]
            made.append(device.device_name)

        def convert(self, config: Any, data: Any) -> Any:
            go_on.wait(20)
            name = config.device_name
            return {"deviceName": name, "deviceType": "t", "telemetry": [{"host": self.host}]}

    monkeypatch.setattr(TBModuleLoader, "import_module", lambda *_: Own)
    site.open("M0", "M1", "M2", defaults={"uplinkConverter": "Own"})
    site.write("M0", "M1,elsewhere")
    site.until_changed("M0", "M1")
    go_on.set()

    def hosts() -> list[tuple[str, str]]:
        return sorted((one["deviceName"], one["telemetry"][0]["host"])
                      for _, _, one in site.gateway.sent if isinstance(one, dict))  # fmt: skip

    site.until(lambda: len(hosts()) == 4)
    assert hosts() == [("M0", "h"), ("M1", "elsewhere"), ("M1", "h"), ("M2", "h")]
    assert made == ["M0", "M1", "M2", "M1"]  # the one of M0 stays, and what it may remember


def test_a_converter_that_fails_is_told_of_again_once_it_is_another(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Own:
        def __init__(self, device: Device, log: Any) -> None:
            """Take what the gateway gives."""

        def convert(self, config: Any, data: Any) -> Any:
            raise ValueError("a fault of the user's own")

    def told(name: str) -> int:
        return caplog.text.count(f"{name}: the converter failed: ValueError")

    monkeypatch.setattr(TBModuleLoader, "import_module", lambda *_: Own)
    site.open("M1", "M2", defaults={"uplinkConverter": "Own"})
    site.until(lambda: told("M1") == told("M2") == 1)
    site.write("M1", "M2,elsewhere")
    site.until(lambda: told("M2") == 2)
    assert told("M1") == 1


@pytest.mark.parametrize("where", ["news", "fleet", "downlink", "loop"])
def test_a_fault_costs_nobody_his_meters(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """Where nothing is changed yet polling goes on; later, all begin anew; it is told once."""
    site.open("M1")
    site.until_state(M1="online")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault in the making")

    place = {
        "news": "dlms_connector.gateway.table.prepare",
        "fleet": "tests.support.fake_fleet.FakeFleet.change",
        "downlink": "dlms_connector.gateway.downlink.Downlink.serve",
        "loop": "dlms_connector.gateway.parts.Parts._serve",
    }[where]
    with monkeypatch.context() as broken:
        broken.setattr(place, fail)
        site.write("M1", "M2")
        site.until(lambda: errors(caplog))
        if where != "news":
            site.until(lambda: len(site.fleets) == 2)
            site.until_state(M2="online")
    assert len(errors(caplog)) == 1
    told = "polling goes on as before" if where == "news" else "all meters begin anew"
    assert told in errors(caplog)[0]
    site.write("M1", "M2", "M3")
    site.until_state(M3="online")
    assert len(site.fleets) == (1 if where == "news" else 2)
    assert len(errors(caplog)) == 1


def test_a_loop_that_has_ended_or_is_stuck_is_replaced(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dlms_connector.gateway.parts._CHANGE_S", 0.05)
    stuck = threading.Event()

    class Stuck(FakeFleet):
        async def behave(self) -> None:
            await super().behave()
            if len(site.fleets) == 1:
                site.gateway.note("stuck")
                stuck.wait(20)

    site.open("M1", fleet=Stuck)
    site.until(lambda: ("stuck",) in site.gateway.calls)
    site.write("M1", "M2")
    site.until(lambda: "does not take a change" in caplog.text)
    stuck.set()
    site.until_state(M2="online")
    assert len(site.fleets) == 2


def test_what_more_than_the_devices_changes_makes_all_anew(site: Site) -> None:
    """The document is the same; but a secret in it may be another."""
    secrets = site.gateway.folder / "config" / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("one")
    platform = {"url": "http://127.0.0.1:9", "apiKey": "${file:key}"}
    site.open("M1", platform=platform)
    (secrets / "key").write_text("two")
    site.write("M1", "")
    site.until(lambda: len(site.fleets) == 2)


def test_closing_waits_for_no_table(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one takes seconds, and the gateway has less patience than that."""
    before = {*threading.enumerate()}
    loading, go_on = threading.Event(), threading.Event()
    connector = site.open("M1")

    def slow(*args: Any, **keys: Any) -> Any:
        loading.set()
        assert go_on.wait(20)
        return load(*args, **keys)

    monkeypatch.setattr("dlms_connector.gateway.table.load", slow)
    site.write("M1", "M2")
    assert loading.wait(20)
    start = monotonic()
    connector.close()
    assert monotonic() - start < 5
    assert connector.is_stopped()
    go_on.set()
    site.until(lambda: not any("loading" in one.name for one in others(before)))
    assert site.fleet.changes == []


def test_closing_in_the_middle_of_a_change(site: Site) -> None:
    """Neither hangs, and nothing is left running."""
    before = {*threading.enumerate()}
    for turn in range(8):
        site.fleets.clear()
        connector = site.open("M1", *(f"N{n}" for n in range(turn)))
        site.write("M1", f"T{turn}")
        sleep(0.012 * turn)
        connector.close()
        assert connector.is_stopped()
    site.until(lambda: not any(one.name.startswith("Meters") for one in others(before)))


def test_shared_attributes_and_calls_get_over_a_change(site: Site) -> None:
    """Of a meter that goes on, of one that is another now, of one that comes, and one that goes."""
    futures: dict[str, list[asyncio.Future[Any]]] = {}

    class Taking(FakeFleet):
        def submit(self, name: str, job: Any, *, timeout_s: float) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            futures.setdefault(name, []).append(future)
            return future

        def trace(self, name: str, tap: Any) -> None:
            """Trace nothing."""

    limit = {"key": "limit", "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
    connector = site.open("M1", "M2", "M4", fleet=Taking, defaults={"attributeUpdates": [limit]})
    for name in ("M1", "M2", "M3", "M4"):
        connector.on_attributes_update({"device": name, "data": {"limit": 4000}})
        call = {"device": name, "data": {"id": 7, "method": "readClock", "params": {}}}
        connector.server_side_rpc_handler(call)
    site.until(lambda: len(site.gateway.replies) == 1 and len(futures) == 3)
    assert "polls no such device" in str(site.gateway.replies)
    running = {name: len(each) for name, each in futures.items()}
    assert running == {"M1": 2, "M2": 2, "M4": 2}
    site.write("M1", "M2,elsewhere", "M3")
    site.until_changed("M1", "M2", "M3")
    connector.on_attributes_update({"device": "M3", "data": {"limit": 4000}})
    site.until(lambda: "M3" in futures)
    assert {name: len(each) for name, each in futures.items()} == running | {"M3": 1}
    assert len(site.gateway.replies) == 1
    # What is still to be written to the one that has changed is written when it is there.
    loop = futures["M2"][0].get_loop()
    for future in (*futures["M2"], *futures["M4"]):
        loop.call_soon_threadsafe(future.set_exception, ReplacedError())
    site.until(lambda: len(site.gateway.replies) == 3)
    loop.call_soon_threadsafe(connector.parts.downlink.online, "M2")
    site.until(lambda: len(futures["M2"]) == 3)
    loop.call_soon_threadsafe(connector.parts.downlink.online, "M4")
    loop.call_soon_threadsafe(connector.parts.downlink.online, "M1")
    sleep(0.1)
    assert len(futures["M4"]) == 2


def test_a_meter_that_leaves_does_not_stay_online(site: Site) -> None:
    """Also if it came online just before, or nothing can be written down."""
    for folder in (str(site.gateway.folder / "own"), "/dev/null/x"):
        site.gateway.sent.clear()
        site.fleets.clear()
        connector = site.open("M1", "M2", stateDirectory=folder)
        site.until_state(M2="online")
        site.write("M1")
        site.until_state(M2="offline", M1="online")
        connector.close()


def test_nothing_stays_of_what_has_left(site: Site) -> None:
    """Without a search for garbage, which would stand in the way of all the others."""
    connector = site.open("M1", "M2", "M3")
    site.until_state(M1="online", M2="online", M3="online")
    devices = site.fleet.devices
    prepared = connector.parts.prepared
    what: list[object] = [*devices[1:], prepared.converters["M3"], prepared]
    watched = [weakref.ref(each) for each in what]
    del devices, prepared, what
    gc.collect()
    gc.disable()
    try:
        site.write("M1", "M3,elsewhere")
        site.until_changed("M1", "M3")
        site.until_state(M2="offline")
        site.until(lambda: [each() for each in watched] == [None] * 4)
    finally:
        gc.enable()


def test_nothing_stays_of_parts_that_end(site: Site) -> None:
    """Several fleets that are no more would wait in memory for Python's next full search."""
    secrets = site.gateway.folder / "config" / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("one")
    platform = {"url": "http://127.0.0.1:9", "apiKey": "${file:key}"}
    connector = site.open("M1", platform=platform)
    site.until_state(M1="online")
    before = weakref.ref(connector.parts)
    (secrets / "key").write_text("two")
    site.fleets.clear()
    gc.disable()
    try:
        site.write("M1", "M2")
        site.until(lambda: before() is None)
    finally:
        gc.enable()


def test_the_first_profile_opens_the_records(site: Site) -> None:
    connector = site.open("M1")
    delivering = connector.parts.delivering
    site.until_state(M1="online")
    assert delivering.status()["mode"] == "none"
    head, reads = f"{HEAD},profiles", 'M1,h,"[{""obis"": ""1-0:99.1.0""}]"'
    site.write(reads, head=head)
    site.until_changed("M1")
    assert delivering.status()["mode"] != "none"
    assert site.fleet.records is delivering.records is not None
    site.write(reads, "M2,h,", head=head)
    site.until_changed("M1", "M2")


def test_diagnostics_follow(site: Site) -> None:
    """Of meters that come, also where there was none; none of those that have left."""
    site.open("M1", diagnosticsPeriod=50)
    site.until_state(M1="online")

    def told() -> set[str]:
        return {row["device"] for row in site.gateway.telemetry() if "dlmsPollsOk" in row}

    site.until(lambda: told() == {"M1"})
    site.write("M2", "M3")
    site.until_changed("M2", "M3")
    site.until_state(M1="offline")
    site.gateway.sent.clear()
    site.until(lambda: told() == {"M2", "M3"})


def test_one_more_poll_of_a_device_that_goes_on(site: Site) -> None:
    """Its counter of bytes, and what it is called: nothing begins at zero."""
    connector = site.open("M1")
    site.until_state(M1="online")
    parts = connector.parts
    read = parts.uplink.readings
    site.write("M1", "M2")
    site.until_changed("M1", "M2")
    site.until_state(M2="online")
    assert parts.uplink.online == {"M1", "M2"}
    assert connector.is_connected()
    parts.uplink.polled(site.fleet.devices[0], poll())
    site.until(lambda: parts.uplink.readings == read + 2)
    site.write("M2")
    site.until_changed("M2")
    assert parts.uplink.online == {"M2"}
