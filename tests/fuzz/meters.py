"""Targets where the connector asks: polls, calls and discovery, whatever the meter answers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from dlms_connector.commands.image_calls import image_methods
from dlms_connector.commands.image_file import Image
from dlms_connector.commands.image_jobs import ImageJobs
from dlms_connector.commands.kept import Kept
from dlms_connector.config import Device
from dlms_connector.discovery import Discovery, Pace, Request, Wanted, brief, discover, report
from dlms_connector.discovery.description import FoundObject
from dlms_connector.errors import DlmsError
from dlms_connector.meter.plan import wanted
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import make_client
from dlms_connector.protocol.data import Data, DataType, array, encode, structure
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.state import counter_of
from dlms_converters.json_value import json_value
from tests.fuzz import seeds
from tests.fuzz.apdus import talking
from tests.fuzz.doors import _run
from tests.fuzz.files import folder
from tests.fuzz.target import Input, Target, WrongError, joined
from tests.matrix.oddities import CIPHERED_DLMS, CIPHERED_OPTIONS
from tests.support.commands import Desk, Link, MetersInMemory, device
from tests.support.links import FakeLink, SimulatedLink
from tests.support.polled import meter_on
from tests.support.pushes import wrapped
from tests.support.simulated import NOW
from tests.support.talks import Script, drive

_LOG = logging.getLogger("fuzz.meters")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())
T = TypeVar("T")
D = DataType
_FAULT = "a fault of the connector"


# Polls over a line on which somebody changes what the meter says

_ITEMS = ("1-0:1.8.0", "1-0:32.7.0", "0-0:96.1.0")
#: Framing, the meter's options, the section `dlms`, workarounds: with the last, nothing but its
#: counter tells an answer from another one.
_KINDS: tuple[tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
    ("WRAPPER", CIPHERED_OPTIONS, CIPHERED_DLMS, {}),
    ("HDLC", CIPHERED_OPTIONS, CIPHERED_DLMS, {}),
    ("WRAPPER", {}, {}, {}),
    ("HDLC", {}, {}, {}),
    ("WRAPPER", {"referencing": "SN"}, {"referencing": "SN"}, {}),
    ("WRAPPER", CIPHERED_OPTIONS, CIPHERED_DLMS, {"fixedInvokeId": 1, "singleReads": True}),
)
_POLLS = 2


class _ChangedLink(SimulatedLink):
    """A line on which answers are changed as an input has it."""

    def __init__(self, meter: Meter, source: Input) -> None:
        super().__init__(meter)
        self._source = source
        self._before = b""
        #: Whether octets came that are not the meter's: one in 65536 of them has the right check.
        self.foreign = False

    def send(self, data: bytes) -> None:
        super().send(data)
        answer, self._waiting = self._waiting, b""
        self._waiting = self._changed(answer)
        self._before = answer

    def _changed(self, answer: bytes) -> bytes:
        source, changed = self._source, bytearray(answer)
        at, what = source.octet() % (len(answer) + 1), source.octet() % 16
        self.foreign |= what in (4, 8, 9)
        match what:
            case 1:
                changed[at : at + 1] = bytes((source.octet(),))
            case 2:
                for place in range(at, min(len(changed), at + 2)):
                    changed[place] ^= source.octet()
            case 3:
                del changed[at:]
            case 4:
                changed[at:at] = source.take(source.octet() % 16)
            case 5:
                changed[:] = self._before
            case 6:
                changed[:] = self._before + answer
            case 7:
                changed += answer
            case 8:
                changed[:] = source.take(source.octet())
            case 9:
                changed[at : at + source.octet() % 8] = source.take(source.octet() % 8)
            case 10:
                changed.clear()
        return bytes(changed)


@lru_cache(len(_KINDS))
def _polled(kind: int) -> Device:
    framing, _, dlms, workarounds = _KINDS[kind]
    return Device.model_validate(
        {
            "deviceName": "M1",
            "connection": {"host": "h", "timeoutMs": 1000, "retries": 1},
            "dlms": {"interfaceType": framing, **dlms},
            "workarounds": workarounds,
            "timeseries": [
                {"key": code, "obis": code, "class": 1 if code.startswith("0") else 3}
                for code in _ITEMS
            ],
        }
    )


async def _polls(kind: int, source: Input) -> tuple[list[Mapping[str, Any]], bool]:
    """Return what polls have read, and whether it must be what the meter holds."""
    framing, options, *_ = _KINDS[kind]
    polled, simulated = _polled(kind), Meter(MeterOptions(framing=framing, hold_at=NOW, **options))
    link = _ChangedLink(simulated, source)
    meter = meter_on(polled, link, now_ms=lambda: 0, counter=counter_of(polled, None))
    counter = meter.session._counter
    if counter is not None:
        counter.learn(0)
    found: list[Mapping[str, Any]] = []
    for _ in range(_POLLS):
        outcome = await meter.poll(wanted(polled))
        found.append({one.key: json_value(one.value) for one in outcome.poll.readings})
    await meter.session.release()
    checked = framing == "HDLC" and not link.foreign
    return found, checked or options is CIPHERED_OPTIONS


@lru_cache(len(_KINDS))
def _true(kind: int) -> Mapping[str, Any]:
    """Return what the meter holds, as it is read over a good line."""
    (first, second), _ = _run(_polls(kind, Input(b"")))
    assert first == second
    assert len(first) == len(_ITEMS), first
    return first


def poll(octets: bytes) -> None:
    """Polls over a line where octets change: JSON, and with a check only what the meter holds."""
    source = Input(octets)
    kind = source.octet() % len(_KINDS)
    true = _true(kind)
    found, is_true = _run(_polls(kind, source))
    for values in found:
        json.dumps(values, allow_nan=False)
        if is_true and not values.items() <= true.items():
            raise WrongError(f"{values} was read, {true} is true")


# Calls to a meter that answers anything

_IMAGE = bytes(300)


async def _image(*_: object) -> Image:
    return Image("image.bin", b"image", _IMAGE)


class _LyingLink(Link):
    """An association with a meter that says what it likes behind its AARE."""

    def __init__(self) -> None:
        self.say([])

    def say(self, apdus: list[bytes]) -> None:
        """Let the meter say this, whatever is asked."""
        self.client = talking(_asked(), [_aare(), *apdus])
        self.hold(self.client.connect())

    def hold(self, talk: Talk[T]) -> T:
        return drive(talk, lambda sent: b"", most_silences=200)


@lru_cache(1)
def _aare() -> bytes:
    """Return a meter's AARE that offers each service."""
    return seeds.tapped(make_client(_asked()).connect, {"framing": "WRAPPER"})[0][8:]


