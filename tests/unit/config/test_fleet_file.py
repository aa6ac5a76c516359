import csv
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config.loading import Loaded, load
from dlms_connector.config.model import SerialConnection

TEMPLATES = {
    "house": {"connection": {"retries": 1}, "timeseries": [{"key": "p", "obis": "1-1:1.7.0"}]}
}


def fleet(folder: Path, text: str | bytes, **extra: Any) -> Loaded:
    content = text.encode() if isinstance(text, str) else text
    (folder / "meters.csv").write_bytes(content)
    raw = {"devicesFile": "meters.csv", "templates": TEMPLATES, **extra}
    return load(raw, base=folder)


def test_rows_join_devices_templates_and_defaults(tmp_path: Path) -> None:
    loaded = fleet(
        tmp_path,
        "deviceName,template,connection.host,connection.port,dlms.password,pollPeriod\n"
        'A,house,10.0.0.1,4060,"1,2",\n'
        "\n"
        "B,,10.0.0.2,,,5000\n",
        defaults={"pollPeriod": 9000, "dlms": {"authentication": "LOW", "password": "d"}},
        devices=[{"deviceName": "C", "connection": {"host": "h"}}],
    )
    assert loaded.every_problem == ()
    c, a, b = loaded.configuration.devices
    assert c.device_name == "C"
    assert a.connection.endpoint == "tcp://10.0.0.1:4060"
    assert (a.connection.retries, b.connection.retries) == (1, 2)
    assert (a.dlms.password, b.dlms.password) == (b"1,2", b"d")
    assert (a.poll_period_ms, b.poll_period_ms) == (9000, 5000)
    assert len(a.timeseries) == 1


def test_the_limit_that_the_process_has_for_cells_stays(tmp_path: Path) -> None:
    """Other connectors of the gateway read tables, too."""
    before = csv.field_size_limit(99_999)
    try:
        fleet(tmp_path, "deviceName,connection.host\nA,10.0.0.1\n")
        assert csv.field_size_limit() == 99_999
    finally:
        csv.field_size_limit(before)


def test_problems_name_line_and_column(tmp_path: Path) -> None:
    loaded = fleet(
        tmp_path,
        "deviceName;template;connection.host;connection.prot;dlms.clientAddress\n"
        "A;house;h;;0\n"
        "B;hose;h;5;\n"
        ";house;h;;\n"
        "A;house;h;;1;extra\n"
        "D;house;h;;1\n"
        "D;house;h;;1\n",
    )
    assert [device.device_name for device in loaded.configuration.devices] == ["D"]
    assert loaded.every_problem == (
        "meters.csv line 2, column dlms.clientAddress: 0 is not in 1..127",
        "meters.csv line 3, column template: this is neither in templates nor a preset; "
        "did you mean house?",
        "meters.csv line 3, column connection.prot: unknown key; did you mean port?",
        "meters.csv line 4, column deviceName: required",
        "meters.csv line 5: has 6 cells for 5 columns; a cell is missing, or a delimiter is not "
        "quoted",
        "meters.csv line 7, column deviceName: this is the name of meters.csv line 6 already",
    )


def test_a_cell_may_hold_a_list(tmp_path: Path) -> None:
    text = (
        'deviceName,connection.host,timeseries\nA,h,"[{""key"":""v"",""obis"":""1-1:32.7.0""}]"\n'
    )
    (device,) = fleet(tmp_path, text).configuration.devices
    assert device.timeseries[0].key == "v"


@pytest.mark.parametrize("password", ["[1]", "{x}", "007", "true"])
def test_passwords_stay_what_they_are(password: str, tmp_path: Path) -> None:
    text = f"deviceName,connection.host,dlms.password\nA,h,{password}\n"
    (device,) = fleet(tmp_path, text).configuration.devices
    assert device.dlms.password == password.encode()


def test_windows_tables(tmp_path: Path) -> None:
    text = "\ufeffdeviceName\tconnection.host\r\nA\th\r\n"
    assert fleet(tmp_path, text).configuration.devices[0].device_name == "A"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "meters.csv line 1: expected key paths"),
        ("deviceName,deviceName\n", "meters.csv line 1: twice: deviceName"),
        ("deviceName,connection,connection.host\n", "meters.csv line 1: connection is there whole"),
        ('deviceName\n"open\n', "meters.csv line 2: not a table"),
        (b"\xff\xfe", "not UTF-8"),
        ("deviceName\n" + "x" * 100_000, "not a table"),
    ],
)
def test_tables_that_are_none(text: str | bytes, problem: str, tmp_path: Path) -> None:
    devices = [{"deviceName": "C", "connection": {"host": "h"}}]
    loaded = fleet(tmp_path, text, devices=devices)
    assert [device.device_name for device in loaded.configuration.devices] == ["C"]
    (sentence,) = loaded.problems
    assert problem in sentence


