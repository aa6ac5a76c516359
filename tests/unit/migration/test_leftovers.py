"""What may go afterwards: found on a host made of files, never removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlms_connector.config import Secret
from dlms_connector.migration import SERVICES, Bridge, Host, OldMeter, leftovers

TOKEN = "the-gateways-t0ken"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for folder in ("etc/systemd/system", "etc/mosquitto/conf.d", "bridge/data", "config"):
        (tmp_path / folder).mkdir(parents=True)
    entry = {"type": "mqtt", "name": "DLMS-to-MQTT", "configuration": "dlmsToMqtt.json"}
    main = {
        "thingsboard": {"security": {"accessToken": TOKEN}},
        "connectors": [entry, {"type": "modbus", "name": "M", "configuration": "modbus.json"}],
    }
    (tmp_path / "config/tb_gateway.json").write_text(json.dumps(main))
    return tmp_path


def found(host: Path, *meters: OldMeter) -> dict[str, str]:
    told = leftovers(
        Bridge(meters=meters),
        host / "bridge/data/admin.db",
        host / "config/dlmsToMqtt.json",
        Host(host),
    )
    assert TOKEN not in str(told)
    return {one.what: one.how for one in told}


def test_services_of_the_bridge_in_the_order_of_stopping(host: Path) -> None:
    units = host / "etc/systemd/system"
    for name in ("dlms-multi-meter", "qos-supervisor", "nginx"):
        (units / f"{name}.service").write_text("[Service]\nExecStart=/usr/bin/x\n")
    (units / "mis-medidores.service").write_text(f"ExecStart={host}/bridge/venv/bin/python m.py\n")
    commands = [how for how in found(host).values() if how.startswith("sudo systemctl disable")]
    assert commands == [
        "sudo systemctl disable --now qos-supervisor.service",
        "sudo systemctl disable --now dlms-multi-meter.service",
        "sudo systemctl disable --now mis-medidores.service",
    ]


def test_the_usual_names_where_none_is_found(host: Path) -> None:
    (what,) = [what for what in found(host) if "none was found here" in what]
    assert all(name in what for name in SERVICES)


def test_the_gateways_own_service_stays(host: Path) -> None:
    unit = host / "etc/systemd/system/tb-gateway-dlms.service"
    unit.write_text(f"ExecStart={host}/bridge/venv/bin/python\n")
    assert not any("tb-gateway-dlms" in what for what in found(host))


def test_the_brokers_listener(host: Path) -> None:
    path = host / "etc/mosquitto/conf.d/dlms-bridge.conf"
    path.write_text("# broker\nlistener 1884\nallow_anonymous true\n")
    (how,) = [how for what, how in found(host).items() if "port 1884 in" in what]
    assert how.startswith(f"sudo rm {path}")


def test_a_file_with_other_listeners_stays(host: Path) -> None:
    path = host / "etc/mosquitto/conf.d/all.conf"
    path.write_text("listener 1884\nlistener 8883\n")
    (how,) = [how for what, how in found(host).items() if "port 1884 in" in what]
    assert how.startswith("remove its lines")


def test_the_gateways_connector(host: Path) -> None:
    assert any("'DLMS-to-MQTT' (type 'mqtt')" in what for what in found(host))
    assert not any("modbus" in what for what in found(host))


def test_tokens_are_named_by_their_device(host: Path) -> None:
    own = OldMeter(id=1, name="m1", tb_token=Secret(b"another"), tb_device_name="D1")
    gateways = OldMeter(id=2, name="m2", tb_token=Secret(TOKEN.encode()))
    told = found(host, own, gateways, OldMeter(id=3, name="m3"))
    assert "device D1, Manage credentials" in told["m1: its own access token on the platform"]
    (how,) = [how for what, how in told.items() if what.startswith("m2: the bridge used the gate")]
    assert how.startswith("keep the token")
    assert not any("m3" in what for what in told)


def test_without_a_mapping_there_is_no_connector(tmp_path: Path) -> None:
    told = leftovers(Bridge(meters=()), tmp_path / "admin.db", None, Host(tmp_path))
    assert not any("connector" in one.what for one in told)
