"""Targets in APDUs: values, answers, associations, ciphering, and what is made of values."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, LinkTimeoutError
from dlms_connector.history import by_time, last
from dlms_connector.interpret import Options, ScalerUnit, aware, examine, moment_of, scaler_unit
from dlms_connector.interpret.attributes import Examiner
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.acse import (
    RLRE,
    Aare,
    Aarq,
    InitiateRequest,
    InitiateResponse,
    describe_service_error,
    mend_sealed,
    parse_release,
    read_aare,
    read_initiate_response,
)
from dlms_connector.protocol.association import Association
from dlms_connector.protocol.client import make_client
from dlms_connector.protocol.data import (
    Budget,
    Data,
    DataType,
    DateTime,
    array,
    date_time_of,
    decode_entries,
    decode_in_slices,
    decode_whole,
    encode,
    structure,
)
from dlms_connector.protocol.notifications import Blocks, envelope, opened, parse
from dlms_connector.protocol.security import Keys
from dlms_connector.protocol.security.ciphering import CountUp
from dlms_connector.protocol.security.protection import Protection
from dlms_connector.protocol.services import ASKED, POLLED, STRANGER, Directory
from dlms_connector.protocol.services import replies as logical
from dlms_connector.protocol.services import short_name_replies as short
from dlms_connector.protocol.services.numbers import read_numbers
from dlms_connector.protocol.services.question import Question
from dlms_connector.protocol.talk import Talk
from dlms_connector.tracing import Trace
from dlms_connector.tracing.writers import PcapngWriter
from dlms_converters.json_value import json_value
from tests.fuzz import seeds
from tests.fuzz.gurux import read as gurux_read
from tests.fuzz.gurux import same
from tests.fuzz.target import Input, Target, WrongError, joined
from tests.support import pushes
from tests.support.talks import drive

D = DataType
_DOING = "fuzzing"
_ZONES = (None, timezone.utc, timezone(timedelta(hours=2)), ZoneInfo("Europe/Vienna"))
_REGISTER = Obis.parse("1-0:1.8.0")
_WORDS = (
    *(bytes((tag,)) for tag in (1, 2, 3, 4, 5, 6, 9, 10, 12, 15, 16, 17, 18, 19, 20, 22, 23, 25)),
    b"\x09\x0c" + pushes.NOON,
    b"\x09\x06\x01\x00\x01\x08\x00\xff",
)


def _sliced(octets: bytes, budget: Budget) -> Data:
    work = decode_in_slices(octets, budget)
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Data = done.value
            return result


def _again(data: Data) -> bytes:
    """Return a value's octets, whatever bits an encoder may choose."""
    return encode(data)


def values(octets: bytes) -> None:
    """A value is the same read at once, in slices, written and read again."""
    try:
        data = decode_whole(octets, budget=Budget(1 << 13))
    except DlmsError:
        data = None
    try:
        sliced = _sliced(octets, Budget(1 << 13))
    except DlmsError:
        sliced = None
    if data is not None and sliced is not None and not _equal(data, sliced):
        raise WrongError("read in slices, it is another value")
    with suppress(DlmsError):
        entries = decode_entries(octets, Budget(1 << 13))
        with suppress(StopIteration):
            while True:
                next(entries)
    if data is None:
        return
    if not _equal(decode_whole(encode(data)), data):
        raise WrongError("written and read again, it is another value")


def _equal(one: Data, other: Data) -> bool:
    if one.type != other.type:
        return False
    if isinstance(one.value, tuple):
        pairs = zip(one.value, other.value, strict=False)
        return len(one.value) == len(other.value) and all(_equal(*pair) for pair in pairs)
    if isinstance(one.value, float) and math.isnan(one.value):
        return math.isnan(other.value)
    return bool(one.value == other.value)


def foreign_values(octets: bytes) -> None:
    """Gurux's parser reads the same values where both accept the octets."""
    try:
        data = decode_whole(octets, budget=Budget(1 << 10))
    except DlmsError:
        return
    found = gurux_read(octets)
    if found is not None and not same(data, found[0]):
        raise WrongError(f"{octets.hex()}: {data} here, {found[0]!r} by Gurux")


def moments(octets: bytes) -> None:
    """Dates and times, in octets and as text: none of them breaks what is made of it."""
    moment = date_time_of(octets)
    other = DateTime.parse(octets[:12].ljust(12, b"\xff"))
    for one in (moment, other):
        if one is None:
            continue
        str(one)
        one.flags  # noqa: B018 (it must not raise)
        for zone in _ZONES:
            for from_utc in (False, True):
                found = one.instant(zone, from_utc=from_utc)
                if found is not None:
                    found.isoformat()
                    aware(found, Options(zone=zone))
    moment_of(Data(D.OCTET_STRING, octets))


