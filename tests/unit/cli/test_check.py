import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from dlms_connector.cli.check import _Progress
from dlms_connector.config import load_file
from dlms_connector.config.model import Device
from dlms_connector.errors import LinkTimeoutError, ObjectError
from dlms_connector.obis import Obis
from dlms_connector.reading import Failure, Poll
from dlms_connector.simulator import MeterOptions, simulate

ITEM = {"key": "voltage_l1", "obis": "1-1:32.7.0"}


def device(name: str, host: str = "h", **keys: Any) -> dict[str, Any]:
    return {"deviceName": name, "connection": {"host": host}, "timeseries": [ITEM], **keys}


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Result]:
    def run(document: Any, *options: str) -> Result:
        file = tmp_path / "dlms.json"
        text = document if isinstance(document, str) else json.dumps(document)
        file.write_text(text, "utf-8")
        return CliRunner().invoke(main, ["check", str(file), *options])

    return run


def test_a_good_configuration(check: Callable[..., Result]) -> None:
    result = check({"devices": [device("a"), device("b"), device("c", "other")]})
    assert result.exit_code == 0
    assert result.stdout == "3 devices on 2 lines\n  tcp://h:4059: 2 devices\n"
    assert result.stderr == ""


def test_every_problem_at_once(check: Callable[..., Result]) -> None:
    bad = device("b", dlms={"clientAddress": 0, "zzz": 1})
    result = check({"devices": [device("a"), bad], "jurnal": 1})
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "jurnal: unknown key; did you mean journal?",
        "devices[1].dlms.clientAddress: 0 is not in 1..127",
        "devices[1].dlms.zzz: unknown key",
    ]
    assert result.stdout == "1 device on 1 line, 1 refused; 3 problems\n"


def test_broken_json(check: Callable[..., Result]) -> None:
    result = check('{"devices": [\n}')
    assert result.exit_code == 2
    assert "line 2, column 1: not valid JSON" in result.stderr
    assert "Traceback" not in result.output


def test_no_such_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(tmp_path / "gone.json")])
    assert result.exit_code == 2
    assert "No such file" in result.stderr


class FakeFleet:
    """Stands in for the runtime: tells the sink what the device's name says."""

    def __init__(
        self, devices: Sequence[Device], sink: Any, log: logging.Logger, **_: object
    ) -> None:
        self._devices, self._sink = devices, sink

    async def run(self) -> None:
        for each in self._devices:
            name = each.device_name
            if name.startswith("good"):
                self._sink.polled(each, Poll(readings=()))
            if name.startswith("empty"):
                self._sink.state(each, "online", None)
            if name.startswith("partly"):
                error = ObjectError("reading", 4)
                failure = Failure(
                    key="k", kind="timeseries", obis=Obis.parse("1-0:1.8.0"), error=error
                )
                self._sink.polled(each, Poll(readings=(), failures=(failure,)))
            if name.startswith("silent"):
                self._sink.state(each, "offline", LinkTimeoutError(3, 0))
                self._sink.state(each, "backoff", LinkTimeoutError(3, 0))


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("dlms_connector.fleet")
    monkeypatch.setattr(module, "Fleet", FakeFleet, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("fleet")
def test_connect_to_good_meters(check: Callable[..., Result]) -> None:
    result = check({"devices": [device("good1"), device("good2")]}, "--connect")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["good1: 0 values read", "good2: 0 values read"]


@pytest.mark.usefixtures("fleet")
def test_connect_tells_which_meter_fails_and_why(check: Callable[..., Result]) -> None:
    devices = [device("good"), device("partly"), device("silent"), device("mute")]
    result = check({"devices": devices}, "--connect", "--timeout", "1")
    assert result.exit_code == 1
    assert "k (1-0:1.8.0): reading: object-undefined (4)" in result.stderr
    assert result.stderr.count("silent: offline: no complete reply, asked 3 times") == 1
    assert "hint: silence usually means a wrong address" in result.stderr
    assert "mute: no answer within 1 s\n  hint: --timeout waits longer" in result.stderr


@pytest.mark.usefixtures("fleet")
def test_a_wrong_configuration_weighs_more_than_a_silent_meter(
    check: Callable[..., Result],
) -> None:
    result = check({"devices": [device("silent"), {}]}, "--connect")
    assert result.exit_code == 2
    assert "silent: offline" in result.stderr


@pytest.mark.usefixtures("fleet")
def test_connect_without_anything_to_read(check: Callable[..., Result]) -> None:
    devices = [device(name, timeseries=[]) for name in ("empty", "silent")]
    result = check({"devices": devices}, "--connect")
    assert result.exit_code == 1
    assert "empty: answers; nothing to read is configured" in result.stdout
    assert "silent: offline" in result.stderr


async def test_short_names_are_kept_where_the_gateway_keeps_them(tmp_path: Path) -> None:
    """Reading them takes longer than a check waits, where the line is slow."""
    state = tmp_path / "state"
    file = tmp_path / "dlms.json"
    async with simulate([MeterOptions(referencing="SN")]) as (server,):
        connection = {"host": "127.0.0.1", "port": server.port}
        item = {"key": "energy", "obis": "1-0:1.8.0"}
        meter = device("SN", connection=connection, dlms={"referencing": "SN"}, timeseries=[item])
        file.write_text(json.dumps({"devices": [meter], "stateDirectory": str(state)}))
        arguments = ["check", str(file), "--connect"]
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 0, result.output
    assert list(state.glob("names-*"))


def test_a_large_fleet_shows_how_far_it_is(tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    rows = "".join(f"M{n},10.0.{n // 250}.{n % 250}\n" for n in range(1200))
    (tmp_path / "meters.csv").write_text("deviceName,connection.host\n" + rows)
    (tmp_path / "dlms.json").write_text('{"devicesFile": "meters.csv"}')
    terminal, pipe = Terminal(), io.StringIO()
    for shown in (terminal, pipe):
        progress = _Progress(shown)
        load_file(tmp_path / "dlms.json", checked=progress.show)
        progress.clear()
    first, second, blank, end = terminal.getvalue().split("\r")[1:]
    assert (first, second) == ("500 devices checked …", "1000 devices checked …")
    assert blank.strip() == end == ""
    assert pipe.getvalue() == ""