@pytest.mark.parametrize(
    "name", ["../meters.csv", "/etc/passwd", "gone.csv", "link", ".", 5, "a\0b", "x" * 5000]
)
def test_only_files_of_the_configurations_folder(name: Any, tmp_path: Path) -> None:
    base = tmp_path / "config"
    base.mkdir()
    (tmp_path / "meters.csv").write_text("treasure\n")
    (base / "link").symlink_to(tmp_path / "meters.csv")
    (sentence,) = load({"devicesFile": name}, base=base).problems
    assert sentence.startswith("devicesFile: ")
    assert "treasure" not in sentence


def test_choices_among_numbers_are_cells_as_well(tmp_path: Path) -> None:
    loaded = fleet(
        tmp_path,
        "deviceName,connection.type,connection.port,connection.baudrate,connection.bytesize,"
        "connection.stopbits,dlms.addressSize,dlms.securitySuite,dlms.modeE.startBaudrate\n"
        "A,serial,/dev/ttyS0,9600,7,2,4,1,300\n"
        "B,serial,/dev/ttyS0,9600,9,1,3,0,300\n",
    )
    (a,) = loaded.configuration.devices
    assert isinstance(a.connection, SerialConnection)
    assert (a.connection.bytesize, a.connection.stopbits) == (7, 2)
    assert (a.dlms.address_size, a.dlms.security_suite) == (4, 1)
    assert loaded.every_problem == (
        "meters.csv line 3, column connection.bytesize: 9 is not one of 7, 8",
        "meters.csv line 3, column dlms.addressSize: 3 is not one of 1, 2, 4",
    )


def test_a_cell_of_brackets_costs_its_own_device_only(tmp_path: Path) -> None:
    loaded = fleet(
        tmp_path,
        "deviceName,connection.host,timeseries\n"
        f"A,h,{'[' * 60_000}\n"
        f"B,h,{'[' * 100}{']' * 100}\n"
        "C,h,\n",
    )
    assert [device.device_name for device in loaded.configuration.devices] == ["C"]


def test_a_table_without_a_head_does_not_show_passwords(tmp_path: Path) -> None:
    loaded = fleet(tmp_path, "A,10.0.0.1,treasure\nB,10.0.0.2,treasure\n")
    (sentence,) = loaded.every_problem
    assert "meters.csv line 1: expected key paths" in sentence
    assert "treasure" not in sentence


SECRET = "Tr3asure-4711"


@pytest.mark.parametrize("column", ["deviceName", "connection.host", "connection.port"])
@pytest.mark.parametrize("column_after", ["pollPeriod", "dlms.clientAddress", "dlms.timeZone"])
def test_a_row_that_slipped_shows_no_secret(column: str, column_after: str, tmp_path: Path) -> None:
    columns = ["deviceName", "connection.host", "connection.port", "dlms.password", column_after]
    cells = {"deviceName": "A", "connection.host": "h", "dlms.password": SECRET}
    good = [cells.get(each, "") for each in columns]
    slips = [[*good[:-2], "", SECRET], good[1:], [*good, SECRET], [SECRET, *good]]
    slips.append([SECRET if each == column and each != "deviceName" else "" for each in columns])
    text = "\n".join(",".join(row) for row in [columns, *slips])
    loaded = fleet(tmp_path, text)
    told = [*loaded.every_problem, *(one.name for one in loaded.refused)]
    assert loaded.refused
    assert SECRET not in " ".join(told)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("template", SECRET),
        ("attributes", f'["{SECRET}"]'),
        ("timeseries", f'[{{"key": "k", "obis": "{SECRET}"}}]'),
        ("connection.type", SECRET),
        ("connection.allow", f'["{SECRET}"]'),
        ("reportStrategy", SECRET),
        ("allowWrite", f'["{SECRET}"]'),
        ("workarounds.release", SECRET),
    ],
)
def test_no_cell_of_a_table_is_shown(column: str, cell: str, tmp_path: Path) -> None:
    cell = '"' + cell.replace('"', '""') + '"'
    loaded = fleet(tmp_path, f"deviceName,connection.host,{column}\nA,h,{cell}\n")
    assert loaded.refused
    assert SECRET not in " ".join(loaded.every_problem)