def answers(octets: bytes) -> None:
    """Answers with logical and short names; plain numbers are read alike by both ways."""
    whole: logical.Reply | None = None
    with suppress(DlmsError):
        whole = logical.parse(octets, _DOING, Budget(1 << 13))
    count = max(1, octets[3] & 0x7F) if octets[:2] == b"\xc4\x03" and len(octets) > 3 else 1
    numbers = read_numbers(octets, count)
    if numbers is not None:
        match whole:
            case logical.GetNormal(_, result):
                results: tuple[Any, ...] = (result,)
            case logical.GetList(_, results):
                pass
            case _:
                raise WrongError(f"{numbers} where the parser reads {whole}")
        if tuple(numbers) != results:
            raise WrongError(f"{numbers} where the parser reads {results}")
    for read in (
        lambda: short.parse_read(octets, _DOING, Budget(1 << 13)),
        lambda: short.parse_write(octets, _DOING),
        lambda: short.parse_read_blocks(octets, _DOING, Budget(1 << 13), several=False),
        lambda: short.parse_read_blocks(octets, _DOING, Budget(1 << 13), several=True),
        lambda: logical.exception_diagnostic(octets, _DOING),
    ):
        with suppress(DlmsError):
            read()


def associations(octets: bytes) -> None:
    """AARQ, AARE, release and what is in them; what is strictly right is read alike tolerantly."""
    for read in (
        Aarq.parse, InitiateRequest.parse, describe_service_error,
        lambda apdu: parse_release(apdu, RLRE),
    ):  # fmt: skip
        with suppress(DlmsError):
            read(octets)
    with suppress(DlmsError):
        strict = Aare.parse(octets)
        if read_aare(octets) != (strict, "") or Aare.parse(strict.encode()) != strict:
            raise WrongError(f"{strict} is read in two ways")
    with suppress(DlmsError):
        aare, _ = read_aare(octets)
        str(aare.words)
        information = aare.user_information or b""
        mend_sealed(information)
        with suppress(DlmsError):
            read_initiate_response(information)
        with suppress(DlmsError):
            describe_service_error(information)
    with suppress(DlmsError):
        response = InitiateResponse.parse(octets)
        if InitiateResponse.parse(response.encode()) != response:
            raise WrongError(f"{response} is read in two ways")
    mend_sealed(octets)
    with suppress(DlmsError):
        read_initiate_response(octets)


# Ciphered APDUs

_TITLE, _OURS = b"MTR\0\0\0\0\1", b"GTW\0\0\0\0\2"
_AUTHENTICATION, _ENCRYPTION, _BOTH = 0x10, 0x20, 0x30
#: What a meter may tell in clear: exceptions and confirmed service errors.
_ERRORS = (b"\xd8", b"\x0e")
_GET = b"\xc4\x01\x41\x00\x06\x00\x00\x59\xe9"


@lru_cache(1)
def _keys() -> Keys:
    return Keys(0, pushes.KEY, pushes.AUTHENTICATION_KEY)


def _sealed(kind: int, plain: bytes) -> bytes:
    """Return an APDU of the meter, protected in one of four forms."""
    meter = Protection(_keys(), _BOTH if kind & 1 else _AUTHENTICATION, _TITLE, CountUp(77))
    meter.general = bool(kind & 2)
    return meter.protect(plain)


def ciphered(octets: bytes) -> None:
    """A changed APDU is refused, or gives the true one: never another."""
    source = Input(octets)
    kind, count = source.octet(), source.octet() % 5
    changes = [(source.octet(), source.number(), source.octet()) for _ in range(count)]
    plain = b"\xc4" + (source.rest() or _GET[1:])
    apdu = bytearray(_sealed(kind, plain))
    for what, place, value in changes:
        at = place % (len(apdu) + 1)
        if what % 3 == 0:
            apdu[at : at + 1] = bytes((value,))
        elif what % 3 == 1:
            apdu[at : at + 1 + value % 16] = b""
        else:
            apdu[at:at] = bytes((value,)) * (1 + what % 7)
    client = Protection(_keys(), _BOTH if kind & 1 else _AUTHENTICATION, _OURS, CountUp())
    client.begin(fresh=False, peer=_TITLE)
    _opened(client, bytes(apdu), plain)
    _opened(client, octets, _GET)


