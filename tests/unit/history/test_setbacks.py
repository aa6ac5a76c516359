"""How long slices wait that failed, at the meter or here."""

from __future__ import annotations

from dlms_connector.history import Errand
from dlms_connector.history.setbacks import Setbacks
from dlms_connector.records import DAY_MS

_MINUTE = 60_000
_PAST = Errand(20_000 * DAY_MS, 20_000 * DAY_MS + 900_000, "past")
_LATER = Errand(_PAST.end_ms, _PAST.end_ms + 900_000, "past")


def test_a_slice_that_fails_at_the_meter_waits_for_hours_in_the_end() -> None:
    setbacks = Setbacks()
    waits = [setbacks.failed(_PAST) for _ in range(12)]
    assert waits[:3] == [_MINUTE, 2 * _MINUTE, 4 * _MINUTE]
    assert waits[-1] == 360 * _MINUTE


def test_the_first_failure_of_the_meter_after_an_hour_of_ours_is_its_first() -> None:
    setbacks = Setbacks()
    ours = [setbacks.failed(_PAST, unkept=True) for _ in range(12)]
    assert ours[-1] == 15 * _MINUTE
    assert setbacks.failed(_LATER) == _MINUTE


def test_what_is_done_is_forgiven() -> None:
    setbacks = Setbacks()
    for unkept in (True, False) * 4:
        setbacks.failed(_PAST, unkept=unkept)
    setbacks.done(_PAST)
    assert [setbacks.failed(_PAST, unkept=unkept) for unkept in (True, False)] == [_MINUTE] * 2
