"""Polls by the class of their failure, and how long they took."""

from __future__ import annotations

import pytest

from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    DlmsError,
    DroppedError,
    LinkClosedError,
    LinkTimeoutError,
    RefusedError,
    SecurityError,
    StateBusyError,
    UnkeptError,
)
from dlms_connector.metrics import Histogram, Tally, result_of
from dlms_connector.metrics.description import RESULTS


def test_it_tells_what_came_of_all_polls() -> None:
    tally = Tally()
    assert str(tally) == "0 polls answered, 0 failed"
    for error in (None, None, LinkTimeoutError(3, 0), ConnectError("h:1", "x"), LinkClosedError()):
        tally.polled(error, 0.1)
    assert str(tally) == "2 polls answered, 3 failed (1 unreachable, 1 closed, 1 silent)"


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (ConnectError("10.0.0.1:4059", "Connection refused"), "unreachable"),
        (LinkClosedError(), "closed"),
        (LinkTimeoutError(3, 0), "silent"),
        (SecurityError("deciphering", "the tag is wrong"), "security"),
        (DroppedError("reading"), "protocol"),
        (RefusedError("opening", "no-reason-given"), "refused"),
        (UnkeptError("keeping the invocation counter", "no space"), "state"),
        (ConfigError("wrong"), "configuration"),
        (StateBusyError("keeping", "slow"), "state"),
        (DlmsError("anything"), "other"),
    ],
)
def test_classes_of_failures(error: DlmsError | None, result: str) -> None:
    tally = Tally()
    tally.polled(error, 0.2)
    assert result_of(error) == result
    assert tally.polls == {**dict.fromkeys(RESULTS, 0), result: 1}
    assert tally.duration.sum == (0.2 if error is None else 0.0), "timeouts are no durations"


def test_buckets_hold_what_is_at_most_their_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.add(value)
    assert histogram.buckets() == [("0.1", 2), ("1", 3), ("+Inf", 4)]
    assert histogram.sum == pytest.approx(7.65)
