"""The compiled way of a poll and the plain one: the same octets, values, errors and findings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import LinkClosedError
from dlms_connector.meter import compiled
from dlms_connector.meter.compiled import Compilations, Compiled
from dlms_connector.meter.meter import Meter
from dlms_connector.meter.outcome import Outcome
from dlms_connector.meter.plan import Limits, Wanted, wanted
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, encode
from dlms_connector.protocol.services import Question
from dlms_connector.simulator import Meter as SimulatedMeter
from dlms_connector.simulator import MeterOptions
from dlms_connector.simulator.options import (
    EXAMPLE_AUTHENTICATION_KEY,
    EXAMPLE_BLOCK_CIPHER_KEY,
)
from dlms_connector.state import InvocationCounter
from tests.support import fake_time
from tests.support.links import SimulatedLink
from tests.support.polled import meter_on

LOG = logging.getLogger("test.compiled")
CLIENT_TITLE = bytes.fromhex("4755525800000001")

CODES = ("1-0:1.8.0", "1-0:2.8.0", "1-0:32.7.0", "1-0:31.7.0", "0-0:96.1.0", "0-0:1.0.0")
ITEMS: tuple[dict[str, Any], ...] = (
    {"obis": CODES[0]},
    {"obis": CODES[1], "scaler": 2},
    {"obis": CODES[2], "scaler": -1, "unit": "V"},
    {"obis": CODES[3], "noValue": [0, 255]},
    {"obis": CODES[4], "class": "data", "format": "text"},
    {"obis": CODES[5], "class": "clock"},
    {"obis": CODES[0], "key": "again", "unit": "kWh"},
)


class PlainOnly(Compilations):
    """Compiles nothing."""

    def of(self, due: Sequence[Wanted], limits: Limits) -> Compiled | None:
        return None


@dataclass(frozen=True)
class Fault:
    """What happens to one of the answers of a poll."""

    number: int
    kind: str
    at: int
    octet: int

    def applied(self, answer: bytes) -> bytes | None:
        """Return what arrives instead; None if the connection ends."""
        at = self.at % max(1, len(answer))
        match self.kind:
            case "flip":
                return answer[:at] + bytes((answer[at] ^ self.octet,)) + answer[at + 1 :]
            case "cut":
                return answer[:at]
            case "more":
                return answer + bytes((self.octet,))
            case "twice":
                return answer + answer
            case "exception":
                return wrapped(bytes((0xD8, 1, 1 + self.octet % 6)))
            case "unasked":
                note = bytes.fromhex("0f00000001000206000000") + bytes((self.octet,))
                return wrapped(note) + answer
            case "close":
                return None
        return b""


faults = st.builds(
    Fault,
    number=st.integers(0, 8),
    kind=st.sampled_from(
        ("flip", "cut", "more", "twice", "exception", "unasked", "close", "silence")
    ),
    at=st.integers(0, 80),
    octet=st.integers(1, 255),
)


def wrapped(apdu: bytes) -> bytes:
    return b"\x00\x01\x00\x01\x00\x10" + len(apdu).to_bytes(2, "big") + apdu


integers = st.one_of(
    *(
        st.builds(Data, st.just(kind), st.integers(low, high))
        for kind, low, high in (
            (DataType.DOUBLE_LONG, -(1 << 31), (1 << 31) - 1),
            (DataType.DOUBLE_LONG_UNSIGNED, 0, (1 << 32) - 1),
            (DataType.LONG, -(1 << 15), (1 << 15) - 1),
            (DataType.LONG_UNSIGNED, 0, (1 << 16) - 1),
            (DataType.LONG64_UNSIGNED, 0, (1 << 64) - 1),
            (DataType.LONG64, -(1 << 63), (1 << 63) - 1),
            (DataType.UNSIGNED, 0, 255),
            (DataType.INTEGER, -128, 127),
            (DataType.ENUM, 0, 255),
            (DataType.BCD, 0, 99),
        )
    )
)
others = st.one_of(
    st.just(Data(DataType.NULL)),
    st.builds(Data, st.just(DataType.BOOLEAN), st.booleans()),
    st.builds(Data, st.just(DataType.BCD), st.just(b"\xfa")),
    st.builds(Data, st.just(DataType.FLOAT32), st.floats(width=32)),
    st.builds(Data, st.just(DataType.FLOAT64), st.floats()),
    st.builds(Data, st.just(DataType.OCTET_STRING), st.binary(max_size=14)),
    st.builds(Data, st.just(DataType.VISIBLE_STRING), st.binary(max_size=8)),
    st.builds(
        Data,
        st.sampled_from((DataType.ARRAY, DataType.STRUCTURE)),
        st.lists(integers, max_size=3).map(tuple),
    ),
)
codes = st.sampled_from((1, 2, 3, 4, 11, 250))
#: What stands for "no reading" of one of the items.
nothing = st.builds(Data, st.just(DataType.DOUBLE_LONG_UNSIGNED), st.sampled_from((0, 255)))
answers = st.one_of(integers, integers, nothing, others, codes)


@dataclass(frozen=True)
class Step:
    """One poll: which items, what the objects hold now, and what goes wrong."""

    items: frozenset[int]
    values: dict[int, Data | int]
    fault: Fault | None


EVERY = frozenset(range(len(ITEMS)))

steps = st.builds(
    Step,
    items=st.frozensets(st.integers(0, len(ITEMS) - 1), min_size=1) | st.just(EVERY),
    values=st.dictionaries(st.integers(0, len(CODES) - 1), answers, max_size=3),
    fault=st.none() | faults,
)


@dataclass
class Values:
    """What the objects of the meter hold: data or a refusal for each attribute."""

    held: dict[tuple[bytes, int], Data | int] = field(default_factory=dict)
    #: A longer list is refused as a whole.
    longest: int = 100

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a GET."""
        head = request[2:3]
        if request[1] == 1:
            return b"\xc4\x01" + head + self._one(request[3:])
        count, at, results = request[3], 4, b""
        if count > self.longest:
            return b"\xd8\x01\x02"
        for _ in range(count):
            results += self._one(request[at : at + 10])
            at += 10
        return b"\xc4\x03" + head + bytes((count,)) + results

    def _one(self, descriptor: bytes) -> bytes:
        held = self.held.get((descriptor[2:8], descriptor[8]), 4)
        return bytes((1, held)) if isinstance(held, int) else b"\x00" + encode(held)


