"""The gateway's file of devices at its start: each device is added once."""

from __future__ import annotations

from threading import Thread
from typing import Any

from dlms_connector.gateway.known_devices import load_each_once


class Gateway:
    """Loads devices as gateway 3.8.5 does."""

    def __init__(self, remembered: int) -> None:
        self.tb_client: object = None
        self.remembered = [f"M{n}" for n in range(remembered)]
        self.added: list[str] = []
        self.seen_elsewhere: list[int] = []
        self._TBGatewayService__connected_devices: dict[str, Any] = {"before": {}}

    def _TBGatewayService__load_persistent_devices(self) -> None:  # noqa: N802
        devices = self._TBGatewayService__connected_devices
        for name in self.remembered:
            devices[name] = {}
            other = Thread(target=lambda: self.seen_elsewhere.append(len(devices.keys())))
            other.start()
            other.join()
            self.added += [one for one in list(devices.keys()) if one in devices]

    def load(self) -> None:
        self._TBGatewayService__load_persistent_devices()


def test_each_device_is_added_once() -> None:
    gateway = Gateway(5)
    is_read = load_each_once(gateway)
    assert not is_read()
    gateway.load()
    assert gateway.added == gateway.remembered
    assert gateway.seen_elsewhere == [2, 3, 4, 5, 6]
    assert is_read()
    assert list(gateway._TBGatewayService__connected_devices.keys()) == ["before", *gateway.added]


def test_a_second_connector_finds_it_done() -> None:
    gateway = Gateway(3)
    load_each_once(gateway)
    load_each_once(gateway)
    gateway.load()
    assert gateway.added == gateway.remembered


def test_a_gateway_that_runs_is_left_alone() -> None:
    gateway = Gateway(2)
    gateway.tb_client = object()
    assert load_each_once(gateway)()
    assert type(gateway._TBGatewayService__connected_devices) is dict