def _opened(client: Protection, apdu: bytes, true: bytes) -> None:
    try:
        found = client.unprotect(apdu)
    except DlmsError:
        return
    if found != true and apdu[:1] not in _ERRORS:
        raise WrongError(f"{found.hex()} was believed, {true.hex()} was sent")


def notifications(octets: bytes) -> None:
    """What is sent unasked: in clear, in blocks, ciphered with a tag and without one."""
    with suppress(DlmsError):
        parse(octets)
    blocks = Blocks()
    for part in Input(octets).parts():
        with suppress(DlmsError):
            blocks.add(part)
        if blocks.held > 0xFFFF:
            raise WrongError(f"{blocks.held} octets are held")
    with suppress(DlmsError):
        if (found := envelope(octets)) is not None:
            title = found.title or _TITLE
            with suppress(DlmsError):
                opened(found, _keys(), title, _BOTH)
            # Encrypted without a tag, anything is read: it must be a notification then.
            parse(opened(found, _keys(), title, _ENCRYPTION).plain)


# A whole conversation


#: Requests with an invoke-id behind two octets: GET, SET, ACTION.
_WITH_ID = (b"\xc0", b"\xc1", b"\xc3")


class _Said:
    """A data link over which a meter says one APDU after the other, whatever is asked.

    `in_step`, each answer has the invoke-id of its request: others are passed over as late.
    """

    def __init__(self, apdus: list[bytes], *, in_step: bool) -> None:
        self._left, self._in_step = list(apdus), in_step

    def connect(self) -> Talk[None]:
        yield from ()

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        answer = yield from self.receive()
        if self._in_step and apdu[:1] in _WITH_ID and len(apdu) > 2 and len(answer) > 2:
            return answer[:2] + bytes((answer[2] & 0xF0 | apdu[2] & 0x0F,)) + answer[3:]
        return answer

    def receive(self) -> Talk[bytes]:
        yield from ()
        if not self._left:
            raise LinkTimeoutError(1, 0)
        return self._left.pop(0)

    def disconnect(self) -> Talk[bool | None]:
        yield from ()
        return None


_CIPHERED = {
    "security": "AUTHENTICATION_ENCRYPTION",
    "systemTitle": _OURS.hex(),
    "blockCipherKey": pushes.KEY.hex(),
    "authenticationKey": pushes.AUTHENTICATION_KEY.hex(),
}
_SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"interfaceType": "WRAPPER"},
    {"referencing": "SN"},
    {"authentication": "LOW", "password": "12345678"},
    {"authentication": "HIGH_MD5", "password": "12345678"},
    {"interfaceType": "WRAPPER", **_CIPHERED},
    {"referencing": "SN", "interfaceType": "WRAPPER"},
    {"authentication": "HIGH_GMAC", **_CIPHERED},
)
_PROFILE = Obis.parse("1-0:99.1.0")
_START = datetime(2026, 6, 1, tzinfo=timezone.utc)


@lru_cache(len(_SETTINGS))
def device_of(number: int) -> Device:
    made = {"deviceName": "m", "connection": {"host": "h"}, "dlms": _SETTINGS[number]}
    return Device.model_validate(made)


def _ref(class_id: int, attribute: int) -> AttributeRef:
    return AttributeRef(class_id, _REGISTER, attribute)


def talking(
    device: Device,
    apdus: list[bytes],
    directory: Directory | None = None,
    *,
    in_step: bool = True,
) -> Client:
    """Return a client of a meter that says one APDU after the other, whatever is asked."""
    directory = directory or Directory()
    association = Association(device.dlms, device.workarounds, CountUp(), directory.remarks)
    link = _Said(apdus, in_step=in_step)
    return Client(device.dlms, device.workarounds, link, association, directory)


def client(octets: bytes) -> None:
    """An association and all kinds of reading, with whatever a meter answers."""
    source = Input(octets)
    how = source.octet()
    device = device_of(how % len(_SETTINGS))
    made = talking(device, source.parts(), in_step=not how & 0x40)
    made.allowance = (ASKED, POLLED, STRANGER)[how >> 4 & 3 or 0] if how >> 4 & 3 != 3 else ASKED
    refs = (_ref(3, 2), _ref(3, 3), AttributeRef(8, Obis.parse("0-0:1.0.0"), 2))
    talks = (
        made.connect,
        lambda: made.get(Question(refs[:1])),
        lambda: made.get(Question(refs)),
        lambda: made.get(refs),
        lambda: made.set([(_ref(3, 2), Data(D.UNSIGNED, 1))]),
        made.object_list,
        lambda: last(made, _PROFILE, 3, Options()),
        lambda: by_time(made, _PROFILE, _START, _START + timedelta(days=1), Options(), {}),
        made.release,
    )
    skip = source.octet() & 7 if how & 0x80 else 0
    for talk in (talks[0], *talks[1 + skip :]):
        with suppress(DlmsError):
            drive(talk(), lambda sent: b"", most_silences=200)


