"""Targets in what people and the platform write: configuration, fleet tables, calls, recordings."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlms_connector.commands.request import device_request
from dlms_connector.config import Loaded, load
from dlms_connector.errors import CommandError, ConfigError
from dlms_connector.gateway.connector_call import ConnectorCall, Tally
from dlms_connector.simulator import Connection, Meter, MeterOptions
from dlms_connector.simulator.recording import read_recording
from tests.fuzz import seeds
from tests.fuzz.doors import _run
from tests.fuzz.target import Input, Target, WrongError
from tests.support.commands import Desk, device
from tests.support.places import GATEWAY_CONFIG

_SAMPLES = GATEWAY_CONFIG / "samples"
_FAULT = "a fault of the connector"
#: What somebody may write where something else should stand.
_ODD: tuple[Callable[[], Any], ...] = tuple(
    (lambda value: lambda: json.loads(value))(text)
    for text in (
        "null", "true", "0", "-1", "1.5", "1e999", "-0.0", "4711", "NaN", '""', '" "', '"x"',
        '"\\u0000"', '"\\ud800"', '"1-0:1.8.0"', '"10.0.0.0/8"', '"{systemTitle}"', '"env:HOME"',
        '"00112233445566778899AABBCCDDEEFF"', "[]", "{}", "[[]]", '[{"key": "k"}]', '{"": ""}',
        '{"host": "h"}', '{"type": "listen"}', "1" + "0" * 30, '"' + "x" * 300 + '"',
        "[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40,
    )
)  # fmt: skip


@lru_cache(1)
def _folder() -> tuple[Path, Any]:
    """Return a folder for files; it is removed at the end."""
    made = tempfile.TemporaryDirectory(prefix="fuzz-")
    return Path(made.name), made


def _file(name: str, octets: bytes) -> Path:
    path = _folder()[0] / name
    path.write_bytes(octets)
    return path


def _loaded(raw: object) -> Loaded | None:
    """Load a configuration: problems are sentences on one line, or an error of ours."""
    loaded: Loaded | None = None
    try:
        made = loaded = load(raw, base=_folder()[0], environment={})
        problems = made.every_problem
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        problem.encode()  # no halves of surrogate pairs: it goes into a log
        if not problem.strip():
            raise WrongError("a problem that says nothing")
    return loaded


def configuration_text(octets: bytes) -> None:
    """The text of a configuration."""
    with suppress(UnicodeDecodeError):
        _loaded(octets.decode())


@lru_cache(1)
def _documents() -> list[str]:
    """Return the samples, without what asks for other files."""
    texts = [path.read_text("utf-8") for path in sorted(_SAMPLES.glob("*.json"))]
    return [text for text in texts if "devicesFile" not in text]


def configuration_values(octets: bytes) -> None:
    """A valid configuration with values, keys and lists changed at any place."""
    source = Input(octets)
    documents = _documents()
    document = json.loads(documents[source.octet() % len(documents)])
    for _ in range(8):
        if source.left <= 0:
            break
        _change(document, source)
    _loaded(document)


def _change(document: Any, source: Input) -> None:
    node = document
    for _ in range(1 + source.octet() % 6):
        inner = list(node.keys() if isinstance(node, dict) else range(len(node)))
        if not inner:
            return
        key = inner[source.octet() % len(inner)]
        if not isinstance(node[key], dict | list):
            break
        if source.octet() % 4 == 0:
            break
        node = node[key]
        if not node:
            return
        key = next(iter(node)) if isinstance(node, dict) else 0
    what, odd = source.octet() % 6, _ODD[source.octet() % len(_ODD)]
    if what == 0:
        del node[key]
    elif what == 1 and isinstance(node, dict):
        node[("x", "", "\0", "\ud800", "devices", "dlms", "host")[source.octet() % 7]] = odd()
    elif what == 2 and isinstance(node, list):
        node.append(node[0])
    elif what == 3 and isinstance(node, dict):
        text = source.take(source.octet() % 24).decode("latin-1")
        node[key] = text
    else:
        node[key] = odd()


_TEMPLATES = {"t": {"dlms": {"interfaceType": "WRAPPER"}, "pollPeriod": 60000}}


def fleet_table(octets: bytes) -> None:
    """A table of meters: each row is a device, or refused with its line."""
    _file("fleet.csv", octets)
    _loaded({"devicesFile": "fleet.csv", "templates": _TEMPLATES})


def recording(octets: bytes) -> None:
    """A recording: it is refused with ValueError, or a simulated meter serves it."""
    try:
        options = read_recording(_file("recording.json", octets))
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
        yield json.dumps(json.loads(text), separators=(",", ":")).encode()[:4096]
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
    yield b'deviceName;dlms.password;connection\nm1;12345678;{"host":"h"}\n'
    yield b'\xef\xbb\xbfdeviceName\ttimeseries\r\nm1\t[{""key"":""e""}]\r\n'
    for path in sorted(_SAMPLES.glob("*.csv")):
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))[:3]
        table = io.StringIO()
        csv.writer(table).writerows(rows)
        yield table.getvalue().encode()


def _of_recordings() -> Iterator[bytes]:
    for path in seeds.RECORDINGS:
        whole = json.loads(path.read_text("utf-8"))
        whole["exchanges"], whole["objects"] = whole["exchanges"][:3], []
        yield json.dumps(whole).encode()


def _of_calls() -> Iterator[bytes]:
    texts = (
        b"", b"obis=1-0:1.8.0;attribute=2;", b'{"obis":"1-0:1.8.0","class":"register"}',
        b'{"obis":"0-0:1.0.0","class":8,"attribute":2,"value":"2026-06-01T12:00:00Z"}',
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

TARGETS = (
    Target(
        "config",
        "the text of a configuration",
        configuration_text,
        _of_texts,
        _JSON,
        4096,
        short=1280,
    ),
    Target(
        "config-values",
        "a configuration with changed values",
        configuration_values,
        _of_changes,
        short=192,
    ),
    Target("fleet", "a fleet table", fleet_table, _of_tables, _CELLS, short=240),
    Target("recording", "a recording to replay", recording, _of_recordings, _JSON, 4096, short=960),
    Target("rpc", "a call and its parameters", calls, _of_calls, _JSON, 1024, short=4000),
)
