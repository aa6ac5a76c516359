"""One line per outage, one at its end; objects are named once."""

from __future__ import annotations

import logging

import pytest

from dlms_connector.errors import ConnectError, LinkTimeoutError, ObjectError, ProtocolError
from dlms_connector.fleet.availability import Availability, ObjectNews
from dlms_connector.obis import Obis
from dlms_connector.reading import Failure

LOG = logging.getLogger("test.availability")
OBIS = Obis.parse("1-0:32.7.0")


def news(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.levelno > logging.DEBUG
    ]


def test_an_outage_is_one_line_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    meter = Availability("M1", LOG)
    meter.answered(0.0)
    for now in (10.0, 20.0, 40.0):
        meter.failed(LinkTimeoutError(3, 0), now)
    meter.failed(ConnectError("tcp://h:1", "refused"), 80.0)
    assert meter.failures == 4
    assert meter.since == 10.0
    meter.answered(1510.0)
    meter.answered(1520.0)
    (first, start), (last, end) = news(caplog)
    assert (first, last) == ("WARNING", "INFO")
    assert start.startswith("M1: no complete reply, asked 3 times")
    assert "clientAddress" in start, "the hint belongs to the news"
    assert end == "M1: answering again after 25 min and 4 failed polls"
    assert meter.since is None


def test_the_error_of_an_outage_holds_nothing_of_where_it_came_from() -> None:
    """Frames with all that is in them, for as long as a meter is dead, and of each dead meter."""

    def connect() -> None:
        try:
            raise ConnectionRefusedError("refused")
        except OSError as cause:
            raise ConnectError("tcp://h:1", "refused") from cause

    meter = Availability("M1", LOG)
    with pytest.raises(ConnectError) as caught:
        connect()
    meter.failed(caught.value, 0.0)
    assert isinstance(meter.error, ConnectError)
    assert meter.error.__traceback__ is None
    assert isinstance(meter.error.__cause__, ConnectionRefusedError)
    assert meter.error.__cause__.__traceback__ is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (119, "119 s"), (600, "10 min"), (10_000, "2.78 h")]
)
def test_durations_read_well(caplog: pytest.LogCaptureFixture, seconds: float, text: str) -> None:
    caplog.set_level(logging.INFO)
    meter = Availability("M1", LOG)
    meter.failed(LinkTimeoutError(1, 0), 0.0)
    meter.answered(seconds)
    assert news(caplog)[-1][1] == f"M1: answering again after {text} and 1 failed poll"


def failure(code: int) -> Failure:
    error = ObjectError("reading 1-0:32.7.0", code)
    return Failure(key="voltage", kind="timeseries", obis=OBIS, error=error)


def test_the_same_problem_in_other_words_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    objects = ObjectNews("M1", LOG)
    for second in range(3):
        wrong = ProtocolError("reading the clock", f"31 February, second {second}")
        objects.polled((), [Failure(key="clock", kind="timeseries", obis=OBIS, error=wrong)])
    assert len(news(caplog)) == 1


def test_an_object_is_named_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    objects = ObjectNews("M1", LOG)
    for _ in range(3):
        objects.polled([], [failure(4)])
    assert len(news(caplog)) == 1
    assert "object-undefined" in news(caplog)[0][1]
    objects.polled([], [failure(3)])
    assert len(news(caplog)) == 2
    objects.polled([("voltage", OBIS)], [])
    objects.polled([("voltage", OBIS)], [])
    assert len(news(caplog)) == 3
    assert news(caplog)[-1] == ("INFO", "M1: voltage: 1-0:32.7.0 is read again")
