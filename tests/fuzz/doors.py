"""Targets where meters talk first: the doors for pushes, and meters that dial in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from dlms_connector.config import Device, PushListener, load
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError
from dlms_connector.fleet.introduction import Introduction
from dlms_connector.link import Call
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.client import make_client
from dlms_connector.protocol.data import structure
from dlms_connector.protocol.datalink import make_arrivals
from dlms_connector.protocol.talk import Talk
from dlms_connector.push.caller import Caller
from dlms_connector.push.receiver import Receiver
from dlms_connector.push.tcp_door import TcpDoor, _Connection
from dlms_connector.push.udp_door import UdpDoor
from dlms_connector.reading import Poll
from dlms_connector.state import PushedCounters
from dlms_converters.json_value import json_value
from tests.fuzz import seeds
from tests.fuzz.target import Input, Target, WrongError, joined
from tests.support.fake_time import FakeTimeLoop
from tests.support.pushes import (
    MAKERS,
    MakersPush,
    blocks,
    data_notification,
    hdlc,
    obis,
    scale,
    u32,
    wrapped,
)
from tests.support.pushes import octets as octets_of
from tests.support.pushing import NOW_MS, Collected, receiver_of

T = TypeVar("T")
_PEER = "192.0.2.7"
#: As many octets as a caller may leave unfinished.
_MOST_HELD = 4 * 0x10000


@lru_cache(1)
def _loop() -> asyncio.AbstractEventLoop:
    return FakeTimeLoop()


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return _loop().run_until_complete(coroutine)


@contextmanager
def _within() -> Iterator[None]:
    """Be within the loop, for what never waits: to run the loop costs as much as the rest."""
    asyncio._set_running_loop(_loop())
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


class _Faults(logging.Handler):
    """Makes a find of what a receiver tells as a fault of the connector."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]


_LOG = logging.getLogger("fuzz.push")
_LOG.setLevel(logging.DEBUG)
_LOG.propagate = False
_LOG.addHandler(_Faults())


class _Socket:
    """What is asked of a socket."""

    def setsockopt(self, *_: object) -> None:
        pass

    def shutdown(self, _: int) -> None:
        pass


class _Transport:
    """A connection of which nothing leaves; `wrote` is told that something was to leave."""

    def __init__(self, protocol: Any, wrote: Callable[[], None] = lambda: None) -> None:
        self._protocol, self._wrote, self._closing = protocol, wrote, False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": (_PEER, 4059), "socket": _Socket()}.get(name)

    def is_closing(self) -> bool:
        return self._closing

    def write(self, _: bytes) -> None:
        self._wrote()

    def sendto(self, _data: bytes, _to: object) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(None)

    close = abort


# Pushes


#: What a meter says of itself in a push that it must cipher.
_NAME = "1SAG3100000001"


def _is_tagged(push: MakersPush) -> bool:
    return bool(push.device.get("dlms", {}).get("security") == "AUTHENTICATION_ENCRYPTION")


@lru_cache(1)
def _devices() -> tuple[Device, ...]:
    """Return a device of each maker; one that must have a tag is known by a name in clear, too."""
    made = [
        {"deviceName": push.maker, **push.device}
        | ({} if "template" in push.device else {"connection": {"type": "push"}})
        | (
            {"push": {**push.device["push"], "logicalDeviceName": _NAME}}
            if _is_tagged(push)
            else {}
        )
        for push in MAKERS
    ]
    loaded = load({"devices": made}, base=Path(), environment={})
    assert not loaded.every_problem, loaded.every_problem
    return loaded.configuration.devices


@lru_cache(1)
def _true() -> Mapping[str, Mapping[str, Any]]:
    """Return what the makers' meters with a tag say in the pushes that begin the fuzzing."""
    sink = Collected()
    said: dict[str, Mapping[str, Any]] = {}
    for push in MAKERS:
        if not _is_tagged(push):
            continue
        sink.readings.clear()
        receiver = receiver_of(*_devices(), sink=sink)
        for arrival in make_arrivals(push.framing).feed(push.line):
            receiver.take(arrival.apdu, Caller("door", _PEER), arrival.source)
        said[push.maker] = {one.key: one.value for one in sink.readings}
    return said


class _Sink:
    """Looks at what arrives: it must be JSON, and what has a tag must be true."""

    def polled(self, device: Device, poll: Poll) -> None:
        true = _true().get(device.device_name)
        for one in poll.readings:
            json.dumps(json_value(one.value), allow_nan=False)
            if true is not None and true.get(one.key) != one.value:
                raise WrongError(f"{device.device_name}: {one.key} is {one.value!r}")

    def state(self, *_: object) -> None:
        pass


def _receiver() -> Receiver:
    return Receiver(
        _devices(), _Sink(), _LOG,
        counters=PushedCounters(None, _LOG), now_ms=lambda: NOW_MS, clock=lambda: 0.0,
    )  # fmt: skip


@lru_cache(6)
def _listener(kind: str, framing: str) -> PushListener:
    made = {"type": kind, "interfaceType": framing, "allow": ["192.0.2.0/24"]}
    return PushListener.model_validate(made)


def _tell(*_: str) -> None:
    pass


