"""What the platform is told about meters coming and going."""

import logging
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, socket

import pytest

from dlms_connector.gateway.announcer import DISCONNECT_AFTER_S, Announcer
from dlms_connector.gateway.call_entry import CallEntry, OwnCallEntry
from dlms_connector.gateway.renames import Renames
from tests.support.gateway import FakeClient, FakeGateway


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def gateway(tmp_path: Path) -> FakeGateway:
    return FakeGateway(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def announcer(gateway: FakeGateway, clock: Clock) -> Announcer:
    log = logging.getLogger("test")
    calls = CallEntry(gateway, "the connector", ["M1"])
    renames = Renames(gateway, ["M1"], log)
    return Announcer(gateway, "the connector", calls, renames, log, clock)


def client(gateway: FakeGateway) -> FakeClient:
    assert gateway.tb_client is not None
    return gateway.tb_client


def test_once_per_session(gateway: FakeGateway, announcer: Announcer) -> None:
    gateway.connect()
    announcer.reconcile()
    for _ in range(3):
        announcer.present("M1", "T")
        announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]
    client(gateway).connected = False
    announcer.reconcile()
    announcer.present("M2", "T")
    gateway.connect()
    announcer.reconcile()
    assert gateway.calls[1:] == [("connect", "M1", "T"), ("connect", "M2", "T")]