class ScriptedLink(SimulatedLink):
    """A link to a meter whose objects hold what is told, with one fault in each poll."""

    def __init__(self, meter: SimulatedMeter, values: Values | None) -> None:
        super().__init__(meter)
        self.out: list[bytes] = []
        self.fault: Fault | None = None
        self.answers = 0
        self._values = values
        self._ended = False

    async def open(self) -> None:
        await super().open()
        self._ended = False

    def send(self, data: bytes) -> None:
        if self._connection is None or self._ended:
            raise LinkClosedError
        self.out.append(data)
        before, self._waiting = self._waiting, b""
        if self._values is not None and data[8:9] == b"\xc0":
            answer: bytes | None = wrapped(self._values.answer(data[8:]))
        else:
            super().send(data)
            answer = self._waiting
        assert answer is not None
        if self.fault is not None and self.fault.number == self.answers and answer:
            answer = self.fault.applied(answer)
            self._ended = answer is None
        self.answers += 1
        self._waiting = before + (answer or b"")
        self._ready_at = 0.0

    async def receive(self, deadline: float) -> bytes:
        if self._ended and not self._waiting:
            raise LinkClosedError
        return await super().receive(deadline)


def told(outcome: Outcome) -> Any:
    """Return all that an outcome tells, in a form that can be compared."""
    poll = outcome.poll
    return (
        [repr(reading) for reading in poll.readings],
        [(fail.key, fail.kind, type(fail.error), str(fail.error)) for fail in poll.failures],
        [one.item.key for one in outcome.unread],
        outcome.error and (type(outcome.error), str(outcome.error)),
    )


def findings(meter: Meter) -> Any:
    learned = meter.learned
    return (
        learned.scalers, learned.max_items, learned.alone, learned.refused, learned.excepted,
        list(learned.killers), learned.deaths, learned.in_flight, learned.lists_suspect,
        learned._longest, learned._listed, meter.statistics,
    )  # fmt: skip


async def played(
    device: Device,
    options: MeterOptions,
    script: Sequence[Step],
    *,
    values: Values | None,
    plain: bool,
    counter: Callable[[], InvocationCounter] | None = None,
) -> Any:
    """Return all that polls show on the line and tell above it."""
    link = ScriptedLink(SimulatedMeter(options), values)
    meter = meter_on(
        device, link, now_ms=lambda: len(link.out) * 10, counter=counter() if counter else None
    )
    if plain:
        meter._compilations = PlainOnly(meter.learned, meter._options)
    items, seen = wanted(device), []
    for step in script:
        if values is not None:
            for number, held in step.values.items():
                values.held[Obis.parse(CODES[number]).octets, 2] = held
        link.fault, link.answers = step.fault, 0
        outcome = await meter.poll([one for at, one in enumerate(items) if at in step.items])
        seen.append((told(outcome), findings(meter), link.out[:]))
        link.out.clear()
        if meter.session._client is not None and not meter.session.is_open:
            await meter.session.release()
    await meter.session.hang_up()
    return seen


def usual_values() -> dict[tuple[bytes, int], Data | int]:
    """Return registers with scalers, a name and a clock; one object has no scaler."""
    held: dict[tuple[bytes, int], Data | int] = {}
    for n, code in enumerate(CODES[:4]):
        held[Obis.parse(code).octets, 2] = Data(DataType.DOUBLE_LONG_UNSIGNED, 1000 + n)
        scaler = Data(DataType.INTEGER, n - 2), Data(DataType.ENUM, 30)
        held[Obis.parse(code).octets, 3] = Data(DataType.STRUCTURE, scaler)
    held[Obis.parse(CODES[4]).octets, 2] = Data(DataType.OCTET_STRING, b"12345678")
    clock = bytes.fromhex("07ea0601010a00000000 3c00".replace(" ", ""))
    held[Obis.parse(CODES[5]).octets, 2] = Data(DataType.OCTET_STRING, clock)
    return held


