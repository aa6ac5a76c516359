"""What is read of a profile, and when: with a meter and clocks that do as they like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.history import Errand, Planner
from dlms_connector.obis import Obis
from dlms_connector.records import DAY_MS, Known, Source

_SOURCE = Source("meter", Obis.parse("1-0:99.1.0"))
_Q = 900_000
_DAY_0 = 20_000 * DAY_MS
_MINUTE, _HOUR = 60_000, 3_600_000


def _planner(known: Known | None = None, now_ms: int = _DAY_0, **options: object) -> Planner:
    settings: dict[str, object] = {"period_s": 900, "backfill_s": 7 * 86_400, **options}
    return Planner(known or Known(_SOURCE), now_ms=now_ms, **settings)  # type: ignore[arg-type]


@dataclass
class Site:
    """A meter, its records, and a planner for them; time passes as they work."""

    rows: set[int]
    now: int = _DAY_0
    period_s: int = 900
    backfill_s: int = 7 * 86_400
    most_rows: int = 500
    poll_s: float | None = None
    known: Known = field(default_factory=lambda: Known(_SOURCE))
    capacity_ms: int = 10_000 * DAY_MS
    tells_end: bool = False
    taken: Counter[int] = field(default_factory=Counter)
    asked: list[Errand] = field(default_factory=list)
    kills: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.planner = Planner(
            self.known, period_s=self.period_s, backfill_s=self.backfill_s, now_ms=self.now,
            poll_s=self.poll_s,
        )  # fmt: skip
        if self.tells_end:
            self.planner.holds_from(min(self._buffer(), default=self.now))

    def _buffer(self) -> list[int]:
        return [at for at in self.rows if self.now - self.capacity_ms <= at <= self.now]

    def step(self, kept: bool = True, told: bool = True) -> Errand | None:
        """Do one errand, if there is one; `kept` by the records, `told` to the planner."""
        errand = self.planner.errand(self.now, self.most_rows)
        if errand is None:
            return None
        assert errand.start_ms < errand.end_ms <= self.now
        longest = DAY_MS if self.period_s else 32 * DAY_MS
        assert errand.end_ms - errand.start_ms <= longest
        self.asked.append(errand)
        assert len(self.asked) < 20_000
        if kept:
            part = self.planner.slice(errand, self._buffer())
            known = self.known
            if known.first_ms is None:
                known = replace(known, first_ms=self.now)
            sent = part.rows_ms
            if not self.period_s:
                sent = tuple(at for at in sent if at not in self.taken)
            self.known, fresh = known.after(part, sent)
            self.taken.update(fresh)
        if not told:
            self.kills += 1
            self.now += 60_000
            self.restart()
        elif kept:
            self.planner.read(part, self.now)
        else:
            self.planner.failed(errand, self.now)
        return errand

    def run(self, until: int, choose: Callable[[], int] = lambda: 0) -> None:
        """Work until a time; `choose` says what happens to each errand."""
        while self.now < until:
            if self.step(*[(True, True), (False, True), (True, False), (False, False)][choose()]):
                self.now += 2000
                continue
            due = self.planner.due_ms(self.now)
            assert due is not None
            assert due > self.now
            self.now = min(due, until)


def _grid(start: int, end: int, period: int = _Q) -> set[int]:
    return set(range(-(-start // period) * period, end, period))


def test_the_newest_rows_come_first_and_then_the_past_from_new_to_old() -> None:
    site = Site(_grid(_DAY_0 - 3 * DAY_MS, _DAY_0 + 1), backfill_s=3 * 86_400)
    errands = []
    while errand := site.step():
        errands.append(errand)
        site.now += 1
    assert errands[0].kind == "new"
    assert _DAY_0 - _Q in site.taken
    assert [each.kind for each in errands[1:]] == ["past"] * (len(errands) - 1)
    ends = [each.end_ms for each in errands[1:]]
    assert ends == sorted(ends, reverse=True)
    assert len(errands) <= 4
    assert set(site.taken) == site.rows - {_DAY_0}
    assert set(site.taken.values()) == {1}


def test_slices_have_no_more_rows_than_wanted() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0), backfill_s=86_400, most_rows=10)
    while errand := site.step():
        assert errand.end_ms - errand.start_ms <= 10 * _Q
    assert set(site.taken) == site.rows


def test_new_rows_are_read_soon_after_they_are_captured() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS), backfill_s=86_400)
    site.run(_DAY_0 + _MINUTE)
    before = len(site.asked)
    late = []
    for at in sorted(each for each in site.rows if each > _DAY_0):
        site.run(at + _MINUTE)
        late.append(at not in site.taken)
    assert not any(late)
    assert len(site.asked) - before <= 97


def test_rows_off_the_grid_are_learned() -> None:
    rows = {at + 5 * _MINUTE for at in _grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS)}
    site = Site(rows, backfill_s=86_400)
    for at in sorted(each for each in rows if each > _DAY_0):
        site.run(at + _MINUTE)
        assert at in site.taken
    assert len(site.asked) < 110
    assert set(site.taken.values()) == {1}


@pytest.mark.parametrize("behind_ms", [40_000, 130_000, 20 * _MINUTE])
def test_a_meter_whose_clock_is_behind_loses_nothing(behind_ms: int) -> None:
    """Its rows come later than they should: `rows` are what its clock says."""

    class Late(Site):
        def _buffer(self) -> list[int]:
            return [at for at in self.rows if at <= self.now - behind_ms]

    site = Late(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS), backfill_s=43_200)
    site.run(_DAY_0 + DAY_MS)
    late_by = behind_ms + 2 * _Q
    wanted = {at for at in site.rows if _DAY_0 - DAY_MS // 2 <= at < site.now - late_by}
    assert wanted - set(site.taken) == set()
    assert set(site.taken.values()) == {1}
    assert len(site.asked) < 400


def test_the_clock_of_a_meter_may_be_told() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0), backfill_s=86_400)
    site.planner.clock(-_HOUR)
    errand = site.planner.errand(_DAY_0, 500)
    assert errand is not None
    assert errand.end_ms == _DAY_0 - _HOUR
    site.planner.clock(_HOUR)
    errand = site.planner.errand(_DAY_0, 500)
    assert errand is not None
    assert errand.end_ms == _DAY_0


def test_nothing_waits_for_a_clock_of_ours_that_was_set_back() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS), backfill_s=86_400, poll_s=3600.0)
    site.run(_DAY_0 + _HOUR)
    site.now += 5 * _HOUR
    site.planner.clock(-5 * _HOUR)
    site.run(site.now + 30 * _MINUTE)
    site.now -= 5 * _HOUR
    site.run(_DAY_0 + 4 * _HOUR)
    wanted = {at for at in site.rows if _DAY_0 <= at < site.now - _HOUR - 2 * _Q}
    assert wanted - set(site.taken) == set()


def test_a_gap_is_asked_for_once_more() -> None:
    rows = _grid(_DAY_0 - 2 * DAY_MS, _DAY_0 + DAY_MS) - {_DAY_0 - 10 * _Q, _DAY_0 - 12 * _Q}
    site = Site(rows, backfill_s=2 * 86_400)
    site.run(_DAY_0 + 12 * _HOUR)
    gaps = [each for each in site.asked if each.kind == "gap"]
    assert [(each.start_ms, each.end_ms) for each in gaps] == [(_DAY_0 - 12 * _Q, _DAY_0 - 9 * _Q)]
    assert site.planner.progress(site.now).gaps == 0


def test_a_row_that_came_late_is_found_when_its_gap_is_asked_for_again() -> None:
    late = _DAY_0 - 10 * _Q
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS) - {late}, backfill_s=86_400)
    site.run(_DAY_0 + 10 * _MINUTE)
    site.rows.add(late)
    site.run(_DAY_0 + 3 * _HOUR)
    assert site.taken[late] == 1


def test_a_row_within_an_interval_that_was_read_while_it_lasted_is_found() -> None:
    failure = _DAY_0 + 3 * _Q + 7 * _MINUTE
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS) | {failure}, backfill_s=86_400)
    site.run(_DAY_0 + 2 * _HOUR)
    assert site.taken[failure] == 1
    assert set(site.taken.values()) == {1}


def test_the_past_ends_where_the_meter_says() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0), backfill_s=400 * 86_400, tells_end=True)
    while site.step():
        pass
    assert len(site.asked) <= 3
    assert site.planner.progress(site.now).unread <= 1


def test_the_past_ends_after_ten_days_without_a_row() -> None:
    site = Site(_grid(_DAY_0 - 5 * DAY_MS, _DAY_0 + 2 * DAY_MS), backfill_s=400 * 86_400)
    site.run(_DAY_0 + DAY_MS)
    assert site.planner.horizon_ms is not None
    assert _DAY_0 - 6 * DAY_MS <= site.planner.horizon_ms <= _DAY_0 - 5 * DAY_MS
    assert len([each for each in site.asked if each.kind == "past"]) <= 17
    before = len(site.asked)
    site.known = replace(site.known, horizon_ms=site.planner.horizon_ms)
    site.restart()
    site.run(site.now + 6 * _HOUR)
    assert not [each for each in site.asked[before:] if each.kind == "past"]


def test_an_empty_profile_is_asked_less_and_less() -> None:
    site = Site(set(), backfill_s=7 * 86_400)
    site.run(_DAY_0 + 10 * DAY_MS)
    # Each period for the newest row; the past a few times at most.
    assert len(site.asked) <= 10 * 96 * 2 + 17 * 4


def test_rows_after_an_outage_of_the_meter_are_read_at_once() -> None:
    out = (_DAY_0 + 2 * _HOUR, _DAY_0 + 30 * _HOUR)
    rows = {at for at in _grid(_DAY_0 - DAY_MS, _DAY_0 + 3 * DAY_MS) if not out[0] <= at < out[1]}
    site = Site(rows, backfill_s=86_400)
    site.run(out[1] + 2 * _MINUTE)
    assert out[1] in site.taken
    site.run(_DAY_0 + 3 * DAY_MS)
    assert {at for at in rows if at < site.now - 2 * _Q} - set(site.taken) == set()
    assert site.planner.progress(site.now).gaps == 0


def test_a_failed_errand_is_tried_later_and_smaller() -> None:
    site = Site(_grid(_DAY_0 - 2 * DAY_MS, _DAY_0), backfill_s=2 * 86_400)
    first = site.step(kept=False)
    second = site.step(kept=False)
    assert first is not None
    assert second is not None
    assert second.end_ms <= first.start_ms
    assert second.end_ms - second.start_ms < first.end_ms - first.start_ms
    site.run(_DAY_0 + 3 * _HOUR)
    assert set(site.taken) == site.rows


def test_an_errand_that_always_fails_does_not_hinder_the_others() -> None:
    bad = (_DAY_0 - DAY_MS - 4 * _Q, _DAY_0 - DAY_MS)
    site = Site(_grid(_DAY_0 - 3 * DAY_MS, _DAY_0 + DAY_MS), backfill_s=3 * 86_400)
    until = _DAY_0 + DAY_MS
    while site.now < until:
        errand = site.planner.errand(site.now, site.most_rows)
        fails = errand and errand.start_ms < bad[1] and errand.end_ms > bad[0]
        if site.step(kept=not fails):
            site.now += 2000
        else:
            due = site.planner.due_ms(site.now)
            assert due is not None
            site.now = min(due, until)
    failed = [each for each in site.asked if each.start_ms < bad[1] and each.end_ms > bad[0]]
    assert len(failed) < 60
    lacking = {at for at in site.rows if at < until - _Q} - set(site.taken)
    assert all(bad[0] - 32 * _Q <= at < bad[1] + 32 * _Q for at in lacking)


def test_a_poll_period_paces_new_rows() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0 + DAY_MS), backfill_s=86_400, poll_s=6 * 3600)
    site.run(_DAY_0 + DAY_MS)
    assert len([each for each in site.asked if each.kind == "new"]) <= 5
    assert len(site.taken) >= 96 + 70


def test_nothing_is_read_before_the_clock_is_set() -> None:
    planner = _planner(now_ms=5)
    assert planner.errand(1_000_000, 100) is None
    assert planner.due_ms(1_000_000) is None


def test_a_replaced_meter_is_read_from_there() -> None:
    known = Known(_SOURCE, since_ms=_DAY_0 - 4 * _Q, first_ms=_DAY_0 - 3 * DAY_MS)
    errand = _planner(known).errand(_DAY_0, 500)
    assert errand is not None
    assert errand.start_ms == _DAY_0 - 4 * _Q
    assert _planner(known).progress(_DAY_0).unread == 4


def test_irregular_rows_are_looked_for_with_an_overlap() -> None:
    rows = {_DAY_0 - 40 * DAY_MS, _DAY_0 - 3 * DAY_MS - 7, _DAY_0 + 30 * _MINUTE}
    site = Site(rows, period_s=0, backfill_s=400 * 86_400)
    site.run(_DAY_0 + _HOUR)
    site.rows.add(_DAY_0 + 20 * _MINUTE)  # entered late
    site.run(_DAY_0 + 5 * _HOUR)
    assert set(site.taken) == site.rows
    assert set(site.taken.values()) == {1}
    assert len(site.asked) < 30
    assert len([each for each in site.asked if each.kind == "new"]) <= 6


def test_irregular_rows_are_found_after_our_clock_was_ahead() -> None:
    site = Site({_DAY_0 - DAY_MS}, period_s=0)
    site.run(_DAY_0 + _HOUR)
    site.now += 365 * DAY_MS
    site.run(site.now + _HOUR)
    site.now = _DAY_0 + 2 * _HOUR
    site.rows.add(_DAY_0 + 150 * _MINUTE)
    site.run(_DAY_0 + 5 * _HOUR)
    assert set(site.taken) == site.rows


def test_a_former_capture_period_is_not_read_again() -> None:
    site = Site(_grid(_DAY_0 - DAY_MS, _DAY_0, _HOUR), period_s=3600, backfill_s=86_400)
    while site.step():
        pass
    finer = Planner(site.known, period_s=900, backfill_s=86_400, now_ms=_DAY_0)
    assert finer.progress(_DAY_0).unread <= 4


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    days=st.integers(1, 8),
    gaps=st.integers(0, 40),
    most_rows=st.sampled_from([7, 96, 1000]),
    trouble=st.sampled_from([0.0, 0.1, 0.5]),
    phase_s=st.sampled_from([0, 0, 301]),
    jump=st.sampled_from([0, 0, 40 * DAY_MS, -3 * _HOUR]),
)
def test_all_that_the_meter_holds_is_read_once(
    seed: int, days: int, gaps: int, most_rows: int, trouble: float, phase_s: int, jump: int
) -> None:
    random = Random(seed)
    end = _DAY_0 + 2 * DAY_MS
    rows = {at + phase_s * 1000 for at in _grid(_DAY_0 - 9 * DAY_MS, end + 2 * DAY_MS)}
    ordered = sorted(rows)
    for _ in range(gaps):
        first = random.randrange(len(ordered))
        rows -= set(ordered[first : first + random.choice([1, 1, 2, 20, 100])])
    for _ in range(5):
        rows.add(random.choice(ordered) + random.randrange(1, 800) * 1000)
    poll_s = random.choice([None, 3600])
    site = Site(rows, backfill_s=days * 86_400, most_rows=most_rows, poll_s=poll_s)

    def choose() -> int:
        return random.choices([1, 2, 3], [8, 1, 1])[0] if random.random() < trouble else 0

    site.run(_DAY_0 + DAY_MS, choose)
    back = site.now
    if jump:
        site.now += jump
        site.run(site.now + _HOUR, choose)
        site.now = back + _HOUR
    site.run(end, choose)
    site.run(end + DAY_MS)
    floor = _DAY_0 - days * DAY_MS
    wanted = {at for at in rows if floor <= at < site.now - 4 * _HOUR}
    assert wanted - set(site.taken) == set()
    assert set(site.taken) - rows == set()
    assert set(site.taken.values()) <= {1}
    rows_each = min(96, most_rows)
    slices = (days + 5 + abs(jump) // DAY_MS) * (96 // rows_each + 1)
    least = 4 * 96 + slices + gaps * 3
    # Each time it is forgotten what was asked for in vain, because newer rows are yet to come.
    least += site.kills * slices
    assert len(site.asked) <= least * (8 if trouble else 2) + 400 * bool(jump)
    # What a new planner makes of the records is what this one knows.
    again = Planner(
        site.known, period_s=900, backfill_s=days * 86_400, now_ms=site.now, poll_s=None
    )
    assert replace(again.progress(site.now)) == site.planner.progress(site.now)