# What is made of values


def meanings(octets: bytes) -> None:
    """What a value means: JSON that the platform takes, the same in both ways."""
    source = Input(octets)
    class_id, attribute, scaler = source.octet(), source.octet() & 0x1F, source.octet()
    options = Options(
        encoding="cp1251" if scaler & 1 else None,
        zone=timezone.utc if scaler & 2 else None,
        from_utc=bool(scaler & 4),
    )
    try:
        data = decode_whole(source.rest(), budget=POLLED.budget([_ref(3, 2)]))
    except DlmsError:
        return
    with suppress(DlmsError):
        told = scaler_unit(data)
        found = examine(_ref(3, 2), Data(D.LONG, 5), told, options)
        json.dumps(json_value(found.value), allow_nan=False)
        if not -128 <= told.scaler <= 127:
            raise WrongError(f"{told} makes {found.value} of 5")
    ref = AttributeRef(class_id, _REGISTER, attribute)
    for unit in (None, ScalerUnit(scaler - 128, "Wh")):
        found = examine(ref, data, unit, options)
        if repr(Examiner(ref, unit, options).examine(data)) != repr(found):
            raise WrongError(f"{data} means two things")
        json.dumps(json_value(found.value), allow_nan=False).encode()


# What is traced


class _Faults(logging.Handler):
    """Turns what a log tells as a fault into a find."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]
        raise WrongError(record.getMessage())


_TRACE_LOG = logging.getLogger("fuzz.trace")
_TRACE_LOG.propagate = False
_TRACE_LOG.addHandler(_Faults())


def traced(octets: bytes) -> None:
    """A trace of any octets in both directions; none of a secret is in it."""
    source = Input(octets)
    secret = b"Secret-4711"
    written: list[bytes] = []
    file = io.BytesIO()
    close, file.close = file.close, lambda: written.append(file.getvalue())  # type: ignore[method-assign]
    trace = Trace(
        "m", [PcapngWriter(file)], now_ms=lambda: 0, log=_TRACE_LOG, secrets=[secret],
        everything=bool(source.octet() & 1),
    )  # fmt: skip
    for number, part in enumerate(source.parts()):
        (trace.sent if number % 2 == 0 else trace.received)(part)
    trace.close()
    close()
    if secret in b"".join(written):
        raise WrongError("a secret is in the trace")


# Seeds


def _of_moments() -> Iterator[bytes]:
    yield from (pushes.NOON, bytes(12), b"\xff" * 12, b"\x09\x0c" + pushes.NOON)
    yield from (b"2026-06-01T12:00:15+02:00", b"20260601120015", b"2026/06/01 12:00:15.25Z")
    yield bytes.fromhex("20260601ff120015ff800000")


def _of_answers() -> Iterator[bytes]:
    yield from seeds.recorded_answers()
    for value in seeds.values():
        yield b"\xc4\x01\x41\x00" + value
        yield b"\x0c\x01\x00" + value
    yield b"\xc4\x03\x41\x02\x00\x06\0\0\x59\xe9\x00\x12\x09\x21"
    yield b"\xda\0\0\0\x01\x00\x00\x01\x06\0\0\0\x07\x01\x01\x00"
    yield bytes.fromhex("d80106000000ff")
    yield bytes.fromhex("0e010601")


def _of_associations() -> Iterator[bytes]:
    for answer in seeds.recorded_answers():
        if answer[0] in (0x61, 0x63):
            yield answer
    information = InitiateResponse(frozenset({"get", "set"}), 500).encode()
    yield information
    yield Aare(3, 0, 0, False, _TITLE, 5, b"12345678", information).encode()
    yield Aarq(1, InitiateRequest(frozenset({"get"}), 1024).encode(), 1, b"12345678").encode()


def _of_ciphered() -> Iterator[bytes]:
    for kind in range(4):
        yield bytes((kind, 0)) + _GET[1:]
        for what in range(3):
            yield bytes((kind, 1, what, 0, 9, 0x30)) + _GET[1:]
        yield _sealed(kind, _GET)


def _of_notifications() -> Iterator[bytes]:
    body = structure(pushes.obis("1-0:1.8.0"), pushes.u32(7), pushes.scale(1, 30))
    plain = pushes.data_notification(body)
    yield from (plain, pushes.data_notification(body, tagged=True), joined(pushes.blocks(plain, 9)))
    yield pushes.general_glo(plain, _TITLE, 5)
    yield pushes.general_glo(plain, _TITLE, 5, _ENCRYPTION)
    yield bytes.fromhex("c2000003010001080 0ff020600000007".replace(" ", ""))
    yield bytes.fromhex("180001021234 0100 0600000007".replace(" ", ""))
    sealed = _keys().seal(_BOTH, _TITLE, 5, plain)
    yield b"\xdd\x00\x08" + _TITLE + b"\0\0\0\0" + bytes((len(sealed),)) + sealed


def _of_clients() -> Iterator[bytes]:
    simulated: tuple[tuple[int, dict[str, Any]], ...] = (
        (1, {"framing": "WRAPPER"}),
        (6, {"framing": "WRAPPER", "referencing": "SN"}),
    )
    refs = [_ref(3, 2), _ref(3, 3), AttributeRef(8, Obis.parse("0-0:1.0.0"), 2)]
    for number, meter in simulated:
        made = make_client(device_of(number))

        def read(made: Client = made) -> Talk[None]:
            yield from made.connect()
            yield from made.get(Question(refs[:1]))
            yield from made.get(Question(refs))
            yield from made.get(refs)
            with suppress(DlmsError):
                yield from last(made, _PROFILE, 2, Options())
            yield from made.release()

        said = [answer[8:] for answer in seeds.tapped(read, meter)]
        short_enough = [apdu for apdu in said if len(apdu) < 300]
        for how in (number, number | 0x10, number | 0x80):
            yield bytes((how,)) + joined(short_enough)
    yield bytes((0,)) + joined(seeds.recorded_answers()[:12])
    yield bytes((3,)) + joined(seeds.recorded_answers()[:12])


def _of_meanings() -> Iterator[bytes]:
    for value in seeds.values():
        yield bytes((3, 2, 126)) + value
    clock = Data(D.OCTET_STRING, pushes.NOON)
    for power in (-129, 300):
        yield bytes((3, 3, 128)) + encode(structure(Data(D.LONG, power), Data(D.ENUM, 30)))
    for class_id in (1, 3, 4, 5, 7, 8, 11, 15, 20, 21, 22, 40, 64, 70, 71):
        yield bytes((class_id, 2, 128)) + encode(structure(clock, Data(D.UNSIGNED, 1), array()))
        yield bytes((class_id, 3, 128)) + encode(array(structure(Data(D.LONG, 1), clock)))


def _of_traces() -> Iterator[bytes]:
    frames = seeds.frames_of_transcripts()
    yield b"\0" + joined(frames[:6])
    yield b"\1" + joined([b"/?!\r\n", b"/ISk5\\2MT174\r\n", *frames[:3]])
    yield b"\0" + joined([b"\0\1\0\x10\0\1\0\x0d\xc0\x01\xc1" + bytes(10), *frames[3:5]])
    yield b"\0" + joined([b"\x7e\xa0Secret-4711", b"Secret-4711", b"\x80\x0bSecret-4711"])


TARGETS = (
    Target("values", "COSEM data: at once, in slices, written again", values, seeds.values, _WORDS),
    Target("values-gurux", "COSEM data, compared with Gurux", foreign_values, seeds.values, _WORDS),
    Target(
        "moments",
        "dates and times",
        moments,
        _of_moments,
        (b"+0200", b"Z", b"24", b"\x19\x0c"),
        short=4800,
    ),
    Target(
        "answers", "answers by logical and short names", answers, _of_answers, _WORDS, short=4800
    ),
    Target("associations", "AARQ, AARE, release", associations, _of_associations, short=4800),
    Target("ciphered", "ciphered APDUs with a tag", ciphered, _of_ciphered),
    Target("notifications", "notifications, blocks, envelopes", notifications, _of_notifications),
    Target(
        "client", "a client's whole conversation", client, _of_clients, _WORDS, 4096, short=1280
    ),
    Target("meanings", "what a value means, as JSON", meanings, _of_meanings, _WORDS),
    Target("traces", "what a trace makes of octets", traced, _of_traces, short=1600),
)
