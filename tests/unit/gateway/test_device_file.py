"""The gateway's file of devices is written now and then instead of once per device."""

from __future__ import annotations

import logging

from dlms_connector.gateway.device_file import DeviceFile

LOG = logging.getLogger("test.device_file")


class TBGatewayService:
    """Writes all devices for each device, as the gateway does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.devices: list[str] = []
        self.written: list[int] = []

    def add_device(self, name: str) -> None:
        self.devices.append(name)
        self.__save_persistent_devices()

    def __save_persistent_devices(self) -> None:
        self._clock.now += 0.1
        self.written.append(len(self.devices))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_thousands_of_new_devices_are_few_files() -> None:
    clock = Clock()
    gateway = TBGatewayService(clock)
    file = DeviceFile(gateway, LOG, clock)
    file.write()
    for n in range(1000):
        gateway.add_device(f"M{n}")
        clock.now += 0.01
        file.write()
    assert len(gateway.written) < 10
    clock.now += 10
    file.write()
    assert gateway.written[-1] == 1000
    count = len(gateway.written)
    file.write()
    assert len(gateway.written) == count, "nothing has changed"


def test_a_single_device_is_written_at_once() -> None:
    clock = Clock()
    gateway = TBGatewayService(clock)
    file = DeviceFile(gateway, LOG, clock)
    file.write()
    gateway.add_device("M")
    file.write()
    assert gateway.written == [1]


def test_what_is_left_is_written_at_the_end_and_the_gateway_is_as_before() -> None:
    clock = Clock()
    gateway = TBGatewayService(clock)
    before = set(vars(gateway))
    first, second = (DeviceFile(gateway, LOG, clock) for _ in range(2))
    first.write()
    second.write()
    gateway.add_device("M")
    second.give_back()
    assert gateway.written == [], "the first still sees to it"
    first.give_back()
    assert gateway.written == [1]
    assert set(vars(gateway)) == before
    second.write()
    gateway.add_device("N")
    second.write()
    assert gateway.written == [1, 2], "one connector takes over from another"


def test_another_gateway_is_left_alone() -> None:
    gateway = object()
    file = DeviceFile(gateway, LOG, Clock())
    file.write()
    file.give_back()


def test_this_gateway_has_what_is_stood_in_for() -> None:
    from thingsboard_gateway.gateway import tb_gateway_service

    own = tb_gateway_service.TBGatewayService
    assert callable(own._TBGatewayService__save_persistent_devices)


def test_a_device_that_another_thread_adds_meanwhile_costs_no_file() -> None:
    class Busy(TBGatewayService):
        def __init__(self, clock: Clock) -> None:
            super().__init__(clock)
            self.busy = True

        def _TBGatewayService__save_persistent_devices(self) -> None:  # noqa: N802
            if self.busy:
                raise RuntimeError("dictionary changed size during iteration")
            self.written.append(len(self.devices))

    gateway = Busy(Clock())
    file = DeviceFile(gateway, LOG, Clock())
    file.write()
    gateway.add_device("M")
    file.write()
    gateway.busy = False
    file.write()
    assert gateway.written == [1]
