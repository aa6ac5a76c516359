"""`shard`: a configuration for each gateway, as it stood, and what moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.config import load, load_file

TABLE = (
    "deviceName;connection.host;dlms.authentication;dlms.password\r\n"
    + "".join(f'T {n};10.1.0.{n};LOW;"${{file:t-{n}}}"\r\n' for n in range(20))
    + ";;;\r\n"
    + '"Two\nlines";10.1.0.99;;\r\n'
    + "T last;10.1.0.50;;"
)


def fleet(**keys: Any) -> dict[str, Any]:
    devices = [
        {
            "deviceName": f"Meter {number}",
            "connection": {"host": f"10.0.0.{number}"},
            "dlms": {"authentication": "LOW", "password": f"${{env:METER_{number}}}"},
        }
        for number in range(20)
    ]
    return {"$schema": "./x.json", "shard": {"count": 9}, **keys, "devices": devices}


@pytest.fixture
def shard(tmp_path: Path) -> Callable[..., Result]:
    (tmp_path / "dlms.json").write_text(json.dumps(fleet(devicesFile="meters.csv")))
    (tmp_path / "dlms.json").chmod(0o640)
    (tmp_path / "meters.csv").write_bytes(TABLE.encode())

    def run(*options: str) -> Result:
        result = CliRunner().invoke(main, ["shard", str(tmp_path / "dlms.json"), *options])
        assert result.exit_code == 0, result.output
        return result

    return run


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_each_device_is_at_one_gateway_as_it_stood(
    shard: Callable[..., Result], tmp_path: Path
) -> None:
    shard("--over", "3")
    found: list[Any] = []
    lines: list[str] = []
    heading, rows = TABLE.replace("\r\n", "\n").split("\n", 1)
    for number in range(3):
        folder = tmp_path / "shards" / f"gateway-{number}"
        document = json.loads((folder / "dlms.json").read_text())
        assert document["$schema"] == "./x.json"
        assert "shard" not in document
        assert (folder / "dlms.json").stat().st_mode & 0o777 == 0o640
        found += document["devices"]
        table = (folder / "meters.csv").read_bytes().decode()
        assert table.startswith(heading + "\n")
        lines.append(table.removeprefix(heading + "\n"))
    assert sorted(map(str, found)) == sorted(map(str, fleet()["devices"]))
    together = "".join(lines)
    blank = ";;;\n"
    for row in rows.replace(blank, "").split("\n"):
        assert row in together
    assert len(together) == len(rows) - len(blank) + 1  # the last row has an end of line now


def test_the_rule_is_that_of_the_gateways(shard: Callable[..., Result], tmp_path: Path) -> None:
    """One configuration and a number for each gateway, or a configuration for each: the same."""
    plain = {"devices": [{**one, "dlms": {}} for one in fleet()["devices"]]}
    (tmp_path / "dlms.json").write_text(json.dumps(plain))
    split = told(shard("--over", "3", "--weights", "2,1,1", "--json"))
    for number in range(3):
        environment = {"DLMS_SHARD_INDEX": str(number), "DLMS_SHARD_WEIGHTS": "2,1,1"}
        loaded = load(plain, base=tmp_path, environment=environment)
        names = [device.device_name for device in loaded.configuration.devices]
        assert split["gateways"][number]["devices"] == names
        (written,) = split["gateways"][number]["files"]
        assert [one.device_name for one in load_file(Path(written)).configuration.devices] == names


def test_what_moves(shard: Callable[..., Result], tmp_path: Path) -> None:
    dry = told(shard("--over", "3", "--from", "2", "--dry-run", "--json"))
    assert not (tmp_path / "shards").exists()
    assert {one["to"] for one in dry["moves"]} == {2}
    shard("--over", "2")
    compared = told(shard("--over", "3", "--json"))
    assert compared["moves"] == dry["moves"]
    assert told(shard("--over", "3", "--json"))["moves"] == []
    text = shard("--over", "2").stdout
    assert f"{len(dry['moves'])} of 42 meters move" in text
    assert "gateway-2/dlms.json is of no gateway any more" in text
    assert "first restart the gateways that give meters away" in text


def test_unchanged_files_are_left(shard: Callable[..., Result], tmp_path: Path) -> None:
    shard("--over", "2")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("gateway-*/*")}
    assert shard("--over", "2").stdout.count("is as it was") == 4
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_listeners_are_at_one_gateway(shard: Callable[..., Result], tmp_path: Path) -> None:
    document = fleet(push=[{"port": 4061, "allow": ["10.0.0.0/8"]}])
    document["devices"].append({"deviceName": "P", "connection": {"type": "push"}})
    (tmp_path / "dlms.json").write_text(json.dumps(document))
    split = told(shard("--over", "4", "--json"))
    with_push = []
    for one in split["gateways"]:
        written = json.loads(Path(one["files"][0]).read_text())
        assert ("push" in written) == ("P" in one["devices"])
        with_push += [one["index"]] * ("push" in written)
    assert len(with_push) == 1


def test_what_cannot_be_read_is_not_lost(shard: Callable[..., Result], tmp_path: Path) -> None:
    odd = [{"deviceName": "no connection"}, "nonsense", 5, {}, {"deviceName": "half \ud800"}]
    (tmp_path / "dlms.json").write_text(json.dumps({"devices": odd}))
    split = told(shard("--over", "2", "--json"))
    assert sorted(split["unreadable"]) == [
        "devices[1]",
        "devices[2]",
        "devices[3]",
        "half \ud800",
        "no connection",
    ]
    written = [json.loads(Path(one["files"][0]).read_text()) for one in split["gateways"]]
    kept = [str(each) for one in written for each in one["devices"]]
    assert sorted(kept) == sorted(map(str, odd))


@pytest.mark.parametrize("weights", ["1", "1,x,1", "0,0,0", "1,-1,1", "1,inf,1", "nan,1,1"])
def test_wrong_weights(tmp_path: Path, weights: str) -> None:
    (tmp_path / "dlms.json").write_text(json.dumps(fleet()))
    arguments = ["shard", str(tmp_path / "dlms.json"), "--over", "3", "--weights", weights]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "expected 3 numbers" in result.output


@pytest.mark.parametrize("table", ['"a"b,deviceName\n', 'deviceName\n"A\n', "A,B\n"])
def test_what_is_no_table(tmp_path: Path, table: str) -> None:
    (tmp_path / "dlms.json").write_text('{"devicesFile": "meters.csv"}')
    (tmp_path / "meters.csv").write_text(table)
    result = CliRunner().invoke(main, ["shard", str(tmp_path / "dlms.json"), "--over", "2"])
    assert result.exit_code == 2
    assert result.output.startswith("error: meters.csv line ")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"devices": [], "devicesFile": "../x.csv"}'),
        '{"templates": ' + '{"a": ' * 800 + "1" + "}" * 800 + ', "devices": []}',
    ],
    ids=["nothing", "a list", "a part", "another folder", "too deep"],
)
def test_what_is_no_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "dlms.json").write_text(text)
    result = CliRunner().invoke(main, ["shard", str(tmp_path / "dlms.json"), "--over", "2"])
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