@lru_cache(1)
def _asked() -> Device:
    return device(
        dlms={"interfaceType": "WRAPPER"},
        profiles=[{"obis": "1-0:99.1.0"}],
        attributes=[{"key": "clock", "obis": "0-0:1.0.0", "class": "clock"}],
    )


class _Calls:
    """A desk for calls, and the meter that lies."""

    def __init__(self) -> None:
        self.meters = meters = MetersInMemory()
        self.link = _LyingLink()
        meters.links["M1"] = self.link
        self.jobs = ImageJobs(
            folder(),
            meters,
            Kept(None, "image-transfers.json", _LOG),
            _LOG,
            tell_state=lambda *told: None,
            tell_progress=lambda *told: None,
            read=_image,
        )
        self.desk = Desk((_asked(),), meters=meters, more=image_methods(self.jobs))


async def _made() -> _Calls:
    return _Calls()


@lru_cache(1)
def _calls() -> _Calls:
    return _run(_made())


#: Calls, each with parameters that let it talk to the meter.
_METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("getObject", {"obis": "1-0:1.8.0"}),
    ("getObject", {"obis": "0-0:1.0.0", "class": "clock", "attribute": 2}),
    ("setObject", {"obis": "0-0:96.3.10", "class": 70, "attribute": 4, "value": 1}),
    ("actionObject", {"obis": "0-0:96.3.10", "class": 70, "method": 1}),
    ("readClock", {}),
    ("syncClock", {"force": True}),
    ("readProfile", {"obis": "1-0:99.1.0", "last": 3}),
    ("readProfile", {"obis": "1-0:99.1.0", "from": "2026-06-01", "to": "2026-06-02"}),
    ("discover", {}),
    ("discover", {"all": True}),
    ("getImageTransferStatus", {}),
    ("verifyImage", {}),
    ("activateImage", {}),
    ("startImageTransfer", {"file": "image.bin"}),
    ("disconnect", {}),
    ("reconnect", {}),
)


async def _answer(method: str, params: Mapping[str, Any]) -> Any:
    calls = _calls()
    for noted in (calls.meters.jobs, calls.desk.events, calls.desk.wrote):
        noted.clear()  # it is there for tests to look at
    answer = await calls.desk.ask(method, params)
    if task := calls.jobs._tasks.get("M1"):
        transfer = calls.jobs.last("M1")
        await asyncio.wait({task}, timeout=1000.0)
        task.cancel()  # else it waits for the meter
        await asyncio.wait({task})
        if transfer is not None and _FAULT in transfer.state:
            raise WrongError(transfer.state)
    return answer


