"""Whatever the gateway hands over, what can be polled is, and the rest is named."""

import logging
from pathlib import Path
from typing import Any

import pytest

from dlms_connector import __version__
from dlms_connector.config.model import Configuration, Device
from dlms_connector.errors import ConfigError
from dlms_connector.gateway.log_size import LONGEST_MESSAGE
from dlms_connector.gateway.prepared import id_of, name_of, prepare, state_directory

LOG = logging.getLogger("prepared")


class Converter:
    """Stands for an uplink converter."""

    def convert(self, config: Any, data: Any) -> Any:
        return None


def converter_of(device: Device, configuration: Configuration) -> Converter:
    if device.uplink_converter:
        raise ConfigError("uplinkConverter: no such class")
    return Converter()


def device(name: str, **keys: Any) -> dict[str, Any]:
    return {"deviceName": name, "connection": {"type": "tcp", "host": "192.0.2.1"}, **keys}


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({"id": "a"}, "a"),
        ({"id": 7}, "7"),
        ({}, None),
        ([], None),
        (None, None),
        ("{id_var_start}b{id_var_end}{...", "b"),
        ("{...", None),
    ],
)
def test_id(raw: Any, found: str | None) -> None:
    assert id_of(raw) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ({"name": "North", "id": "b"}, "North"),
        ({"name": None}, "DLMS"),
        ("{id_var_start}b{id_var_end}{...", "South"),
        ("{id_var_start}c{id_var_end}{...", "DLMS"),
        ("{...", "DLMS"),
        (None, "DLMS"),
    ],
)
def test_name(raw: Any, found: str) -> None:
    configurations = {
        "modbus": [{"id": "a", "name": "M"}],
        "custom": [{"id": "b", "name": "South"}, {"name": "without an id"}],
    }
    assert name_of(raw, configurations) == found


def test_good_bad_and_half_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = {
        "templates": {"house": {"deviceType": "H", "pollPeriod": 1}},
        "devices": [
            device("Good"),
            device("House", template="house"),
            device("Own", uplinkConverter="X", deviceType="T"),
            device("Bad", pollPeriod=1),
            device("Good"),
            {"deviceName": "Half"},
            3,
        ],
    }
    prepared = prepare(raw, tmp_path, LOG, converter_of)
    assert [one.device_name for one in prepared.devices] == ["Good"]
    assert set(prepared.converters) == {"Good"}
    assert {one.name: one.device_type for one in prepared.misconfigured} == {
        "House": "H",
        "Own": "T",
        "Bad": "DLMS Energy Meter",
        "Half": "DLMS Energy Meter",
    }
    own = next(one for one in prepared.misconfigured if one.name == "Own")
    assert own.problems == ("uplinkConverter: no such class",)
    lines = "\n".join(caplog.messages).splitlines()
    for start in ("Own", "Bad", "Good", "Half", "devices[6]"):
        assert [line for line in lines if line.startswith(f"{start} is not polled: ")]


def test_many_problems_are_few_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = {"devices": [device(f"M{number}", pollPeriod=number) for number in range(90)]}
    prepare(raw, tmp_path, LOG, converter_of)
    lines = "\n".join(caplog.messages).splitlines()
    assert lines == [
        f"M{number} is not polled: devices[{number}].pollPeriod: "
        f"{number} is not in 100..31622400000"
        for number in range(90)
    ]
    assert len(caplog.records) == 52
    assert max(map(len, caplog.messages)) <= LONGEST_MESSAGE
    assert len({int(record.created * 1000) for record in caplog.records}) == 52


@pytest.mark.parametrize(
    "raw", [{}, {"id": "a", "name": "DLMS", "logLevel": "INFO"}, {"devices": []}, {"devices": None}]
)
def test_a_connector_that_was_just_added(
    raw: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    prepare(raw, tmp_path, LOG, converter_of)
    assert caplog.messages == [f"no devices yet (version {__version__})"]


def test_each_start_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    raw = {"devices": [device("A"), device("B"), device("Bad", pollPeriod=1)]}
    prepare(raw, tmp_path, LOG, converter_of)
    told = f"2 meters are polled, 1 refused (version {__version__})"
    assert [record.getMessage() for record in caplog.records if record.levelname == "INFO"] == [
        told
    ]


def test_a_text_of_the_gateways_is_read_without_its_mark(tmp_path: Path) -> None:
    raw = '{id_var_start}a{id_var_end}{"diagnosticsPeriod": 5, "devices": []}'
    prepared = prepare(raw, tmp_path, LOG, converter_of)
    assert prepared.configuration.diagnostics_period_ms == 5


@pytest.mark.parametrize(
    ("storage", "folder"),
    [
        ({}, "gateway/data/dlms"),
        ({"data_folder_path": "{}/store/"}, "store/dlms"),
        ({"data_file_path": "{}/store/data.db"}, "store/dlms"),
    ],
)
def test_state_lies_in_the_gateways_data_folder(
    tmp_path: Path, storage: dict[str, str], folder: str
) -> None:
    storage = {key: path.format(tmp_path) for key, path in storage.items()}
    found = state_directory(None, storage, tmp_path / "gateway/config", LOG)
    assert found == tmp_path / folder
    assert found.is_dir()


def test_state_that_cannot_be_kept_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert state_directory(str(tmp_path / "file/x"), {}, tmp_path, LOG) is None
    assert "set stateDirectory to a folder that the gateway may write" in caplog.text


def test_a_state_directory_of_no_name_costs_the_memory_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert state_directory("\0", {}, tmp_path, LOG) is None
    assert "state is not kept over a restart" in caplog.text
