"""Targets in what the platform answers and asks, and what scrapers of metrics send."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPConnection
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.request import HTTPHandler, Request, build_opener

from prometheus_client import CollectorRegistry, Gauge, make_wsgi_app

from dlms_connector.delivery import Courier, PlatformRest, RestError, Settings
from dlms_connector.delivery.rest import _NoRedirect
from dlms_connector.gateway.delivering import Delivering, GatewaysPlatform
from dlms_connector.metrics.server import _Handler
from tests.fuzz.documents import changed, written
from tests.fuzz.doors import _run
from tests.fuzz.files import folder
from tests.fuzz.target import Input, Target, WrongError, joined
from tests.support.delivered import NOW_S, FakeOutbox, FakePlatform, polled, row
from tests.support.downlink import Bench

_LOG = logging.getLogger("fuzz.platform")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())
_SECRET = b"Secret-4711"


# Answers of the platform's REST API


class _Socket:
    """A connection on which an answer has come already."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, *_: object) -> BytesIO:
        return BytesIO(self._octets)

    def sendall(self, data: object) -> None:
        pass

    def close(self) -> None:
        pass


class _Platform(HTTPHandler):
    """Gives one answer after the other, then it cannot be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes] = []

    def http_open(self, request: Request) -> Any:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **options: Any) -> HTTPConnection:
        connection = HTTPConnection(host, **options)

        def connect() -> None:
            if not self.answers:
                raise ConnectionRefusedError
            connection.sock = _Socket(self.answers.pop(0))

        connection.connect = connect  # type: ignore[method-assign]
        return connection


def _answered(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


#: What a platform answers to the questions: who the device is, what it has.
_SAID = """[{"id": {"id": "0011", "entityType": "DEVICE"}},
{"load": [{"ts": 1780000000000, "value": "96"}]}, {"load": [{"ts": 1780000000000, "value": "1"}]},
{"load": [{"ts": 1780000000000, "value": "1"}], "x": []}, [{"key": "dlmsState", "value": "on"}]]"""


@lru_cache(1)
def _asked() -> tuple[PlatformRest, _Platform]:
    """Return what asks, and the platform; to make them takes longer than all questions."""
    rest, platform = PlatformRest("http://h", username="u", password=_SECRET), _Platform()
    rest._opener = build_opener(platform, _NoRedirect)
    return rest, platform


def rest(octets: bytes) -> None:
    """Whatever the platform answers, it is understood or refused, and no secret is told."""
    source = Input(octets)
    how = source.octet()
    asked, platform = _asked()
    if how & 4:
        said = changed(json.loads(_SAID), source)
        platform.answers = [_answered(written(each)) for each in said]
    else:
        parts = source.parts()
        platform.answers = parts if how & 1 else list(map(_answered, parts))
    asked._ids.clear()
    asked._token = "t" if how & 2 else None
    questions: tuple[Callable[[], Any], ...] = (
        lambda: asked.counts("M1", "load", 0, 8),
        lambda: sorted(asked.instants("M1", ["load"], 0, 1) or ()),
        lambda: asked.newest("M1"),
        lambda: asked.client_attributes("M1", ["dlmsState"]),
        lambda: asked.post("/api/x", {}),
    )
    for question in questions:
        try:
            json.dumps(question())
        except RestError as error:
            if _SECRET.decode() in str(error):
                raise WrongError("a secret is told") from None


# What the platform sends through the gateway


_CALL = {"method": "getObject", "params": {"obis": "1-0:1.8.0"}, "id": 1}
_FORM = {"command": "readClock", "params": {"device": "M1"}, "connectorId": "x"}
#: Which door a message comes to, and the message.
_MESSAGES: tuple[tuple[int, Any], ...] = (
    (0, {"device": "M1", "data": _CALL}),
    (0, {"device": "M1", **_CALL}),
    (1, {"method": "custom_readClock", "params": {"device": ["M1", "M2"]}, "id": "9"}),
    (1, {"method": "custom_readClock", "params": _FORM}),
    (1, {"method": "custom_disconnect", "params": "device=*;"}),
    (2, {"method": "custom_readClock", "params": {"device": "M1", "timeout": 3}}),
    (3, {"device": "M1", "data": {"limit": 4711, "other": [1]}}),
    (3, {"device": "M2", "data": {"deleted": ["limit"]}}),
    (4, {"device": "M1", "data": {"dlmsReceipt": 4711, "limit": 1}}),
    (5, {"values": {"dlmsWatermark": 4711}}),
    (5, {"value": 4711}),
)


class _Now:
    """Stands for the thread that delivers: what is put there is done at once."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    def put(self, news: Callable[[Courier], None]) -> None:
        news(self._courier)


class _Doors:
    """What takes the platform's messages, with entries on their way to it."""

    def __init__(self) -> None:
        self.bench = Bench(
            folder(),
            "M1",
            "M2",
            attributeUpdates=[{"key": "limit", "obis": "0-0:96.3.10", "class": 70, "attribute": 4}],
        )
        self.outbox, platform = FakeOutbox(), FakePlatform()
        self.courier = Courier(
            self.outbox, platform, ["M1", "M2"], Settings(confirm="auto"), _LOG,
            clock=lambda: 0.0, unix=lambda: NOW_S,
        )  # fmt: skip
        self.delivering = object.__new__(Delivering)
        self.delivering._thread = _Now(self.courier)  # type: ignore[assignment]
        renames = SimpleNamespace(name_of=lambda name: name)
        self.gateway = GatewaysPlatform(
            None,
            renames,  # type: ignore[arg-type]
            lambda data: True,
            self.courier.answer,
        )
        self.courier.add(self.outbox.keep([row("M1", 1), polled("M2", int(NOW_S) * 1000)]))
        self.courier.step()
        self.kept = dict(self.outbox.entries)


