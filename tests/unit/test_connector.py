"""The connector as the gateway makes, opens, asks and closes it."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

from dlms_connector.config import Device
from dlms_connector.connector import DLMSConnector
from dlms_connector.errors import ConnectError
from dlms_connector.gateway import meters_thread
from dlms_connector.gateway.meters_thread import MetersThread
from dlms_connector.obis import Obis
from dlms_connector.reading import Poll, Reading
from tests.support.fake_fleet import NOW, FakeFleet, configuration, device, poll
from tests.support.gateway import FakeGateway
from tests.support.measured import measured

SECRET = "12345678"


Make = Callable[..., DLMSConnector]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    return FakeGateway(tmp_path)


@pytest.fixture
def make(gateway: FakeGateway) -> Iterator[Make]:
    made = []

    def make(config: Any, fleet: Any = FakeFleet, connector_type: str = "custom") -> DLMSConnector:
        kind = type("Connector", (DLMSConnector,), {"fleet_factory": fleet})
        connector: DLMSConnector = kind(gateway, config, connector_type)
        made.append(connector)
        return connector

    yield make
    for connector in made:
        connector.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


# What the gateway asks


def test_names_and_states(make: Make) -> None:
    config = configuration()
    connector = make(config)
    assert (connector.get_id(), connector.get_name()) == ("id-1", "Meters")
    assert connector.get_type() == "custom"
    assert connector.get_config() is config
    assert not connector.is_connected()
    assert not connector.is_stopped()
    connector.name = "Renamed"
    assert connector.get_name() == "Renamed"
    connector.close()
    assert connector.is_stopped()


def test_configuration_keeps_references_to_secrets(
    make: Make, monkeypatch: pytest.MonkeyPatch, gateway: FakeGateway
) -> None:
    monkeypatch.setenv("METER_01_PASSWORD", SECRET)
    dlms = {"authentication": "LOW", "password": "${env:METER_01_PASSWORD}"}
    connector = make(configuration(device(dlms=dlms)))
    gateway.connect()
    connector.open()
    gateway.wait_for(gateway.telemetry)
    assert SECRET not in str(connector.get_config())
    assert "${env:METER_01_PASSWORD}" in str(connector.get_config())


# The way of a poll


def test_a_poll_arrives_exactly(make: Make, gateway: FakeGateway) -> None:
    gateway.connect()
    connector = make(configuration())
    connector.open()
    gateway.wait_for(gateway.telemetry)
    assert gateway.telemetry() == [{"device": "M1", "ts": NOW, "voltage_l1": 135.19}]
    assert {(name, connector_id) for name, connector_id, _ in gateway.sent} == {("Meters", "id-1")}
    assert gateway.attributes("M1") == {"dlmsState": "online", "dlmsLastError": ""}
    assert connector.is_connected()
    assert connector.statistics == {"MessagesReceived": 1, "MessagesSent": 2}
    assert not any("receivedTs" in data.metadata for _, _, data in gateway.sent)


def test_announced_once(make: Make, gateway: FakeGateway) -> None:
    gateway.connect()
    connector = make(configuration(device(deviceType="House")))
    connector.open()
    gateway.wait_for(lambda: gateway.telemetry() and gateway.calls)
    assert gateway.calls == [("connect", "M1", "House")]
    assert gateway.devices["M1"]["connector"] is connector


def test_data_does_not_wait_for_the_platform(make: Make, gateway: FakeGateway) -> None:
    connector = make(configuration())
    connector.open()
    gateway.wait_for(gateway.telemetry)
    assert gateway.calls == []
    gateway.connect()
    gateway.wait_for(lambda: gateway.calls)
    assert gateway.calls == [("connect", "M1", "DLMS Energy Meter")]


def test_data_do_not_wait_for_an_announcement(make: Make, gateway: FakeGateway) -> None:
    """The gateway's client waits in there for as long as the platform's rate limits last."""
    release = threading.Event()

    def wait(name: str, content: dict[str, Any], device_type: str) -> bool:
        return release.wait(10)

    gateway.connect()
    gateway.add_device = wait  # type: ignore[method-assign]
    make(configuration(*(device(f"M{n}") for n in range(5)))).open()
    gateway.wait_for(lambda: len(gateway.telemetry()) == 5)
    assert {gateway.attributes(f"M{n}")["dlmsState"] for n in range(5)} == {"online"}
    release.set()


def test_a_counter_that_raises_costs_no_reading(
    make: Make, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway replaces its counters while others add to them."""

    def count(connector: str, name: str, count: int) -> None:
        raise KeyError(connector)

    monkeypatch.setattr(StatisticsService, "count_connector_message", count)
    make(configuration()).open()
    gateway.wait_for(gateway.telemetry)
    assert gateway.telemetry()[0]["voltage_l1"] == 135.19