def device_of(**more: Any) -> Device:
    return Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {"host": "h", "timeoutMs": 1000, "retries": 1},
            "timeseries": [{"key": f"k{n}"} | item for n, item in enumerate(ITEMS)],
        }
        | more
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    script=st.lists(steps, min_size=1, max_size=6),
    limits=st.sampled_from(
        ({}, {"max_pdu": 64}, {"max_pdu": 45}, {"without": frozenset({"multiple-references"})})
    ),
    longest=st.sampled_from((100, 100, 4)),
    scaled=st.booleans(),
    single_reads=st.booleans(),
)
@example([Step(EVERY, {3: Data(DataType.UNSIGNED, 255)}, None)], {}, 100, True, False)
@example([Step(EVERY, {0: 3}, None)] * 3, {}, 100, True, False)
def test_both_ways_ask_and_tell_the_same_of_generated_meters(
    script: list[Step], limits: dict[str, Any], longest: int, scaled: bool, single_reads: bool
) -> None:
    # Two usual polls first: the second one is compiled.
    whole = Step(EVERY, {}, None)
    device = device_of(dlms={"interfaceType": "WRAPPER"}, workarounds={"singleReads": single_reads})

    def run(*, plain: bool) -> Any:
        values = Values(usual_values(), longest)
        if not scaled:
            values.held[Obis.parse(CODES[0]).octets, 3] = 4
        options = MeterOptions(
            framing="WRAPPER", hold_at=1.79e9, now=lambda: 1.79e9, monotonic=lambda: 0.0, **limits
        )
        return fake_time.run(
            played(device, options, [whole, whole, *script], values=values, plain=plain)
        )

    assert run(plain=False) == run(plain=True)


@pytest.mark.parametrize("framing", ["WRAPPER", "HDLC"])
@pytest.mark.parametrize("ciphered", [False, True], ids=["plain", "ciphered"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=st.lists(steps, min_size=1, max_size=4))
def test_both_ways_ask_and_tell_the_same_over_damaged_lines(
    framing: Any, ciphered: bool, script: list[Step]
) -> None:
    dlms: dict[str, Any] = {"interfaceType": framing}
    secure: dict[str, Any] = {}
    if ciphered:
        dlms |= {
            "clientAddress": 1,
            "security": "AUTHENTICATION_ENCRYPTION",
            "systemTitle": CLIENT_TITLE.hex(),
            "blockCipherKey": EXAMPLE_BLOCK_CIPHER_KEY.hex(),
            "authenticationKey": EXAMPLE_AUTHENTICATION_KEY.hex(),
        }
        secure = {
            "security": "AUTHENTICATION_ENCRYPTION",
            "client_title": CLIENT_TITLE,
            "client_address": 1,
            "invocation_counter": 0,
        }
    device = device_of(dlms=dlms)
    whole = Step(EVERY, {}, None)

    def run(*, plain: bool) -> Any:
        options = MeterOptions(
            framing=framing, hold_at=1.79e9, now=lambda: 1.79e9, monotonic=lambda: 0.0, **secure
        )
        return fake_time.run(
            played(
                device,
                options,
                [whole, whole, *script],
                values=None,
                plain=plain,
                counter=(lambda: InvocationCounter("M1")) if ciphered else None,
            )
        )

    assert run(plain=False) == run(plain=True)


def test_a_settled_poll_is_compiled_once_and_again_when_what_is_known_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Compiled] = []
    compile_ = compiled._compiled

    def counting(*args: Any) -> Compiled:
        made.append(compile_(*args))
        return made[-1]

    monkeypatch.setattr(compiled, "_compiled", counting)
    device = device_of(dlms={"interfaceType": "WRAPPER"})
    values = Values(usual_values())
    options = MeterOptions(
        framing="WRAPPER", hold_at=1.79e9, now=lambda: 1.79e9, monotonic=lambda: 0.0
    )

    async def test() -> None:
        link = ScriptedLink(SimulatedMeter(options), values)
        meter = meter_on(device, link, now_ms=lambda: 0)
        due = wanted(device)
        for _ in range(2):
            await meter.poll(due)
        before = len(made)
        for _ in range(5):
            assert len((await meter.poll(due)).poll.readings) == len(ITEMS)
        await meter.session.hang_up()  # a new association negotiates the same
        await meter.poll(due)
        assert len(made) == before
        meter.forget()
        await meter.poll(due)
        await meter.poll(due)
        assert len(made) > before
        await meter.session.hang_up()

    fake_time.run(test())


def test_a_question_reads_like_any_attributes() -> None:
    refs = [AttributeRef(3, Obis.parse(code), 2) for code in CODES]
    assert list(Question(refs)) == refs
    assert Question(refs).doing == "reading 6 attributes at once"
    assert Question(refs[:1]).doing == f"reading {refs[0]}"