@lru_cache(1)
def _doors() -> _Doors:
    return _run(_made())


async def _made() -> _Doors:
    return _Doors()


def messages(octets: bytes) -> None:
    """Any JSON in the gateway's messages: calls, shared attributes, receipts, answers."""
    source = Input(octets)
    what = source.octet()
    if what & 0x80:
        what, content = _MESSAGES[what % len(_MESSAGES)]
        content = changed(json.loads(json.dumps(content)), source)
    else:
        try:
            content = json.loads(source.rest().decode())
        except (ValueError, RecursionError):
            return
    doors, what = _doors(), what % 6

    async def take() -> None:
        downlink = doors.bench.downlink
        if isinstance(content, dict):
            if what == 0:
                downlink.device_call(content)
            elif what == 1:
                json.dumps(downlink.connector_call(content))
            elif what == 2:
                downlink.gateway_call(1, content)
            elif what == 3:
                downlink.attributes(content)
        if what == 4:
            doors.delivering.take_receipts(content)
        elif what == 5:
            doors.gateway.answered("M1", "dlmsWatermark", content)
        await doors.bench.work()

    _run(take())
    bench = doors.bench
    for told in (bench.gateway.replies, bench.attributes, bench.telemetry):
        json.dumps(told, allow_nan=False)
        told.clear()
    if doors.outbox.proved:
        raise WrongError(f"{doors.outbox.proved} count as delivered")


# Scrapes of the metrics


@lru_cache(1)
def _app() -> Any:
    registry = CollectorRegistry()
    Gauge("dlms_up", "Whether it runs.", registry=registry).set(1)
    return make_wsgi_app(registry)


class _Scrape(_Socket):
    """A connection of a scraper; what is answered to it is counted."""

    answered = 0

    def sendall(self, data: Any) -> None:
        self.answered += len(data)

    def settimeout(self, seconds: float) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass


_MOST_ANSWERED = 100_000


def scrapes(octets: bytes) -> None:
    """A request for metrics, or what else comes to their port: a short answer, or an error."""
    scrape: Any = _Scrape(octets)
    server: Any = SimpleNamespace(
        base_environ={"SCRIPT_NAME": "", "SERVER_NAME": "h", "SERVER_PORT": "1"},
        get_app=_app,
    )
    # The server ignores what a connection raises; what it must not do is go on for ever.
    with suppress(OSError, ValueError, AssertionError):
        _Handler(scrape, ("192.0.2.1", 1), server)
    if scrape.answered > _MOST_ANSWERED:
        raise WrongError(f"{scrape.answered} octets are answered to {len(octets)}")


# Seeds


def _of_rest() -> Iterator[bytes]:
    token, number = b'{"token": "t"}', b'{"id": {"id": "0011", "entityType": "DEVICE"}}'
    rows = b'{"load": [{"ts": 1780000000000, "value": "96"}], "x": []}'
    attributes = b'[{"key": "dlmsState", "value": "online"}]'
    yield b"\0" + joined([token, number, rows, rows, rows, attributes])
    yield b"\2" + joined([number, rows, b"", b"{}", b"null", b"[]"])
    yield b"\1" + joined(map(_answered, (token, number, rows, rows)))
    for change in range(6):
        yield bytes((6, change, 1, 0, 1, 1, change, 13, 2))
    yield b"\3" + joined(
        [
            _answered(b'{"message": "no"}', b"403 Forbidden"),
            _answered(b"", b"404 Not Found"),
            b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nDate: Fri, 27 Nov 2026 02:30:00 GMT\r\n\r\n" + number,
            _answered(b"", b"401 Unauthorized"),
        ]
    )


def _of_messages() -> Iterator[bytes]:
    for number, (what, content) in enumerate(_MESSAGES):
        yield bytes((what,)) + json.dumps(content).encode()
        for change in range(6):
            index = 0x80 - 0x80 % len(_MESSAGES) + len(_MESSAGES) + number
            yield bytes((index, 1, 0, 1, change, 13, 2, 1, 1, 0, 1, change, 3))


def _of_scrapes() -> Iterator[bytes]:
    yield b"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: text/plain\r\n\r\n"
    yield b"GET /?name[]=dlms_up HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"
    yield b"HEAD / HTTP/1.1\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    yield b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
    yield b"\x16\x03\x01\x02\x00\x01\x00"


_JSON = tuple(
    text.encode()
    for text in (
        '"', "{", "}", "[", "]", ":", ",", "null", "true", "1e999", "-1", '"\\ud800"', "NaN", "{}",
        '"device"', '"data"', '"method"', '"params"', '"id"', '"devices"', '"timeout"', '"limit"',
        '"deleted"', '"dlmsReceipt"', '"value"', '"values"', '"ts"', '"key"', '"token"', '"M1"',
        '"command"', '"connectorId"', '"load"', "9" * 30, '"custom_readClock"', '"obis"', '"*"',
    )
)  # fmt: skip
_HTTP = (
    b"HTTP/1.1 ", b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n",
    b"Location: ", b"Date: ", b"100 Continue", b"GET ", b"HEAD ", b"Accept: ", b"Accept-Encoding: ",
    b"name[]=", b"Connection: close\r\n", b"Expect: 100-continue\r\n",
)  # fmt: skip

TARGETS = (
    Target("rest", "the platform's REST answers", rest, _of_rest, _JSON + _HTTP, short=240),
    Target("messages", "the gateway's messages", messages, _of_messages, _JSON, 1024, short=960),
    Target("scrapes", "requests for metrics", scrapes, _of_scrapes, _HTTP, short=960),
)
