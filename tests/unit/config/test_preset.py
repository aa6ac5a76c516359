import json
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import preset
from dlms_connector.config.device_building import SECRETS
from dlms_connector.config.loading import load
from dlms_connector.meter.plan import Limits, batches, refs, wanted
from dlms_connector.protocol.datalink.addressing import server_address_of

SECRET = {
    "password": "dummy",
    "systemTitle": "4D4D4D0000000001",
    "authenticationKey": "00" * 16,
    "blockCipherKey": "11" * 16,
}


def facts_in(values: dict[str, Any]) -> set[str]:
    """Name every fact of a preset: keys of its sections, and its lists as a whole."""
    return {
        f"{section}.{key}" if isinstance(content, dict) else section
        for section, content in values.items()
        for key in (content if isinstance(content, dict) else [""])
    }


#: Presets for ports that only push: they state their connection.
PUSHING = [
    name
    for name in preset.names()
    if preset.values(name).get("connection", {}).get("type") == "push"
]


def device_of(name: str) -> dict[str, Any]:
    """Return a device of a preset; it is at a host unless it only pushes."""
    device = {"deviceName": "m", "template": name, "dlms": SECRET}
    return device if name in PUSHING else {**device, "connection": {"host": "h"}}


def test_there_are_many() -> None:
    assert len(preset.names()) >= 20


@pytest.mark.parametrize("name", preset.names())
def test_a_device_of_it_is_valid(name: str) -> None:
    loaded = load({"devices": [device_of(name)]}, base=Path())
    assert loaded.every_problem == ()
    (made,) = loaded.configuration.devices
    assert made.timeseries or made.attributes


@pytest.mark.parametrize("name", preset.names())
def test_a_device_of_it_is_planned_and_has_an_address(name: str) -> None:
    (made,) = load({"devices": [device_of(name)]}, base=Path()).configuration.devices
    due = wanted(made)
    asked = refs(due, ())
    assert {one.value for one in due} <= set(asked)
    limits = Limits(max_items=16, max_pdu=0xFFFF)
    assert {one for batch in batches(asked, limits) for one in batch} == set(asked)
    assert made.dlms.interface_type == "WRAPPER" or server_address_of(made.dlms)


@pytest.mark.parametrize("name", [name for name in preset.names() if name not in PUSHING])
def test_it_works_on_a_serial_line_unless_it_needs_the_wrapper(name: str) -> None:
    connection = {"type": "serial", "port": "/dev/ttyUSB0"}
    device = {"deviceName": "m", "template": name, "connection": connection, "dlms": SECRET}
    loaded = load({"devices": [device]}, base=Path())
    wrapper = preset.values(name)["dlms"].get("interfaceType") == "WRAPPER"
    assert bool(loaded.every_problem) is wrapper


@pytest.mark.parametrize("name", preset.names())
def test_every_fact_is_marked(name: str) -> None:
    about = preset.about(name)
    assert set(about.facts) == facts_in(preset.values(name))
    assert about.source
    assert about.meter


@pytest.mark.parametrize("name", preset.names())
def test_it_holds_no_secret(name: str) -> None:
    values = preset.values(name)
    assert not {key for _, key in SECRETS} & set(values["dlms"])
    assert "12345678" not in json.dumps(values)


def test_unknown_names_are_a_key_error() -> None:
    with pytest.raises(KeyError):
        preset.values("../secrets")