def commands(octets: bytes) -> None:
    """Each call, with a meter that answers anything: an answer in JSON, and no fault."""
    source = Input(octets)
    method, params = _METHODS[source.octet() % len(_METHODS)]
    _calls().link.say(source.parts())
    answer = _run(_answer(method, params))
    json.dumps(answer, allow_nan=False).encode()
    if _FAULT in str(answer.get("error", "")):
        raise WrongError(f"{method}: {answer['error']}")


# Discovery


class _ScriptedLink(FakeLink):
    """A line to a meter that gives one answer after the other; silence takes its time."""

    def __init__(self, script: Script, hangs_up: bool) -> None:
        super().__init__(script)
        self.is_open, self._hangs_up = False, hangs_up

    async def open(self) -> None:
        self.is_open, self._waiting = True, b""

    def send(self, data: bytes) -> None:
        super().send(data)
        self.is_open = bool(self._waiting) or not self._hangs_up

    async def receive(self, deadline: float) -> bytes:
        if not self._waiting and self.is_open:
            await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
        return await super().receive(deadline)

    async def configure(self, *_: object) -> None:
        pass


class _SearchedLink(_ChangedLink):
    """A line to a simulated meter that is searched for."""

    async def configure(self, *_: object) -> None:
        pass


_PACE = Pace(max_probes=12, max_s=20.0)
_CONNECTION = {"host": "h"}


#: The association is of another class where objects have short names.
_ASSOCIATION = {(number, Obis.parse("0-0:40.0.0")) for number in (12, 15)}
#: Profile, framing and referencing of the simulated meters that are found: the household's is read
#: by lists.
_FOUND = (("microstar", "HDLC", "LN"), ("household", "WRAPPER", "LN"), ("microstar", "HDLC", "SN"))


async def _discover(interface: Any, link: Any) -> Discovery | None:
    request = Request(
        connection=_CONNECTION,
        wanted=Wanted(interfaces=(interface,), clients=(16, 1)),
        pace=_PACE,
    )
    with suppress(DlmsError):
        return await discover(request, make_link=lambda connection: link)
    return None


#: What a meter of each profile shows for its voltage.
_SHOWN = {"microstar": ("1-1:32.7.0", "135.19 V"), "household": ("1-0:32.7.0", "230.8 V")}


def _sought(kind: int) -> Meter:
    profile, framing, referencing = _FOUND[kind]
    options: dict[str, Any] = {"profile": profile, "framing": framing, "referencing": referencing}
    return Meter(MeterOptions(now=lambda: NOW, hold_at=NOW, **options))


def _searched(kind: int, source: Input) -> tuple[Discovery | None, bool]:
    """Search for a simulated meter; return what is found, and whether that must be true."""
    framing = _FOUND[kind][1]
    link = _SearchedLink(_sought(kind), source)
    return _run(_discover(framing, link)), framing == "HDLC" and not link.foreign


@lru_cache(len(_FOUND))
def _objects(kind: int) -> Mapping[tuple[int, Obis], FoundObject]:
    """Return what is found of a meter over a good line: all that it has, and each is read."""
    found, _ = _searched(kind, Input(b""))
    assert found is not None
    assert found.description is not None
    objects = {(one.listed.class_id, one.obis): one for one in found.description.objects}
    held = {(number, Obis(name)) for number, name in _sought(kind).objects}
    if {*objects} - _ASSOCIATION != held - _ASSOCIATION or len(objects) != len(held):
        raise WrongError(f"{objects.keys()} were found of {held}")
    code, shown = _SHOWN[_FOUND[kind][0]]
    if (read := objects[3, Obis.parse(code)]) and f"{read.value} {read.unit}" != shown:
        raise WrongError(f"{read} was read, {shown} is true")
    problems = {one.problem for one in objects.values()} - {"", "not read: its class has none"}
    if problems:
        raise WrongError(f"of a good meter: {problems}")
    return objects


def _check(true: Mapping[tuple[int, Obis], FoundObject], found: Discovery) -> None:
    """Raise WrongError where something is described that the meter does not hold."""
    for one in found.description.objects if found.description is not None else ():
        fact = true.get((one.listed.class_id, one.obis))
        if fact is None or (one.is_read and not one.raw and _said(one) != _said(fact)):
            raise WrongError(f"{one} was found, {fact} is true")


def _said(one: FoundObject) -> tuple[object, ...]:
    return one.value, one.unit, one.octets, one.columns


