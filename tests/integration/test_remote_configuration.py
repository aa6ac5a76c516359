"""The platform configures the connector, as its user interface does."""

from __future__ import annotations

import copy
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from dlms_connector.demo.gateway_process import CONNECTOR_FILE, CONNECTOR_NAME, GatewayProcess
from dlms_connector.demo.platform_server import Platform, RpcError
from dlms_connector.simulator import MeterOptions, simulate
from tests.support.leaks import Collector
from tests.support.site import GATEWAY, START_S, TOKEN, Configuration, Site, sample, site, watch

PASSWORD = "a-password-of-a-meter"
#: Meters of one configuration, and how many of them the gateway can report in one attribute.
MANY, MOST_REPORTED = int(os.environ.get("MANY", "150")), 500
REFERENCE = "${env:METER_02_PASSWORD}"
METERS = [
    MeterOptions(serial=1),
    MeterOptions(serial=2, authentication="LOW", password=PASSWORD.encode()),
]


async def test_a_new_configuration_from_the_platform(tmp_path: Path) -> None:
    held_back: list[dict[str, Any]] = []

    def only_the_first(configuration: Configuration) -> None:
        configuration["devices"][1]["dlms"]["password"] = REFERENCE
        held_back.append(configuration["devices"].pop())

    async with site(
        tmp_path,
        METERS,
        only_the_first,
        remote_configuration=True,
        environment={"METER_02_PASSWORD": PASSWORD},
    ) as running:
        await running.until_polled()
        await running.until_logged("Remote Configurator started")
        await running.until(lambda: CONNECTOR_NAME in echoed(running))
        configuration = copy.deepcopy(running.configuration)
        configuration["devices"] += held_back
        push(running, configuration)
        running.configuration = configuration
        await running.until_polled("DLMS-Meter-02", times=2)
        echo = echoed(running)[CONNECTOR_NAME]
        devices = echo["configurationJson"]["devices"]
        assert (echo["name"], echo["type"], echo["class"]) == (
            CONNECTOR_NAME,
            "custom",
            "DLMSConnector",
        )
        assert [one["deviceName"] for one in devices] == ["DLMS-Meter-01", "DLMS-Meter-02"]
        assert devices[1]["dlms"]["password"] == REFERENCE
        assert_secret(running)
        # The first connector was closed, with a goodbye to its meter, before the second began.
        assert running.endpoints[0].meter.seen["disc"] >= 1
        assert len(running.log_lines(r"\| DLMS \| closed within")) == 1
        assert len(running.platform.journal.select("Connect")) == 1
        before = running.polls("DLMS-Meter-01")
        await running.until_polled("DLMS-Meter-01", times=before + 2)
        # And away again: what is no longer configured is no longer polled.
        configuration = copy.deepcopy(configuration)
        del configuration["devices"][0]
        push(running, configuration)
        await running.until(lambda: "DLMS-Meter-01" not in running.platform.connected)
        asked, polled = running.endpoints[0].meter.seen, running.polls("DLMS-Meter-02")
        before = asked["get-with-list"]
        running.configuration["devices"].pop(0)
        await running.until_polled("DLMS-Meter-02", times=polled + 3)
        assert asked["get-with-list"] == before
        assert_secret(running)
        assert not running.log_lines("Traceback")


async def test_a_wrong_configuration_from_the_platform(tmp_path: Path) -> None:
    """It is refused with its reasons, and a right one that follows is taken."""
    async with site(tmp_path, METERS[:1], remote_configuration=True) as running:
        await running.until_polled()
        await running.until_logged("Remote Configurator started")
        push(running, {"devices": [{"deviceName": "A", "pollPeriod": "often"}], "unknown": 1})
        await running.until_logged(r"\|ERROR\| DLMS \| A is not polled: .*pollPeriod")
        await running.until_logged(r"\|ERROR\| DLMS \| configuration: .*unknown")
        before = running.polls("DLMS-Meter-01")
        push(running, running.configuration)
        await running.until_polled(times=before + 2)
        assert running.gateway.running
        assert not running.log_lines("Traceback")


async def test_meters_of_a_connector_that_was_removed_do_not_stay_online(tmp_path: Path) -> None:
    """The gateway forgets its devices, and drops what it has not taken of them by then."""
    meters = [MeterOptions(serial=number) for number in range(1, 9)]
    async with site(tmp_path, meters, remote_configuration=True) as running:
        await running.until_polled()
        await running.until_logged("Remote Configurator started")
        running.platform.set_gateway_attributes({"active_connectors": []})
        await running.until_logged(r"\| DLMS \| closed within")
        await running.until(
            lambda: {running.states(name)[-1] for name in running.devices} == {"offline"}
        )


