"""What is due when: grids, jitter, back-off, and thousands of names."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config.model import Item
from dlms_connector.fleet.schedule import (
    Agenda,
    Schedule,
    backoff_s,
    most_wait_s,
    next_slot,
    spread,
)
from dlms_connector.meter.plan import Wanted
from dlms_connector.obis import Obis


def want(period_s: float, key: str = "k") -> Wanted:
    item = Item.model_validate({"key": key, "obis": "1-0:1.8.0"})
    return Wanted("timeseries", item, period_s)


@given(st.floats(0, 1e6), st.floats(0.1, 86400), st.floats(0, 2e6))
def test_the_next_slot_lies_on_the_grid_after_now(slot: float, period: float, now: float) -> None:
    following = next_slot(slot, period, now)
    steps = (following - slot) / period
    assert steps == pytest.approx(round(steps), abs=1e-3)
    assert following >= slot
    assert following > now or following == pytest.approx(now)
    assert following <= max(slot, now + period * 1.0001)


def test_items_keep_their_periods_and_come_along_with_each_other() -> None:
    fast, slow = want(5), want(60)
    agenda = Agenda([fast, slow], 100.0)
    seen = []
    while agenda.due <= 220:
        now = agenda.due
        seen.append((now, agenda.take(now)))
        agenda.done(now + 1)
    assert [at for at, _ in seen] == [100 + 5 * n for n in range(25)]
    assert [at for at, due in seen if slow in due] == [100, 160, 220]
    assert all(fast in due for _, due in seen)


def test_items_due_at_nearly_the_same_time_are_polled_together() -> None:
    first, second = want(5), want(4.9)
    agenda = Agenda([first, second], 0.0)
    agenda.take(0.0)
    agenda.done(0.1)
    assert agenda.due == pytest.approx(4.9)
    assert set(agenda.take(agenda.due)) == {first, second}
    agenda.done(5.2)
    assert agenda.due == pytest.approx(9.8)


def test_late_polls_are_skipped_not_queued() -> None:
    agenda = Agenda([want(5)], 0.0)
    agenda.take(0.0)
    agenda.done(12.0)
    assert agenda.due == 15.0


def test_a_poll_that_ends_just_after_a_slot_keeps_it() -> None:
    agenda = Agenda([want(5)], 0.0)
    agenda.take(0.0)
    agenda.done(5.1)
    assert agenda.due == 5.0


def test_what_stayed_unread_comes_along_at_the_next_poll() -> None:
    fast, daily = want(5), want(86400)
    agenda = Agenda([fast, daily], 0.0)
    agenda.take(0.0)
    agenda.done(1.0, unread=[daily])
    assert agenda.due == 5.0
    assert set(agenda.take(5.0)) == {fast, daily}
    agenda.done(6.0)
    assert set(agenda.take(10.0)) == {fast}
    agenda.done(11.0)
    # The daily grid is what it was.
    agenda.take(86_395.0)
    agenda.done(86_396.0)
    assert set(agenda.take(86_400.0)) == {fast, daily}


def test_a_daily_item_that_was_not_read_does_not_wait_for_tomorrow() -> None:
    agenda = Agenda([want(86400)], 0.0)
    due = agenda.take(0.0)
    agenda.done(10.0, unread=due)
    assert agenda.due == 70.0
    assert agenda.take(70.0) == due


def test_the_items_of_a_changed_object_are_polled_at_once_beside_their_grid() -> None:
    fast, slow = want(5), want(86400)
    other = replace(slow, item=Item.model_validate({"key": "o", "obis": "1-0:2.8.0"}))
    agenda = Agenda([fast, slow, other], 0.0)
    agenda.take(0)
    agenda.done(1)
    assert agenda.hasten(3, slow.item.obis, 2.0)
    assert agenda.due == 2
    assert set(agenda.take(2)) == {fast, slow}
    assert not agenda.hasten(3, Obis.parse("9-0:2.8.0"), 2.0)
    assert agenda.hasten(3, slow.item.obis, 2.5), "while it is polled"
    agenda.done(3)
    assert agenda.due == 2.5
    agenda.take(3)
    agenda.done(3.5)
    assert agenda.due == 5
    assert slow not in agenda.take(5)


def test_a_device_without_items_is_never_due() -> None:
    agenda = Agenda([], 0.0)
    assert agenda.due == agenda.period == agenda.slot_after(7) == inf
    assert agenda.take(1e9) == ()


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert [backoff_s(n, 0.0) for n in range(1, 9)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert backoff_s(10_000, 0.0) == 300


def test_back_off_is_bounded_by_the_period_and_in_large_fleets_by_its_size() -> None:
    assert [backoff_s(n, 0.0, most_s=12.0) for n in range(1, 5)] == [5, 10, 12, 12]
    assert [most_wait_s(period, 1.0) for period in (0.1, 1, 60, 900)] == [2, 3, 180, 300]
    assert [most_wait_s(1, 1.0 * thousands) for thousands in (20, 100, 200)] == [40, 200, 300]


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_a_refusal_costs_a_minute_at_least(failures: int, jitter: float) -> None:
    assert 60 <= backoff_s(failures, jitter, refused=True) <= 315
    assert 3.75 <= backoff_s(failures, jitter) <= 300


def test_jitter_is_spread_evenly_and_always_the_same() -> None:
    shares = [spread(f"Meter-{n:04}") for n in range(2000)]
    assert all(0 <= share < 1 for share in shares)
    for tenth in range(10):
        assert 120 < sum(tenth <= 10 * share < tenth + 1 for share in shares) < 280
    assert spread("DLMS-Meter-01") == spread("DLMS-Meter-01")


def test_the_most_overdue_comes_first_and_equals_in_order() -> None:
    schedule = Schedule()
    for name, at in (("b", 2.0), ("a", 1.0), ("c", 2.0)):
        schedule.set(name, at)
    assert schedule.next_due == 1.0
    assert schedule.pop(0.5) is None
    assert [schedule.pop(3.0) for _ in range(4)] == ["a", "b", "c", None]
    assert schedule.next_due is None


def test_the_last_word_on_a_name_counts() -> None:
    schedule = Schedule()
    schedule.set("a", 1.0)
    schedule.set("a", 5.0)
    assert schedule.pop(4.0) is None
    schedule.set("a", inf)
    assert schedule.pop(1e9) is None
    schedule.set("a", 2.0)
    assert schedule.pop(2.0) == "a"
    assert schedule.pop(9.0) is None


def test_thousands_of_names_are_cheap() -> None:
    schedule = Schedule()
    for n in range(10_000):
        schedule.set(f"m{n}", spread(str(n)) * 60)
    last = -1.0
    for _ in range(30_000):
        at = schedule.next_due
        assert at is not None
        assert at >= last
        name = schedule.pop(at)
        assert name is not None
        schedule.set(name, at + 60)
        last = at