def discovery(octets: bytes) -> None:
    """A search for a meter, with any answers, or changed ones of a simulated meter.

    There is a report and an entry, or an error of ours. Where frames have a check, what is found
    is what the meter holds.
    """
    source = Input(octets)
    how = source.octet()
    if how & 8:
        kind = how % len(_FOUND)
        true = _objects(kind)
        found, is_true = _searched(kind, source)
        if found is not None and is_true:
            _check(true, found)
    else:
        link = _ScriptedLink(Script(source.parts(256)), bool(how & 4))
        found = _run(_discover(("HDLC", "WRAPPER", "HDLC_WITH_MODE_E")[how % 3], link))
    if found is not None:
        report(found)
        if found.description is not None:
            json.dumps(brief(found.description), default=str)
        json.dumps(found.entry)


# Seeds


def _of_polls() -> Iterator[bytes]:
    for kind in range(len(_KINDS)):
        yield bytes((kind,))
        for what in range(1, 11):
            for step in (2, 4, 6):
                change = bytes((11, what, 5, 1, 2, 3, 4, 5))
                yield bytes((kind,)) + bytes(2 * step) + change
    for answer in (b"\xc4\x01\xc1\0\x06\0\0\0\x07", b"\xc4\x01\xc1\0\x0f\x07"):
        forged = wrapped(answer, 1, 1)
        for step in range(3, 9):
            yield b"\5" + bytes(2 * step) + bytes((0, 8, len(forged))) + forged


def _of_simulated() -> Iterator[bytes]:
    """Yield what a simulated meter answers to each call."""
    meters = MetersInMemory()
    meters.add(_asked(), framing="WRAPPER", profile_days=1)
    connection: Any = meters.links["M1"]._connection
    feed, answers = connection.feed, []

    def peer(sent: bytes) -> bytes:
        answer: bytes = feed(sent)
        answers.append(answer[8:])
        return answer

    connection.feed = peer

    async def ask(method: str, params: Mapping[str, Any]) -> list[bytes]:
        answers.clear()
        desk = Desk((_asked(),), meters=meters)
        if desk.dispatcher.knows(method):
            await desk.ask(method, params)
        return [one for one in answers if len(one) < 400][:12]

    for number, call in enumerate(_METHODS):
        yield bytes((number,)) + joined(_run(ask(*call)))


def _object_list() -> bytes:
    """Return an answer with a short object list."""
    rights = structure(array(structure(Data(D.INTEGER, 2), Data(D.ENUM, 1), Data(D.NULL))), array())
    entries = [
        structure(
            Data(D.LONG_UNSIGNED, class_id),
            Data(D.UNSIGNED, 0),
            Data(D.OCTET_STRING, Obis.parse(code).octets),
            rights,
        )
        for class_id, code in ((15, "0-0:40.0.0"), (1, "0-0:96.1.0"), (3, "1-0:1.8.0"))
    ]
    return b"\xc4\x01\xc1\x00" + encode(array(*entries))


def _of_commands() -> Iterator[bytes]:
    yield from _of_simulated()
    attributes = [b"\xc4\x01\xc1\x00" + encoded for encoded in seeds.values()][:24]
    for number in range(len(_METHODS)):
        yield bytes((number,)) + joined(attributes[number : number + 6])
    for number in (8, 9):
        yield bytes((number,)) + joined([_object_list(), *attributes[4:10]])
    block, enabled = b"\x06\0\0\0\x40", b"\x03\x01"
    found = [b"\xc4\x01\xc1\x00" + each for each in (block, b"\x06\0\0\0\0", enabled, b"\x16\x01")]
    done = b"\xc7\x01\xc1\x00\x00"
    yield b"\x0d" + joined([*found, done, *found, *[done] * 6, *found])


#: Answers of a search are changed one at a time; so many there are at most.
_ANSWERS = 36


def _of_discovery() -> Iterator[bytes]:
    for how in (8, 9, 10):
        yield bytes((how,))
        for step in range(0, 2 * _ANSWERS, 2):
            yield bytes((how, *bytes(step), 11, step % 10 + 1, 5, 1, 2, 3, 4, 5))
    yield b"\2" + joined([b"/ISk5\\2MT174\r\n", b"\x06252\r\n"])
    yield b"\6" + joined([b"/ABC0old\r\n", b"\x021.8.0(0001240.1*kWh)\r\n!\r\n\x03\x10"])


TARGETS = (
    Target("poll", "polls, answers changed on the way", poll, _of_polls, short=32),
    Target("commands", "calls, with any answers", commands, _of_commands, longest=4096, short=160),
    Target("discovery", "a search, with any answers", discovery, _of_discovery, longest=4096,
           short=32),
)  # fmt: skip