async def test_many_meters_from_the_platform(tmp_path: Path) -> None:
    """In one attribute; the next one renames a meter. `MANY=2000` are too many to be reported."""
    async with site(tmp_path, METERS[:1], remote_configuration=True) as running:
        await running.until_polled()
        await running.until_logged("Remote Configurator started")
        there = {**running.configuration["devices"][0], "pollPeriod": 1000}
        configuration: Configuration = {
            "diagnosticsPeriod": 0,
            "defaults": {"timeseries": [{"key": "voltage_l1", "obis": "1-0:32.7.0"}]},
            "devices": [
                there,
                *(
                    {
                        "deviceName": f"Dead {number}",
                        "pollPeriod": 3_600_000,
                        "connection": {"host": f"127.9.{number // 250}.{number % 250}", "port": 9},
                    }
                    for number in range(1, MANY)
                ),
            ],
        }
        told = rf"\| DLMS \| {MANY} meters are polled, 0 refused"
        push(running, configuration)
        await running.until_logged(told)
        configuration["devices"][0] = {**there, "deviceName": "Renamed"}
        # Into the middle of all those first polls; the platform has taken the gateway back,
        # if its report was too large.
        await running.until(lambda: running.platform.connects > (MANY > MOST_REPORTED))
        await running.until(lambda: with_a_session(running, configuration), timeout_s=2 * START_S)
        running.configuration = {"devices": configuration["devices"][:1]}
        # A hundred meters have their first poll in the same second.
        await running.until(lambda: running.polls("Renamed") > 1, timeout_s=4 * START_S)
        assert len(running.log_lines(told)) == 2
        await running.until(lambda: with_a_session(running, None), timeout_s=2 * START_S)
        await running.until(lambda: "Renamed" not in running.platform.connected)
        assert running.gateway.running
        assert not running.log_lines("Traceback")


def with_a_session(running: Site, configuration: Configuration | None) -> bool:
    """Push a configuration, or that there is no connector; false if nobody hears it now."""
    try:
        if configuration is None:
            return running.platform.set_gateway_attributes({"active_connectors": []})
        return push(running, configuration)
    except RpcError:
        return False


async def test_sigterm_ends_in_order_where_the_platform_adds_the_first_connector(
    tmp_path: Path,
) -> None:
    """The gateway opens it in another thread than the only one that may handle signals."""
    async with Platform({TOKEN: GATEWAY}) as platform, simulate(METERS[:1]) as endpoints:
        configuration = sample(endpoints)
        gateway = GatewayProcess(
            tmp_path,
            platform_port=platform.port,
            token=TOKEN,
            configuration=configuration,
            remote_configuration=True,
        )
        entries = gateway.config_dir / "tb_gateway.json"
        entries.write_text(json.dumps(json.loads(entries.read_text()) | {"connectors": []}))
        (gateway.config_dir / CONNECTOR_FILE).unlink()
        async with gateway:
            running = Site(platform, gateway, endpoints, configuration)
            await running.until_logged("Remote Configurator started")
            await watch(lambda: push(running, configuration))
            await running.until_polled(times=2)
            seen = endpoints[0].meter.seen
            before = seen["disc"]
            assert await gateway.stop(signal.SIGTERM, within_s=START_S) == 0
            assert seen["disc"] == before + 1
            assert running.log_lines(r"\| DLMS \| closed within")


def push(running: Site, configuration: Configuration) -> bool:
    """Do what the user interface does when a connector is saved; whether it was delivered."""
    entry = {
        "name": CONNECTOR_NAME,
        "type": "custom",
        "class": "DLMSConnector",
        "configuration": CONNECTOR_FILE,
        "logLevel": "INFO",
        "enableRemoteLogging": False,
        "configVersion": "3.8.5",
        "configurationJson": configuration,
        "ts": int(time.time() * 1000) + 1,  # what is older than the file is passed over
    }
    running.platform.set_gateway_attributes({"active_connectors": [CONNECTOR_NAME]})
    return running.platform.set_gateway_attributes({CONNECTOR_NAME: entry})


def echoed(running: Site) -> dict[str, Any]:
    """Return what the gateway reports about itself: its client attributes."""
    return running.platform.store.attributes(GATEWAY)


def assert_secret(running: Site) -> None:
    """The password stands in no packet, no log and no file of the gateway's."""
    collector = Collector({"the password": PASSWORD.encode()})
    for packet in running.platform.journal:
        collector.take(packet.topic, packet.payload)
    collector.take_files("the gateway", running.gateway.folder)
    collector.check()
    assert json.loads((running.gateway.config_dir / CONNECTOR_FILE).read_text())