def test_a_session_that_begins_while_an_announcement_waits(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    """The gateway's client waits in there for the platform, over an outage too."""
    gateway.connect()
    announcer.present("M1", "T")
    announcer.reconcile()

    def wait(name: str, content: dict[str, str], device_type: str) -> bool:
        client(gateway).session = object()
        return add_device(name, content, device_type)

    add_device, gateway.add_device = gateway.add_device, wait  # type: ignore[method-assign]
    announcer.present("M2", "T")
    gateway.add_device = add_device  # type: ignore[method-assign]
    announcer.reconcile()
    announcer.reconcile()
    assert gateway.calls[2:] == [("connect", "M1", "T"), ("connect", "M2", "T")]


def test_nothing_before_the_gateway_is_connected(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    announcer.present("M1", "T")
    announcer.absent("M2")
    announcer.reconcile()
    assert gateway.calls == []
    gateway.connect()
    announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]


def test_a_device_remembered_from_an_earlier_run_is_connected(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    gateway.connect()
    gateway.devices["M1"] = {"connector": "the connector"}
    announcer.present("M1", "T")
    assert gateway.calls == [("connect", "M1", "T")]


def test_a_device_that_the_gateway_connected_for_its_data_is_not_connected_again(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    announcer.present("M1", "T")
    announcer.reconcile()
    gateway.connect()
    gateway.add_device("M1", {}, "T")  # the gateway's storage thread was faster
    announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]


def test_calls_are_taken_before_the_first_device_is_connected(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    gateway.connect()
    handlers = []
    gateway.note = lambda *call: handlers.append(  # type: ignore[method-assign]
        client(gateway).devices_server_side_rpc_request_handler
    )
    announcer.present("M1", "T")
    assert isinstance(handlers[0], CallEntry)


def test_calls_are_taken_also_where_the_gateway_sets_its_handler_anew(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    gateway.connect()
    announcer.reconcile()
    client(gateway).gw_set_server_side_rpc_request_handler(gateway._rpc_request_handler)
    announcer.reconcile()
    assert isinstance(client(gateway).devices_server_side_rpc_request_handler, CallEntry)
    announcer.close()
    assert client(gateway).devices_server_side_rpc_request_handler == gateway._rpc_request_handler


def test_silence_is_told_after_a_while(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.present("M1", "T")
    announcer.absent("M1")
    clock.now += DISCONNECT_AFTER_S / 2
    announcer.absent("M1")
    announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]
    clock.now += DISCONNECT_AFTER_S
    announcer.reconcile()
    announcer.reconcile()
    assert gateway.calls[1:] == [("disconnect", "M1")]
    # The gateway still knows whose device it is, so that calls are answered.
    assert "M1" in gateway.devices
    announcer.present("M1", "T")
    assert gateway.calls[2:] == [("connect", "M1", "T")]


def test_a_meter_that_is_back_in_time_stays_connected(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.present("M1", "T")
    announcer.absent("M1")
    announcer.present("M1", "T")
    clock.now += 2 * DISCONNECT_AFTER_S
    announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]


def test_silence_during_an_outage_of_the_platform(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.present("M1", "T")
    announcer.reconcile()
    client(gateway).connected = False
    announcer.absent("M1")
    announcer.reconcile()
    clock.now += 2 * DISCONNECT_AFTER_S
    announcer.reconcile()
    gateway.connect()
    announcer.reconcile()
    # What was said last about it is still on its way through the gateway's storage.
    assert gateway.calls == [("connect", "M1", "T")]
    clock.now += DISCONNECT_AFTER_S
    announcer.reconcile()
    assert gateway.calls[1:] == [("disconnect", "M1")]


def test_a_renamed_device_is_announced_by_its_new_name(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.present("M1", "T")
    announcer.reconcile()
    gateway.rename("M1", "Kitchen")
    client(gateway).connected = False
    announcer.reconcile()
    gateway.connect()
    announcer.reconcile()
    announcer.absent("M1")
    clock.now += 2 * DISCONNECT_AFTER_S
    announcer.reconcile()
    assert gateway.calls[1:] == [("connect", "Kitchen", "T"), ("disconnect", "Kitchen")]


def test_an_announcement_that_fails_is_not_counted(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    gateway.connect()

    def lose(name: str, content: object, device_type: str) -> bool:
        client(gateway).connected = False
        return False

    add_device, gateway.add_device = gateway.add_device, lose  # type: ignore[method-assign]
    announcer.present("M1", "T")
    gateway.add_device = add_device  # type: ignore[method-assign]
    gateway.connect()
    announcer.reconcile()
    assert gateway.calls == [("connect", "M1", "T")]


def test_answers_are_sent_at_once(gateway: FakeGateway, announcer: Announcer) -> None:
    """Else each waits for the confirmation of the packet before it, for up to 40 ms."""
    gateway.connect()
    for _ in range(2):
        with socket() as session:
            client(gateway).session = session
            announcer.reconcile()
            assert session.getsockopt(IPPROTO_TCP, TCP_NODELAY)
    client(gateway).session = session  # closed meanwhile
    announcer.reconcile()


def test_a_silent_meter_is_disconnected_until_nothing_can_connect_it(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    """Its last data may be delayed by an outage, and connects it again when it arrives."""
    gateway.connect()
    announcer.present("M1", "T")
    announcer.absent("M1")
    times = []
    for clock.now in range(600):
        announcer.reconcile()
        if gateway.calls[-1] == ("disconnect", "M1"):
            times.append(clock.now)
            gateway.calls.clear()
            gateway.note("data arrives late")
    assert times == [3, 15, 63, 255]


def test_thousands_of_silent_meters_leave_in_small_groups(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.reconcile()
    for number in range(50):
        gateway.devices[f"M{number}"] = {"connector": "the connector"}
        announcer.absent(f"M{number}")
    clock.now += DISCONNECT_AFTER_S
    counts = []
    for _ in range(4):
        announcer.reconcile()
        counts.append(len(gateway.calls))
    assert counts == [20, 40, 50, 50]


def test_a_renamed_device_is_added_so_that_the_gateway_keeps_its_name(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    """Gateway 3.8.5 forgets the mapping of one that it does not count as connected."""
    gateway.rename("M1", "Kitchen")
    gateway.connect()
    announcer.present("M1", "T")
    assert gateway.devices["M1"] == {"connector": "the connector", "deviceType": "T"}
    assert gateway.saved == {"M1": "Kitchen"}


def test_news_about_devices_is_heard_before_there_is_a_session(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    gateway.connect()
    client(gateway).connected = False
    announcer.reconcile()
    assert isinstance(client(gateway).own_handler, OwnCallEntry)
    announcer.close()
    assert not isinstance(client(gateway).own_handler, OwnCallEntry)


def test_what_is_another_gateways_now_is_disconnected_at_once(
    gateway: FakeGateway, announcer: Announcer, clock: Clock
) -> None:
    gateway.connect()
    announcer.present("M1", "T")
    announcer.reconcile()
    gateway.calls.clear()
    log = logging.getLogger("test")
    renames = Renames(gateway, ["M1"], log)
    calls = CallEntry(gateway, "the connector", ["M1"])
    after = Announcer(gateway, "the connector", calls, renames, log, clock)
    after.leave(announcer)
    after.reconcile()
    assert gateway.calls == [("disconnect", "M1")]


def test_who_is_renewed_is_announced_when_it_answers_next(
    gateway: FakeGateway, announcer: Announcer
) -> None:
    """It may want other shared attributes: the gateway asks for them when a device is added."""
    added: list[str] = []
    add_device = gateway.add_device

    def adding(name: str, content: dict[str, str], device_type: str) -> bool:
        added.append(name)
        return add_device(name, content, device_type)

    gateway.add_device = adding  # type: ignore[method-assign]
    gateway.connect()
    announcer.present("M1", "T")
    announcer.present("M2", "T")
    announcer.renew("M1")
    announcer.renew("M3")
    announcer.reconcile()
    assert added == ["M1", "M2"]
    announcer.present("M1", "T")
    announcer.present("M2", "T")
    assert added == ["M1", "M2", "M1"]
