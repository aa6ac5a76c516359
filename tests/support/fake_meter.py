"""Meters and links in memory, for tests of what runs above the protocol; time is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from dlms_connector.config import Device, Profile
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    ConnectError,
    DlmsError,
    LinkClosedError,
    LinkTimeoutError,
    ObjectError,
    RefusedError,
    ServiceError,
)
from dlms_connector.fleet.sink import Kept, MeterState
from dlms_connector.meter.session import MakeClient
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.data.axdr import Data, DataType, structure
from dlms_connector.protocol.services.directory import Directory
from dlms_connector.protocol.talk import Cleared, Talk
from dlms_connector.reading import Poll, Reading
from dlms_connector.records import Slice
from dlms_connector.state.counters import InvocationCounter

LISTS = frozenset({"get", "multiple-references", "block-transfer-with-get"})
VOLT = 35


def register(raw: int) -> Data:
    return Data(DataType.DOUBLE_LONG_UNSIGNED, raw)


def scaler(power: int, unit: int = VOLT) -> Data:
    return structure(Data(DataType.INTEGER, power), Data(DataType.ENUM, unit))


def ref(obis: str, attribute: int = 2) -> AttributeRef:
    return AttributeRef(3, Obis.parse(obis), attribute)


def device(name: str = "M1", *obis: str, host: str = "h", **more: Any) -> Device:
    """Return a device that polls these registers every 5 s."""
    connection = {"host": host, "timeoutMs": 1000, "retries": 1} | more.pop("connection", {})
    return Device.model_validate(
        {
            "deviceName": name,
            "pollPeriod": 5000,
            "timeseries": [{"key": code, "obis": code} for code in obis or ("1-0:1.8.0",)],
            "connection": connection,
        }
        | more
    )


@dataclass
class FakeMeter:
    """What a meter does; faults are planted by changing its attributes."""

    name: str = "M1"
    values: dict[AttributeRef, Data | int] = field(default_factory=dict)
    latency_s: float = 0.1
    conformance: frozenset[str] = LISTS
    max_pdu: int = 0xFFFF
    silent: bool = False
    refuses: bool = False
    refusal: RefusedError = field(
        default_factory=lambda: RefusedError("associating", "authentication failure")
    )
    #: Attributes to whose reading it answers with silence, or by hanging up.
    mute_on: set[AttributeRef] = field(default_factory=set)
    closes_on: set[AttributeRef] = field(default_factory=set)
    #: The longest list it takes; a longer one is refused, or met with silence.
    longest_list: int = 1000
    mute_on_lists: bool = False
    refused_in_lists: set[AttributeRef] = field(default_factory=set)
    wrong_in_lists: dict[AttributeRef, int] = field(default_factory=dict)
    refuses_all: bool = False
    #: Whether it serves nobody without an association, and how it says so.
    strict: bool = False
    stranger: DlmsError = field(
        default_factory=lambda: ServiceError("reading", "service-not-allowed")
    )
    #: Attributes that it answers with an exception instead of a code.
    excepted: set[AttributeRef] = field(default_factory=set)
    heard: list[tuple[float, str, tuple[AttributeRef, ...]]] = field(default_factory=list)
    associated: bool = False

    def __post_init__(self) -> None:
        if not self.values:
            self.give("1-0:1.8.0", 23017)

    def give(self, obis: str, raw: int, power: int = -2) -> None:
        self.values[ref(obis)] = register(raw)
        self.values[ref(obis, 3)] = scaler(power)

    def count(self, verb: str) -> int:
        return sum(one == verb for _, one, _ in self.heard)

    def times(self, verb: str) -> list[float]:
        return [at for at, one, _ in self.heard if one == verb]

    @property
    def verbs(self) -> list[str]:
        return [verb for _, verb, _ in self.heard]

    def get(self, refs: Sequence[AttributeRef]) -> list[Data | ObjectError]:
        listed = len(refs) > 1
        if self.strict and not self.associated:
            raise self.stranger
        excepted = self.refuses_all or self.excepted & set(refs)
        if excepted or (
            listed and (len(refs) > self.longest_list or self.refused_in_lists & set(refs))
        ):
            raise ServiceError("reading", "other reason")
        return [self._one(one, listed) for one in refs]

    def _one(self, one: AttributeRef, listed: bool) -> Data | ObjectError:
        value = self.values.get(one, 4)
        if listed and one in self.wrong_in_lists:
            value = self.wrong_in_lists[one]
        return ObjectError(f"reading {one}", value) if isinstance(value, int) else value


class FakeLink:
    """A link to any number of meters in memory; notes who talks over whom."""

    def __init__(self, *meters: FakeMeter, open_s: float = 0.0) -> None:
        self.meters = {meter.name: meter for meter in meters}
        self.open_s = open_s
        self.reachable = True
        self.bytes_in = self.bytes_out = 0
        self.is_open = False
        self.opened = 0
        self.disturbances: list[str] = []
        self.hangs_up_on: set[str] = set()
        self._reply_at: float | None = None
        self._closed_by_peer = False

    async def open(self) -> None:
        await asyncio.sleep(self.open_s)
        if not self.reachable:
            raise ConnectError("tcp://h:4059", "connection refused")
        self.opened += 1
        self.is_open, self._closed_by_peer, self._reply_at = True, False, None

    def send(self, data: bytes) -> None:
        if not self.is_open or self._closed_by_peer:
            raise LinkClosedError
        self.bytes_out += len(data)
        name, verb, refs = cast("tuple[str, str, tuple[AttributeRef, ...]]", _SENT[data])
        meter = self.meters[name]
        now = asyncio.get_running_loop().time()
        meter.heard.append((now, verb, refs))
        others = [other.name for other in self.meters.values() if other.associated]
        if verb == "clear":
            meter.associated = False  # a DISC ends what it finds, answered or not
        self.disturbances += [f"{name} talks while {o} is open" for o in others if o != name]
        mute = meter.silent or meter.mute_on & set(refs) or (len(refs) > 1 and meter.mute_on_lists)
        self._reply_at = None if mute else now + meter.latency_s
        if meter.closes_on & set(refs) or verb in self.hangs_up_on:
            self._closed_by_peer, meter.associated = True, False

    async def receive(self, deadline: float) -> bytes:
        loop = asyncio.get_running_loop()
        if self._closed_by_peer:
            raise LinkClosedError
        if self._reply_at is not None and self._reply_at <= deadline:
            await asyncio.sleep(self._reply_at - loop.time())
            if self._closed_by_peer:
                raise LinkClosedError
            self._reply_at = None
            self.bytes_in += 2
            return b"ok"
        await asyncio.sleep(max(0.0, deadline - loop.time()))
        return b""

    def drain(self) -> bytes:
        return b""

    async def close(self) -> None:
        self.is_open = False

    def cut(self) -> None:
        """Let the peer hang up."""
        self._closed_by_peer = True
        for meter in self.meters.values():
            meter.associated = False


#: What a frame of the fakes means: the frames themselves are numbers.
_SENT: dict[bytes, Any] = {}


class FakeClient:
    """The conversations of `Client` with a meter in memory."""

    only_order_tells = False
    is_in_doubt = False

    def __init__(self, meter: FakeMeter, retries: int = 1) -> None:
        self._meter, self._retries = meter, retries
        self.conformance = meter.conformance
        self.max_pdu = meter.max_pdu
        self.answered = self.changes = 0

    def connect(self) -> Talk[None]:
        yield from self._exchange("connect")
        if self._meter.refuses:
            raise self._meter.refusal
        self._meter.associated = True

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        yield from self._exchange("get", *refs)
        results = self._meter.get(refs)
        self.answered += 1
        return results

    def release(self) -> Talk[None]:
        yield from self._exchange("release")
        self._meter.associated = False

    def break_off(self) -> Talk[Cleared]:
        return (yield from self.clear())

    def clear(self) -> Talk[Cleared]:
        return Cleared.ENDED if (yield self._frame("clear")) else Cleared.SILENCE

    def _exchange(self, verb: str, *refs: AttributeRef) -> Talk[None]:
        for _ in range(self._retries + 1):
            if (yield self._frame(verb, *refs)):
                return
        raise LinkTimeoutError(self._retries + 1, 0)

    def _frame(self, verb: str, *refs: AttributeRef) -> bytes:
        frame = f"{self._meter.name} {verb} {' '.join(map(str, refs))}".encode()
        _SENT[frame] = (self._meter.name, verb, refs)
        return frame


def client_of(*meters: FakeMeter) -> MakeClient:
    by_name = {meter.name: meter for meter in meters}

    def make(
        device: Device,
        counter: InvocationCounter | None = None,
        directory: Directory | None = None,
    ) -> Client:
        return cast("Client", FakeClient(by_name[device.device_name]))

    return make


class RecordingSink:
    """Keeps what it is told, with the time."""

    def __init__(self) -> None:
        self.polls: dict[str, list[tuple[float, Poll]]] = {}
        self.states: dict[str, list[tuple[float, MeterState, DlmsError | None]]] = {}
        self._told = asyncio.Event()

    def polled(self, device: Device, poll: Poll) -> None:
        now = asyncio.get_running_loop().time()
        self.polls.setdefault(device.device_name, []).append((now, poll))
        self._told.set()

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        now = asyncio.get_running_loop().time()
        self.states.setdefault(device.device_name, []).append((now, state, error))
        self._told.set()

    def history(
        self,
        device: Device,
        profile: Profile,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        done(False, "these tests keep nothing")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was told makes the condition true."""
        while not condition():
            self._told.clear()
            await self._told.wait()

    def state_names(self, name: str) -> list[str]:
        return [state for _, state, _ in self.states.get(name, [])]

    def times(self, name: str) -> list[float]:
        return [at for at, _ in self.polls.get(name, [])]
