"""Counters and the keys they are sent under."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dlms_connector.errors import LinkClosedError, LinkTimeoutError
from dlms_connector.meter.diagnostics import Statistics, counted
from dlms_connector.protocol.directive import Pause
from dlms_connector.protocol.talk import Talk


def asking(tries: int) -> Talk[bytes]:
    """Ask again after silence; listen on after one byte."""
    for _ in range(tries):
        data = yield b"?"
        if data:
            data += yield b""
            return data
    raise LinkTimeoutError(tries, 0)


def test_the_keys_are_those_of_the_documentation() -> None:
    full = Statistics(poll_ms=120, polls_ok=3, clock_drift_s=Decimal("1.5"))
    assert full.telemetry() == {
        "dlmsPollMs": 120,
        "dlmsPollsOk": 3,
        "dlmsPollsFailed": 0,
        "dlmsRetries": 0,
        "dlmsReconnects": 0,
        "dlmsBytesIn": 0,
        "dlmsBytesOut": 0,
        "dlmsClockDriftSeconds": Decimal("1.5"),
    }
    assert "dlmsPollMs" not in Statistics().telemetry()


def test_what_is_sent_again_after_silence_is_counted() -> None:
    statistics = Statistics()
    talk = counted(asking(3), statistics)
    assert next(talk) == b"?"
    assert talk.send(b"") == b"?"
    assert talk.send(b"") == b"?"
    assert talk.send(b"a") == b""
    with pytest.raises(StopIteration) as end:
        talk.send(b"b")
    assert end.value.value == b"ab"
    assert statistics.retries == 2


def test_listening_on_in_silence_is_no_retry() -> None:
    def listening() -> Talk[None]:
        yield b"?"
        yield b""
        yield b""

    statistics = Statistics()
    talk = counted(listening(), statistics)
    assert next(talk) == b"?"
    assert talk.send(b"") == b""
    assert talk.send(b"") == b""
    assert statistics.retries == 0


def test_sending_after_a_pause_is_no_retry() -> None:
    def pausing() -> Talk[None]:
        yield Pause(1.0)
        yield b"?"

    statistics = Statistics()
    talk = counted(pausing(), statistics)
    assert isinstance(next(talk), Pause)
    assert talk.send(b"") == b"?"
    assert statistics.retries == 0


def test_errors_go_into_the_talk_and_out_of_it() -> None:
    heard = []

    def hearing() -> Talk[str]:
        try:
            yield b"?"
        except LinkClosedError as error:
            heard.append(error)
            yield b"!"
        return "survived"

    talk = counted(hearing(), Statistics())
    next(talk)
    assert talk.throw(LinkClosedError()) == b"!"
    with pytest.raises(StopIteration):
        talk.send(b"")
    assert len(heard) == 1
    exhausted = counted(asking(1), Statistics())
    next(exhausted)
    with pytest.raises(LinkTimeoutError):
        exhausted.send(b"")


def test_closing_closes_the_talk() -> None:
    closed = []

    def closing() -> Talk[None]:
        try:
            yield b"?"
        finally:
            closed.append(True)

    talk = counted(closing(), Statistics())
    next(talk)
    talk.close()
    assert closed == [True]