def test_a_device_that_the_gateway_denies_is_not_polled(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    section = {"enable": True, "filterFile": "list.json"}
    gateway.config["thingsboard"] = {"deviceFiltering": section}
    rules = '{"deny": {"Meters": ["M[23]", "Bad"], "Others": ["M1"]}, "allow": {}}'
    (gateway.folder / "config/list.json").write_text(rules)
    gateway.connect()
    devices = [*(device(f"M{n}") for n in range(1, 5)), device("Bad", pollPeriod=1)]
    make(configuration(*devices)).open()
    gateway.wait_for(lambda: len(gateway.telemetry()) == 2 and len(gateway.calls) == 2)
    assert {data.device_name for _, _, data in gateway.sent} == {"M1", "M4"}
    assert {call[1] for call in gateway.calls} == {"M1", "M4"}
    line = "M2 is not polled: the gateway's deviceFiltering denies it"
    assert [one.getMessage() for one in caplog.records].count(line) == 1


def test_a_device_filter_that_cannot_be_read_denies_nobody(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    section = {"enable": True, "filterFile": "list.json"}
    gateway.config["thingsboard"] = {"deviceFiltering": section}
    for rules in ("{", '{"deny": {"Meters": ["("]}}'):
        (gateway.folder / "config/list.json").write_text(rules)
        make(configuration()).open()
        gateway.wait_for(gateway.telemetry)
        gateway.sent.clear()
    assert len([line for line in errors(caplog) if "deviceFiltering" in line]) == 2


def test_a_new_session_learns_of_the_devices(make: Make, gateway: FakeGateway) -> None:
    gateway.connect()
    make(configuration()).open()
    gateway.wait_for(lambda: len(gateway.calls) == 1)
    assert gateway.tb_client is not None
    gateway.tb_client.connected = False
    reconciled = threading.Event()
    gateway.tb_client.is_connected = lambda: reconciled.set() or False  # type: ignore[method-assign,func-returns-value]
    assert reconciled.wait(5)
    gateway.tb_client.is_connected = lambda: True  # type: ignore[method-assign]
    gateway.wait_for(lambda: len(gateway.calls) == 2)
    assert gateway.calls == [("connect", "M1", "DLMS Energy Meter")] * 2


def test_an_attribute_that_the_gateway_cannot_take_is_not_sent(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """It would lose with it what else waits to be stored."""
    connector = make(configuration())
    connector.open()
    (meter,) = connector.parts.prepared.devices
    connector.parts.uplink.attributes(meter, {"large": ["x" * 4000] * 3, "small": Decimal("1.5")})
    gateway.wait_for(lambda: "small" in gateway.attributes("M1"))
    assert "M1: attribute large is not sent: it has 12016 bytes" in errors(caplog)
    gateway.get_max_payload_size_bytes = lambda: 65536  # type: ignore[attr-defined]
    connector.parts.uplink.attributes(meter, {"large": ["x" * 4000] * 3})
    gateway.wait_for(lambda: "large" in gateway.attributes("M1"))


def test_latency_metadata_where_the_gateway_wants_it(make: Make, gateway: FakeGateway) -> None:
    gateway.latency = True
    make(configuration()).open()
    gateway.wait_for(gateway.telemetry)
    metadata = gateway.sent[-1][2].metadata
    assert metadata["receivedTs"] == NOW
    assert metadata["convertedTs"] > NOW


def test_states_and_their_reason(make: Make, gateway: FakeGateway) -> None:
    class Silent(FakeFleet):
        async def behave(self) -> None:
            error = ConnectError("tcp://127.0.0.1:9", "connection refused")
            self.sink.state(self.devices[0], "offline", error)

    gateway.connect()
    connector = make(configuration(), Silent)
    connector.open()
    gateway.wait_for(lambda: gateway.sent)
    found = gateway.attributes("M1")
    assert found["dlmsState"] == "offline"
    assert found["dlmsLastError"].startswith(
        "cannot connect to tcp://127.0.0.1:9: connection refused; check host"
    )
    assert not connector.is_connected()


def test_diagnostics_of_meters_that_answer(make: Make, gateway: FakeGateway) -> None:
    class Half(FakeFleet):
        async def behave(self) -> None:
            self.sink.state(self.devices[0], "online", None)
            self.sink.state(self.devices[1], "offline", None)

    make(configuration(device(), device("M2"), diagnosticsPeriod=20), Half).open()
    gateway.wait_for(lambda: len(gateway.telemetry()) >= 2)
    first = gateway.telemetry()[0]
    assert (first["dlmsPollsOk"], first["dlmsBytesIn"], first["dlmsPollMs"]) == (7, 100, 12)
    assert "dlmsClockDriftSeconds" not in first
    assert {row["device"] for row in gateway.telemetry()} == {"M1"}


def test_bytes_are_counted_without_diagnostics_too(
    make: Make, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = threading.Event()

    def count(connector: str, name: str, count: int) -> None:
        if name == "connectorBytesReceived" and count == 100:
            counted.set()

    monkeypatch.setattr(StatisticsService, "count_connector_message", count)
    monkeypatch.setattr(meters_thread, "COUNT_S", 0.02)
    make(configuration(diagnosticsPeriod=0)).open()
    assert counted.wait(5)
    assert not [row for row in gateway.telemetry() if "dlmsPollsOk" in row]


def test_state_directory_in_the_gateways_data_folder(make: Make, gateway: FakeGateway) -> None:
    fleets = []

    class Remember(FakeFleet):
        async def behave(self) -> None:
            fleets.append(self)
            self.sink.polled(self.devices[0], poll())

    folders: list[dict[str, str]] = [
        {},
        {"stateDirectory": str(gateway.folder / "own")},
        {"stateDirectory": "/dev/null/x"},
    ]
    for number, folder in enumerate(folders, 1):  # one by one: each has a thread of its own
        make(configuration(**folder), Remember).open()
        gateway.wait_for(lambda wanted=number: len(gateway.sent) == wanted)
    assert [fleet.state_dir for fleet in fleets] == [
        gateway.folder / "data/dlms",
        gateway.folder / "own",
        None,
    ]
    assert (gateway.folder / "data/dlms").stat().st_mode & 0o777 == 0o700


# Whatever the configuration is


@pytest.mark.parametrize(
    "config",
    [
        "",
        "nonsense",
        '{id_var_start}id-1{id_var_end}{"logLevel": "INFO", "devices": [}',
        {},
        [],
        None,
        {"devices": 3},
        {"devices": [None, 3, "x", {}]},
        {"devices": [], "logLevel": "LOUD", "name": None},
        {"unknown": 1, "devices": [{"deviceName": "M"}]},
    ],
)
def test_the_constructor_never_raises(
    make: Make, config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connector = make(config)
    connector.open()
    connector.close()
    assert connector.is_stopped()
    if config not in ({}, {"devices": [], "logLevel": "LOUD", "name": None}):
        assert errors(caplog)


def test_a_configuration_that_is_a_string(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.connectors_configs = {"custom": [{"id": "id-1", "name": "South"}]}
    connector = make('{id_var_start}id-1{id_var_end}{"devices": [}')
    assert (connector.get_id(), connector.get_name()) == ("id-1", "South")
    assert [one.name for one in caplog.records if one.levelno >= logging.ERROR] == ["South"]
    # A change of the gateway's own report strategy asks every connector for a key of it.
    assert connector.get_config().get("reportStrategy", {}) == {}
    connector.close()
    assert connector.is_stopped()


def test_what_is_logged_is_short_enough_for_remote_logging(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make(configuration(device(template="x" * 100_000)))
    assert [len(line) for line in errors(caplog)] == [2000]


def test_a_bad_device_does_not_stop_the_good_one(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    bad = device("Bad", deviceType="House", dlms={"clientAddress": 0}, pollPeriod=1)
    gateway.connect()
    make(configuration(bad, device(), device(), {})).open()
    gateway.wait_for(lambda: gateway.telemetry() and gateway.attributes("Bad"))
    assert {row["device"] for row in gateway.telemetry()} == {"M1"}
    assert gateway.attributes("M1")["dlmsState"] == "online"
    found = gateway.attributes("Bad")
    assert found["dlmsState"] == "misconfigured"
    assert "devices[0].dlms.clientAddress: " in found["dlmsLastError"]
    assert "devices[0].pollPeriod: " in found["dlmsLastError"]
    assert {data.device_type for _, _, data in gateway.sent if data.device_name == "Bad"} == {
        "House"
    }
    told = "\n".join(errors(caplog)).splitlines()
    lines = [line for line in told if line.startswith("Bad is not polled: ")]
    assert len(lines) == 2
    assert {data.device_name for _, _, data in gateway.sent} == {"M1", "Bad"}


# A converter of the user's own


OWN = """
class MyConverter:
    def __init__(self, config, logger):
        self.name = config.device_name
    def convert(self, config, data):
        {body}
"""


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setattr(TBModuleLoader, "PATHS", [str(tmp_path)])
    monkeypatch.setattr(TBModuleLoader, "LOADED_CONNECTORS", {})

    def write(text: str) -> None:
        (tmp_path / "custom").mkdir()
        (tmp_path / "custom/mine.py").write_text(text)

    return write


def test_own_converter_by_name(
    make: Make, gateway: FakeGateway, extension: Callable[[str], None]
) -> None:
    extension(
        "from dlms_converters.uplink import DLMSUplinkConverter\n"
        "class MyConverter(DLMSUplinkConverter):\n"
        "    def convert(self, config, data):\n"
        "        result = super().convert(config, data)\n"
        "        result.device_type = 'Mine'\n"
        "        return result\n"
    )
    make(configuration(device(uplinkConverter="MyConverter"))).open()
    gateway.wait_for(gateway.telemetry)
    assert gateway.sent[-1][2].device_type == "Mine"


@pytest.mark.parametrize(
    ("made", "sent"),
    [
        ("pass", "ON_CHANGE"),
        (
            "def __init__(self, device, log):\n"
            "        super().__init__(device, log, {'type': 'ON_RECEIVED'})",
            "ON_RECEIVED",
        ),
    ],
)
def test_a_converter_that_derives_from_ours_has_the_report_strategy_of_the_connector(
    make: Make, gateway: FakeGateway, extension: Callable[[str], None], made: str, sent: str
) -> None:
    """Unless it brings its own."""
    extension(
        "from dlms_converters.uplink import DLMSUplinkConverter\n"
        f"class MyConverter(DLMSUplinkConverter):\n    {made}\n"
    )
    strategy = {"type": "ON_CHANGE"}
    make(configuration(device(uplinkConverter="MyConverter"), reportStrategy=strategy)).open()
    gateway.wait_for(gateway.telemetry)
    keys = [key for _, _, data in gateway.sent for one in data.telemetry for key in one.values]
    assert {key.report_strategy.report_strategy.value for key in keys} == {sent}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("texts", "serial"), [("quoted", '"00000001"'), ("plain", "00000001")])
def test_texts_that_look_like_numbers_are_sent_as_configured(
    make: Make, extension: Callable[[str], None], own: bool, texts: str, serial: str
) -> None:
    extension(
        "from dlms_converters import DLMSUplinkConverter\n"
        "class MyConverter(DLMSUplinkConverter):\n"
        "    pass\n"
    )
    section = device(uplinkConverter="MyConverter") if own else device()
    connector = make(configuration(section) | {"numericTexts": texts})
    reading = Reading(
        key="serial", kind="attributes", obis=Obis.parse("0-0:96.1.0"), class_id=1, attribute=2,
        value="00000001", unit=None, ts_ms=1,
    )  # fmt: skip
    data = connector.parts.prepared.converters["M1"].convert(None, Poll(readings=(reading,)))
    assert data.attributes.to_dict() == {"serial": serial}


def test_the_data_of_an_own_converter_pass_the_gateways_device_filter(
    make: Make, gateway: FakeGateway, extension: Callable[[str], None]
) -> None:
    extension(
        "from thingsboard_gateway.gateway.entities.converted_data import ConvertedData\n"
        "from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry\n"
        "class MyConverter:\n"
        "    def __init__(self, config, logger):\n"
        "        pass\n"
        "    def convert(self, config, data):\n"
        "        result = ConvertedData('M1', 'Mine', {'source': 'own'})\n"
        "        result.add_to_telemetry(TelemetryEntry({'k': 1}, 1))\n"
        "        result.add_to_attributes('a', 2)\n"
        "        return result\n"
    )
    make(configuration(device(uplinkConverter="MyConverter"))).open()
    gateway.wait_for(gateway.telemetry)
    data = gateway.sent[-1][2]
    assert data["deviceName"] == "M1"
    assert data.to_dict(debug_enabled=True) == {
        "deviceName": "M1",
        "deviceType": "Mine",
        "telemetry": [{"ts": 1, "values": {"k": 1}}],
        "attributes": {"a": 2},
        "metadata": {"source": "own"},
    }
    assert data.telemetry_datapoints_count == 1


def test_own_converter_that_raises_stops_nothing(
    make: Make,
    gateway: FakeGateway,
    extension: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Polls(FakeFleet):
        async def behave(self) -> None:
            for _ in range(5):
                for one in self.devices:
                    self.sink.polled(one, poll())

    extension(OWN.format(body="raise KeyError('k')"))
    make(configuration(device(uplinkConverter="MyConverter"), device("M2")), Polls).open()
    gateway.wait_for(lambda: len(gateway.telemetry()) == 5)
    assert errors(caplog) == ["M1: the converter failed: KeyError: 'k'"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the gateway finds no class MyConverter in its extensions folder custom: no file"),
        ("import nothing_like_this\n", "extensions folder custom: No module named"),
        ("class MyConverter:\n    pass\n", "MyConverter is no converter: it has no method"),
        (
            "class MyConverter:\n    def convert(self, config, data):\n        pass\n",
            "MyConverter cannot be made: TypeError",
        ),
    ],
)
def test_own_converter_that_is_missing_or_broken(
    make: Make,
    gateway: FakeGateway,
    extension: Callable[[str], None],
    text: str,
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    extension(text)
    make(configuration(device(uplinkConverter="MyConverter"), device("M2"))).open()
    gateway.wait_for(lambda: gateway.telemetry() and gateway.attributes("M1"))
    assert gateway.attributes("M1")["dlmsState"] == "misconfigured"
    assert sentence in gateway.attributes("M1")["dlmsLastError"]
    assert {row["device"] for row in gateway.telemetry()} == {"M2"}
    assert sum(sentence in line for line in errors(caplog)) == 1


# Downlink


def test_calls_never_raise(make: Make, gateway: FakeGateway) -> None:
    connector = make(configuration())
    own = connector.server_side_rpc_handler({"method": "custom_x", "params": {"device": "M9"}})
    assert own == {"error": "this connector polls no device M9"}
    for content in (None, {}, {"device": "M1"}, {"device": "M1", "data": None}, "x"):
        connector.server_side_rpc_handler(content)
        connector.on_attributes_update(content)
    assert gateway.replies == []


# The end


class Busy(FakeFleet):
    """Hundreds of meters mid-poll that take their time to say goodbye."""

    async def behave(self) -> None:
        self._meters = [asyncio.create_task(self._meter(one)) for one in self.devices]

    async def _meter(self, one: Device) -> None:
        try:
            while True:
                self.sink.polled(one, poll())
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0.3)


@measured
def test_close_is_quick_with_hundreds_of_meters(make: Make, gateway: FakeGateway) -> None:
    gateway.connect()
    connector = make(configuration(*(device(f"M{n}") for n in range(300))), Busy)
    connector.open()
    gateway.wait_for(lambda: len({data.device_name for _, _, data in gateway.sent}) == 300, 20)
    started = monotonic()
    while not connector.is_stopped():
        connector.close()
    assert monotonic() - started < 1
    sent = len(gateway.sent)
    connector.close()
    assert len(gateway.sent) == sent
    assert not [one for one in threading.enumerate() if one.name.startswith("Meters ")]


@measured
def test_close_leaves_a_hanging_goodbye_behind(make: Make, gateway: FakeGateway) -> None:
    class Stubborn(FakeFleet):
        async def behave(self) -> None:
            self.sink.polled(self.devices[0], poll())
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if monotonic() > ends:
                        raise

    ends = monotonic() + 1.5
    connector = make(configuration(), Stubborn)
    connector.open()
    gateway.wait_for(gateway.telemetry)
    started = monotonic()
    connector.close()
    assert monotonic() - started < 1
    assert connector.is_stopped()


def test_close_hands_over_what_was_read(
    make: Make, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is slow for a moment costs no reading when the configuration changes."""

    class Many(FakeFleet):
        async def behave(self) -> None:
            for _ in range(200):
                self.sink.polled(self.devices[0], poll())
            polled.set()

    polled, send = threading.Event(), gateway.send_to_storage

    def slowly(name: str, connector_id: str, data: Any) -> Any:
        threading.Event().wait(0.006)  # more than a second in all
        return send(name, connector_id, data)

    gateway.send_to_storage = slowly  # type: ignore[method-assign]
    monkeypatch.setattr("dlms_connector.gateway.parts.LATEST_S", 20.0)
    connector = make(configuration(), Many)
    connector.open()
    assert polled.wait(5)
    connector.close()
    assert len(gateway.telemetry()) == 200


def test_close_returns_when_the_gateway_has_taken_the_last_words(
    make: Make, gateway: FakeGateway
) -> None:
    """When a connector is removed, the gateway then forgets its devices and what waits for them."""

    class Tasks:
        waiting = 3

        def empty(self) -> bool:
            self.waiting -= 1
            return self.waiting < 0

        def put(self, task: Any) -> None:
            assert gateway.attributes("M1")["dlmsState"] == "offline"
            self.waiting += 2

    tasks = Tasks()
    gateway.get_converted_data_queue = lambda: tasks  # type: ignore[attr-defined]
    gateway.connect()
    connector = make(configuration())
    connector.open()
    gateway.wait_for(gateway.telemetry)
    connector.close()
    assert tasks.waiting < 0


def test_close_says_what_could_not_be_handed_over(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    release, sending = threading.Event(), threading.Event()

    def never(name: str, connector_id: str, data: Any) -> Any:
        sending.set()
        release.wait(10)

    gateway.send_to_storage = never  # type: ignore[method-assign]
    connector = make(configuration())
    connector.open()
    assert sending.wait(5)
    connector.close()
    release.set()
    assert connector.is_stopped()
    line = "not all that was read could be handed to the gateway in time"
    assert line in [one.getMessage() for one in caplog.records]


def test_close_ends_whatever_goes_wrong(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connector = make(configuration())
    connector.open()
    end = MetersThread.stop

    def broken(thread: MetersThread) -> None:
        end(thread)
        raise OSError("no more threads")

    monkeypatch.setattr(MetersThread, "stop", broken)
    connector.close()
    assert connector.is_stopped()
    # Python 3.10 may tell only now of the task that the test before left behind.
    assert [one for one in errors(caplog) if not one.startswith("Task was destroyed")] == [
        "the connector did not end cleanly"
    ]


def test_names_that_nobody_answers_for_keep_no_serial_port_waiting(make: Make) -> None:
    """Both are left to threads, and as many look-ups may hang as the system cares to let."""
    answered, opened = threading.Event(), threading.Event()

    class Hanging(FakeFleet):
        async def behave(self) -> None:
            loop = asyncio.get_running_loop()
            looking_up = [loop.run_in_executor(None, answered.wait, 60) for _ in range(100)]
            await loop.run_in_executor(None, opened.set)
            await asyncio.gather(*looking_up)

    connector = make(configuration(), Hanging)
    connector.open()
    try:
        assert opened.wait(30)
    finally:
        answered.set()
        connector.close()


def test_close_before_open_and_open_after_close(make: Make, gateway: FakeGateway) -> None:
    connector = make(configuration())
    connector.close()
    connector.open()
    assert connector.is_stopped()
    assert gateway.sent == []


def test_a_closed_connector_holds_nothing_of_its_meters(make: Make, gateway: FakeGateway) -> None:
    """The gateway holds it for a while: its successor takes what there is out of the search."""
    connector = make(configuration())
    connector.open()
    gateway.wait_for(lambda: gateway.telemetry())
    parts = weakref.ref(connector.parts)
    connector.close()
    until = monotonic() + 10
    while parts() is not None and monotonic() < until:  # its threads end in the background
        gc.collect()
        sleep(0.01)
    assert parts() is None
    connector.on_attributes_update({"device": "M1", "data": {"limit": 1}})
    assert not connector.get_device_shared_attributes_keys("M1")
    assert "error" in connector.server_side_rpc_handler({"method": "x"})
    assert connector.server_side_rpc_handler({"device": "M1", "data": {"method": "x"}}) is None
    assert not connector.gateway_rpc_handler(1, {"method": "x"})
    connector.device_deleted("M1")
    assert not connector.is_connected()
    assert [reply["content"] for reply in gateway.replies] == [{"error": "the connector is closed"}]


def test_close_right_after_open(make: Make) -> None:
    for _ in range(20):
        connector = make(configuration())
        connector.open()
        connector.close()
        assert connector.is_stopped()


def test_close_stops_both_loggers(make: Make, gateway: FakeGateway) -> None:
    connector = make(configuration())
    for name in ("Meters", "Meters_converter"):
        assert gateway.remote_handler in logging.getLogger(name).handlers
    connector.close()
    for name in ("Meters", "Meters_converter"):
        assert not logging.getLogger(name).handlers


def test_a_fleet_that_fails_is_logged(
    make: Make, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeFleet):
        async def behave(self) -> None:
            self.sink.polled(self.devices[0], poll())
            raise ZeroDivisionError

    connector = make(configuration(), Broken)
    connector.open()
    gateway.wait_for(gateway.telemetry)
    connector.close()
    assert errors(caplog) == ["polling failed: nothing is polled until a restart"]
