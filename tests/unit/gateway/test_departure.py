"""What the gateway has to do for our devices when it closes the connector."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.gateway.departure import depart


class Gateway:
    """The lists of gateway 3.8.5 in which devices are."""

    def __init__(self, ours: object, *, stopped: bool) -> None:
        self.stopped = stopped
        names = ["Dead-1", "Dead-2", "Online", "Renamed"]
        self.devices: dict[str, Any] = {name: {"connector": ours} for name in names}
        self.devices["Other"] = {"connector": object()}
        self._TBGatewayService__saved_devices = dict(self.devices)
        self._TBGatewayService__added_devices = dict(self.devices)
        self._TBGatewayService__renamed_devices = {"Renamed": "Cellar"}

    def get_devices(self) -> dict[str, Any]:
        return self.devices


@pytest.mark.parametrize(
    ("stopped", "left"),
    [(False, {"Online", "Renamed", "Other"}), (True, {"Renamed", "Other"})],
)
def test_only_what_must_be_disconnected_is_left_to_the_gateway(
    stopped: bool, left: set[str]
) -> None:
    ours = object()
    gateway = Gateway(ours, stopped=stopped)
    depart(gateway, ours, lambda name: name in ("Online", "Renamed"))
    assert set(gateway.devices) == left
    assert set(gateway._TBGatewayService__saved_devices) == left
    assert set(gateway._TBGatewayService__added_devices) == left


def test_one_device_is_left_so_that_the_gateway_writes_its_file() -> None:
    ours = object()
    gateway = Gateway(ours, stopped=True)
    gateway._TBGatewayService__renamed_devices = {}
    depart(gateway, ours, lambda name: True)
    assert set(gateway.devices) == {"Dead-1", "Other"}


def test_a_gateway_that_knows_none() -> None:
    gateway = Gateway(object(), stopped=True)
    depart(gateway, object(), lambda name: True)
    assert len(gateway.devices) == 5
