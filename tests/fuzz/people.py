"""Targets in what people and the platform write: configuration, fleet tables, calls, recordings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from dlms_connector.commands.request import device_request
from dlms_connector.config import load
from dlms_connector.errors import CommandError, ConfigError
from dlms_connector.gateway.connector_call import ConnectorCall, Tally
from dlms_connector.simulator import Connection, Meter, MeterOptions
from dlms_connector.simulator.recording import read_recording
from tests.fuzz import seeds
from tests.fuzz.documents import changed, written
from tests.fuzz.doors import _run
from tests.fuzz.files import file, folder
from tests.fuzz.target import Input, Target, WrongError
from tests.support.commands import Desk, device
from tests.support.places import GATEWAY_CONFIG

_SAMPLES = GATEWAY_CONFIG / "samples"
_FAULT = "a fault of the connector"


def _loaded(raw: object) -> tuple[str, ...]:
    """Load a configuration; return its problems: sentences that a log can hold."""
    try:
        problems = load(raw, base=folder(), environment={}).every_problem
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        problem.encode()  # no halves of surrogate pairs: it goes into a log
        if not problem.strip():
            raise WrongError("a problem that says nothing")
    return problems


def configuration_text(octets: bytes) -> None:
    """The text of a configuration."""
    with suppress(UnicodeDecodeError):
        _loaded(octets.decode())


#: More devices of a sample are as those.
_MOST_DEVICES = 2


@lru_cache(1)
def _documents() -> list[str]:
    """Return the samples, without what asks for other files."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(_SAMPLES.glob("*.json"))]
    return [
        json.dumps({**one, "devices": one["devices"][:_MOST_DEVICES]}, separators=(",", ":"))
        for one in found
        if "devicesFile" not in one
    ]


def configuration_values(octets: bytes) -> None:
    """A valid configuration with values, keys and lists changed at any place."""
    source = Input(octets)
    documents = _documents()
    _loaded(changed(json.loads(documents[source.octet() % len(documents)]), source))


_TEMPLATES = {"t": {"dlms": {"interfaceType": "WRAPPER"}, "pollPeriod": 60000}}


def fleet_table(octets: bytes) -> None:
    """A table of meters: each row is a device, or refused with its line."""
    file("fleet.csv", octets)
    _loaded({"devicesFile": "fleet.csv", "templates": _TEMPLATES})


#: Digits of an answer of a recording.
_SHORT = 400
_SECRET = b"Secret-4711"
_SECRETS = ("password", "blockCipherKey", "authenticationKey", "signingKey", "broadcastKey")


def secret_file(octets: bytes) -> None:
    """A file with a secret: it is taken or refused, and no problem shows what is in it."""
    (folder() / "secrets").mkdir(exist_ok=True)
    file("secrets/one", octets[1:])
    key = _SECRETS[octets[0] % len(_SECRETS)] if octets else _SECRETS[0]
    dlms = {"authentication": "LOW", "security": "AUTHENTICATION", key: "${file:one}"}
    problems = _loaded(
        {"devices": [{"deviceName": "m", "connection": {"host": "h"}, "dlms": dlms}]}
    )
    for shown in (_SECRET.decode(), _SECRET.hex(), repr(_SECRET)[2:-1]):
        if any(shown in problem for problem in problems):
            raise WrongError(f"a secret is shown: {problems}")


@lru_cache(1)
def _recordings() -> list[bytes]:
    """Return the recordings, a few short exchanges of each."""
    found = [json.loads(path.read_text("utf-8")) for path in seeds.RECORDINGS]
    for one in found:
        short = [each for each in one["exchanges"] if len(each["response"] or "") <= _SHORT]
        one["exchanges"], one["objects"] = short[:3], []
    return [written(one) for one in found if one["exchanges"]]


def recording(octets: bytes) -> None:
    """A recording: it is refused with ValueError, or a simulated meter serves it."""
    if octets[:1] >= b"\x80":
        source, documents = Input(octets), _recordings()
        document = json.loads(documents[source.octet() % len(documents)])
        octets = written(changed(document, source))
    try:
        options = read_recording(file("recording.json", octets))
        connection = Connection([Meter(MeterOptions(**options))])
    except ValueError:
        return
    connection.feed(b"\x7e\xa0\x07\x03\x21\x93\x0f\x01\x7e")
    for request, _ in options["recording"][:3]:
        connection.feed(b"\0\1\0\x10\0\1" + len(request[:500]).to_bytes(2, "big") + request[:500])


# Calls


@lru_cache(1)
def _desk() -> Desk:
    async def make() -> Desk:
        return Desk(
            devices=(
                device(
                    "M1",
                    serverSideRpc=[
                        {"method": "own", "obis": "1-0:1.8.0"},
                        {"method": "limit", "obis": "0-0:96.3.10", "class": "disconnectControl",
                         "attribute": 4, "requestType": "set"},
                    ],
                ),
            )
        )  # fmt: skip

    return _run(make())


def calls(octets: bytes) -> None:
    """A call to a device, with any parameters: an answer, and no fault."""
    source = Input(octets)
    methods = [*_desk().dispatcher._methods, "own", "limit", "nothing"]
    method = methods[source.octet() % len(methods)]
    try:
        text = source.rest().decode()
    except UnicodeDecodeError:
        return
    params: Any = text
    with suppress(ValueError, RecursionError):
        params = json.loads(text)
    _call(method, params)
    if params is not text:
        _call(method, text)


