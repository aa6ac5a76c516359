"""A connector that becomes the active one of a pair, and gives that up again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Any

import pytest

from dlms_connector.connector import DLMSConnector
from dlms_connector.gateway.parts import Parts
from dlms_connector.metrics import Tally
from tests.support.gateway import FakeGateway

#: For a busy machine.
WITHIN_S = 30.0


class Fleets:
    """The fleets that were made: which runs now, and whether two ever did at a time."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.running = self.most = self.made = 0
        self.state_dirs: list[Path | None] = []

    def begin(self, state_dir: Path | None) -> None:
        with self.changed:
            self.made += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.state_dirs.append(state_dir)
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self.running -= 1
            self.changed.notify_all()

    def is_in(self, turn: int) -> bool:
        return (self.made, self.running) == (turn, 1)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WITHIN_S)


@pytest.fixture
def fleets() -> Fleets:
    return Fleets()


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    monkeypatch.setenv("TB_GW_LOGS_PATH", str(tmp_path))
    gateway = FakeGateway(tmp_path)
    gateway.connect()
    return gateway


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dlms-active"


@pytest.fixture
def connector(gateway: FakeGateway, file: Path, fleets: Fleets) -> Iterator[DLMSConnector]:
    class Fleet:
        def __init__(self, devices: Any, sink: Any, log: Any, **keys: Any) -> None:
            self._devices, self._sink, self._folder = devices, sink, keys["state_dir"]
            self.tally = Tally()

        async def run(self) -> None:
            fleets.begin(self._folder)
            try:
                for device in self._devices:
                    self._sink.state(device, "online", None)
                await asyncio.Event().wait()
            finally:
                fleets.end()

        def statistics(self, name: str) -> Any:
            raise KeyError(name)

    kind = type("Connector", (DLMSConnector,), {"fleet_factory": Fleet})
    device = {"deviceName": "M1", "connection": {"host": "127.0.0.1"}}
    config = {
        "id": "id-1",
        "name": "Meters",
        "devices": [device],
        "standby": {"activeFile": str(file)},
        "diagnosticsPeriod": 0,
    }
    made: DLMSConnector = kind(gateway, config, "custom")
    yield made
    made.close()


def call(connector: DLMSConnector, gateway: FakeGateway, number: int) -> Any:
    connector.server_side_rpc_handler(
        {"device": "M1", "data": {"id": number, "method": "readClock", "params": None}}
    )
    return gateway.replies[-1]["content"]


def test_on_standby_no_meter_is_asked(
    connector: DLMSConnector, gateway: FakeGateway, fleets: Fleets, file: Path
) -> None:
    connector.open()
    answer = call(connector, gateway, 1)
    assert "standby" in answer["error"]
    assert str(file) in answer["error"]
    told = connector.server_side_rpc_handler({"method": "custom_readClock", "params": {}, "id": 2})
    assert "standby" in str(told)
    role = connector.server_side_rpc_handler({"method": "custom_getRole", "params": {}, "id": 3})
    assert role == {"result": {"dlmsRole": "standby"}}
    connector.on_attributes_update({"device": "M1", "data": {"limit": 5}})
    connector.close()
    assert fleets.made == 0
    assert gateway.sent == []


def test_the_role_comes_and_goes(
    connector: DLMSConnector,
    gateway: FakeGateway,
    fleets: Fleets,
    file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    connector.open()
    tenures = []
    for turn in range(1, 4):
        file.touch()
        fleets.wait(partial(fleets.is_in, turn))
        gateway.wait_for(lambda: ("connect", "M1", "DLMS Energy Meter") in gateway.calls)
        folder = fleets.state_dirs[-1]
        assert folder is not None
        tenures.append(json.loads((folder / "tenure.json").read_text())["tenure"])
        gateway.calls.clear()
        file.unlink()
        fleets.wait(lambda: fleets.running == 0)
        # Who takes the meter over connects it: calls must not come here any more.
        gateway.wait_for(lambda: ("disconnect", "M1") in gateway.calls)
        assert "standby" in call(connector, gateway, turn)["error"]
    assert fleets.most == 1
    assert len(set(tenures)) == 3
    states = [data.attributes.to_dict() for _, _, data in gateway.sent if data.attributes]
    assert {one["dlmsState"] for one in states} == {"online"}
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


def test_a_change_that_fails_is_tried_again(
    connector: DLMSConnector,
    fleets: Fleets,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dlms_connector.gateway.duty._AGAIN_S", 0.05)
    make, failed = Parts.__init__, [False]

    def fail_once(self: Parts, *args: Any, **keys: Any) -> None:
        if not failed[0]:
            failed[0] = True
            raise OSError("no")
        make(self, *args, **keys)

    connector.open()
    monkeypatch.setattr(Parts, "__init__", fail_once)
    file.touch()
    fleets.wait(lambda: fleets.running == 1)
    assert failed == [True]
