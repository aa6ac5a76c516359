"""The files in gateway-config/ are what users start from."""

import json

import pytest

from dlms_connector.config.loading import load_file
from tests.support.places import GATEWAY_CONFIG


def test_the_example_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METER_01_PASSWORD", "12345678")
    loaded = load_file(GATEWAY_CONFIG / "dlms.json")
    assert loaded.every_problem == ()
    (device,) = loaded.configuration.devices
    assert device.dlms.password == b"12345678"
    assert [item.key for item in device.timeseries] == [
        *("voltage_l1", "current_l1", "frequency", "active_power", "active_energy")
    ]


def test_without_its_secret_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METER_01_PASSWORD", raising=False)
    (problem,) = load_file(GATEWAY_CONFIG / "dlms.json").every_problem
    assert problem == (
        "devices[0].dlms.password: "
        "the environment variable METER_01_PASSWORD is not set for this process"
    )


def test_the_gateways_configuration_names_the_connector() -> None:
    gateway = json.loads((GATEWAY_CONFIG / "tb_gateway.json").read_text("utf-8"))
    assert gateway["connectors"] == [
        {"type": "custom", "name": "DLMS", "class": "DLMSConnector", "configuration": "dlms.json"}
    ]
    assert gateway["thingsboard"]["security"]["accessToken"] == "YOUR_ACCESS_TOKEN"