def _call(method: str, params: Any) -> None:
    content = {"device": "M1", "data": {"id": 1, "method": method, "params": params}}
    try:
        request = device_request(content)
    except CommandError:
        return
    ConnectorCall.read({"method": f"dlms_{method}", "params": params}, "dlms")
    Tally.of(content).answer()
    refusal = _desk().dispatcher.refusal(request)
    if refusal is None:
        answer = _run(_desk().ask(method, params))
        refusal = answer.get("error")
        json.dumps(answer, allow_nan=False).encode()
    if refusal is not None and _FAULT in refusal:
        raise WrongError(f"{method} {params!r}: {refusal}")


# Seeds


def _of_texts() -> Iterator[bytes]:
    for text in _documents():
        yield text.encode()
    yield (
        b'{"devices":[{"deviceName":"m","connection":{"host":"h"},'
        b'"timeseries":[{"key":"e","obis":"1-0:1.8.0"}]}]}'
    )
    yield b'{id_var_start}x{id_var_end}{"devices":[]}'


def _of_changes() -> Iterator[bytes]:
    for number in range(len(_documents())):
        for what in range(6):
            yield bytes((number, 3, 0, 1, 1, 2, 1, 3, what, 9, 2, 1, 1, 0, 4, 20))


def _of_tables() -> Iterator[bytes]:
    yield b"deviceName,template,connection.host,connection.port\nm1,t,10.0.0.1,4059\nm2,t,h,\n"
    yield b"deviceName,connection,connection.host\nm1,{},h\n"
    yield b'deviceName;dlms.password;connection\nm1;12345678;{"host":"h"}\n'
    yield b'\xef\xbb\xbfdeviceName\ttimeseries\r\nm1\t[{""key"":""e""}]\r\n'
    for path in sorted(_SAMPLES.glob("*.csv")):
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))[:3]
        table = io.StringIO()
        csv.writer(table).writerows(rows)
        yield table.getvalue().encode()


def _of_secret_files() -> Iterator[bytes]:
    for number in range(len(_SECRETS)):
        yield bytes((number,)) + _SECRET + b"\ndevice: m\nhost: h\n"
        yield bytes((number,)) + b"hex:" + (_SECRET + bytes(5)).hex().encode() + b"\n"
        yield bytes((number,)) + _SECRET + bytes(5)


def _of_recordings() -> Iterator[bytes]:
    for number, document in enumerate(_recordings()):
        yield document
        for what in range(6):
            index = -(-0x80 // len(_recordings())) * len(_recordings()) + number
            yield bytes((index, 2, number, 1, 1, what, 13, 2, 0, 1, what, 3))


def _of_calls() -> Iterator[bytes]:
    texts = (
        b"", b"obis=1-0:1.8.0;attribute=2;", b'{"obis":"1-0:1.8.0","class":"register"}',
        b'{"obis":"0-0:1.0.0","class":8,"attribute":2,"value":"2026-06-01T12:00:00Z"}',
        b'{"obis":"1-0:1.8.0","timeout":"soon"}', b'{"timeout":' + b"9" * 400 + b"}",
        b'{"obis":"0-0:96.3.10","value":[1,{"type":"unsigned","value":7}],"timeout":5}',
        b'{"obis":"1-0:99.1.0","from":"2026-06-01","to":1780308015000,"last":3}',
        b'{"method":"dlms_get","params":{"obis":"1-0:1.8.0"},"devices":["M1"]}', b"true", b"[]",
    )  # fmt: skip
    for number in range(len(_desk().dispatcher._methods) + 3):
        for text in texts:
            yield bytes((number,)) + text


_JSON = tuple(
    text.encode()
    for text in (
        '{"', '":', '":{"', '":[', '"}', "]}", ",", "null", "true", "1e999", '"\\ud800"', "NaN",
        '"obis"', '"class"', '"attribute"', '"value"', '"type"', '"timeout"', '"devices"', "-1",
        '"deviceName"', '"connection"', '"dlms"', '"timeseries"', '"attributes"', '"template"',
        '"templates"', '"defaults"', '"push"', '"shard"', '"serverSideRpc"', '"1-0:1.8.0"',
        '"profiles"', '"from"', '"to"', '"last"', '"structure"', '"octet-string"', '"array"',
    )
)  # fmt: skip
#: More digits than Python takes for a number, and deeper than it reads.
_LONG = (b"9" * 4400, b"[" * 2000, b'{"":' * 1400)
_CELLS = (
    b",",
    b";",
    b"\t",
    b'"',
    b"\r\n",
    b"connection.",
    b"dlms.",
    b"deviceName",
    b"template",
    b"[",
    b"{",
)

_LINES = (b"hex:", b"device: ", b"host: ", b"\n", b"\r\n", _SECRET, _SECRET.hex().encode())

TARGETS = (
    Target(
        "config",
        "the text of a configuration",
        configuration_text,
        _of_texts,
        (*_JSON, *_LONG),
        6000,
        short=1280,
    ),
    Target(
        "config-values",
        "a configuration with changed values",
        configuration_values,
        _of_changes,
        short=144,
    ),
    Target("fleet", "a fleet table", fleet_table, _of_tables, _CELLS, short=240),
    Target("secrets", "the file of a secret", secret_file, _of_secret_files, _LINES, short=320),
    Target("recording", "a recording to replay", recording, _of_recordings, _JSON, 4096, short=960),
    Target(
        "rpc", "a call and its parameters", calls, _of_calls, (*_JSON, *_LONG), 6000, short=2400
    ),
)