def pushes_by_tcp(octets: bytes) -> None:
    """A connection to the TCP door: what is taken is JSON, and true where it has a tag."""
    source = Input(octets)
    framing = ("HDLC", "WRAPPER", "MBUS")[source.octet() % 3]
    with _within():
        door = TcpDoor(_listener("tcp", framing), _receiver().take, _tell)
        door._server = object()  # type: ignore[assignment]
        one = _Connection(door)
        transport: Any = _Transport(one)
        one.connection_made(transport)
        for number, part in enumerate(source.parts()):
            if not transport.is_closing():
                one.data_received(part)
                door.sweep(number * 20.0)
            if door.held > _MOST_HELD:
                raise WrongError(f"{door.held} octets are held")
        one.end()
    if door.held or door._all or door._strangers.total() or door._known:
        raise WrongError("something is left of a connection that is over")


def pushes_by_udp(octets: bytes) -> None:
    """Datagrams to the UDP door."""
    source = Input(octets)
    framing = ("HDLC", "WRAPPER", "MBUS")[source.octet() % 3]
    with _within():
        door = UdpDoor(_listener("udp", framing), _receiver().take, _tell)
        door._transport = _Transport(door)  # type: ignore[assignment]
        for number, part in enumerate(source.parts()):
            door.datagram_received(part, (_PEER, 4059 + number % 2))
            door.sweep(number * 20.0)
            if not 0 <= door._held <= _MOST_HELD:
                raise WrongError(f"{door._held} octets are held")


# Meters that dial in


@lru_cache(1)
def _introduction() -> Introduction:
    listen = {"type": "listen", "timeoutMs": 100, "retries": 1, "allow": ["192.0.2.0/24"]}
    callers: list[dict[str, Any]] = [
        {"connection": {**listen, "serialNumber": "4711"}},
        {"connection": {**listen, "systemTitle": "4D54520000000001"},
         "dlms": {"authentication": "LOW", "password": "12345678"}},
        {"connection": {**listen, "serialNumber": "4712"}, "dlms": {"referencing": "SN"}},
        {"connection": {**listen, "serialNumber": "4713"}, "dlms": {"interfaceType": "WRAPPER"}},
    ]  # fmt: skip
    made = [{"deviceName": f"m{number}", **one} for number, one in enumerate(callers)]
    loaded = load({"devices": made}, base=Path(), environment={})
    assert not loaded.every_problem, loaded.every_problem
    return Introduction(loaded.configuration.devices, make_client, _LOG)


def dial_in(octets: bytes) -> None:
    """Somebody calls and says what it likes: a known meter, or an error of ours."""

    async def run() -> None:
        source = Input(octets)
        left = source.parts(256)
        call = Call(lambda _: None)

        def wrote() -> None:
            if left:
                loop.call_soon(said, left.pop(0))
            else:
                loop.call_soon(transport.abort)

        def said(part: bytes) -> None:
            if not transport.is_closing():
                call.stream.data_received(part)

        loop = asyncio.get_running_loop()
        transport: Any = _Transport(call.stream, wrote)
        call.stream.connection_made(transport)
        with suppress(DlmsError):
            found = await _introduction()(call)
            if found is None:
                raise WrongError("nobody was recognised, and no error tells so")
        transport.abort()
        await asyncio.sleep(0)

    _run(run())


# Seeds


def _of_pushes() -> Iterator[bytes]:
    for push in MAKERS:
        kind = ("HDLC", "WRAPPER", "MBUS").index(push.framing)
        line = push.line
        yield bytes((kind,)) + joined([line[:80], line[80:]])
    forged = structure(obis("1-0:1.8.0"), u32(7), scale(0, 30), octets_of(_NAME.encode()))
    yield b"\0" + joined([hdlc(data_notification(forged))])
    yield b"\1" + joined([wrapped(data_notification(forged))])
    confirmed = data_notification(u32(7), invoke=b"\x40\0\0\7")
    yield b"\1" + joined([wrapped(confirmed), wrapped(confirmed)])
    yield b"\1" + joined(map(wrapped, blocks(confirmed, 7)))
    yield b"\0" + joined([hdlc(*blocks(confirmed, 7))])


def _of_calls() -> Iterator[bytes]:
    number = AttributeRef(1, Obis.parse("0-0:96.1.0"), 2)
    for dlms, meter in (
        ({}, {}),
        ({"interfaceType": "WRAPPER"}, {"framing": "WRAPPER"}),
    ):
        device = Device.model_validate(
            {"deviceName": "m", "connection": {"host": "h"}, "dlms": dlms}
        )

        made = make_client(device)

        def ask(made: Client = made) -> Talk[None]:
            yield from made.connect()
            yield from made.get([number])
            yield from made.release()

        said = seeds.tapped(ask, meter)
        yield joined(said)
        yield joined([b"", *said]) if meter else joined(said * 2)


TARGETS = (
    Target("push-tcp", "pushes over TCP", pushes_by_tcp, _of_pushes, longest=4096, short=1600),
    Target("push-udp", "pushes over UDP", pushes_by_udp, _of_pushes, longest=4096, short=1600),
    Target("dial-in", "a call of a meter that dials in", dial_in, _of_calls, short=400),
)
