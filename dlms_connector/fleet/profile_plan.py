"""What is known of a profile, and what is to be read of it when; both follow from the records.

Times are in seconds of the loop's clock, instants in ms since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf

from dlms_connector.config import Profile, duration
from dlms_connector.fleet.archive import Archive
from dlms_connector.history import DEFAULT_BACKFILL_S, Errand, Planner, Progress
from dlms_connector.records import Known, Source

#: When something is due is worked out anew so often, as clocks may jump, and after each change.
_PLAN_S = 60.0


class ProfilePlan:
    """The planner of one profile, made of what the records know once the period is known.

    `late_s` is how long after they are due the newest rows are asked for.
    """

    def __init__(
        self,
        source: Source,
        profile: Profile,
        *,
        archive: Archive,
        now_ms: Callable[[], int],
        late_s: float,
    ) -> None:
        self._source, self._archive = source, archive
        self._now_ms, self._late_s = now_ms, late_s
        backfill, poll_ms = profile.backfill, profile.poll_period_ms
        self._backfill_s = duration(backfill).total_seconds() if backfill else DEFAULT_BACKFILL_S
        self._poll_s = poll_ms / 1000 if poll_ms else None
        #: Until the planner is made of it: of a meter that was read for years it is large.
        self._known: Known | None = None
        #: When the profile was first asked for: records that were lost must not move it.
        self._first_ms: int | None = None
        #: None before both the period and what the records know are there.
        self.planner: Planner | None = None
        self.period_s = 0
        self._ahead_ms: int | None = None
        self._horizon_ms: int | None = None
        #: When there is something to read, and until when this is believed.
        self._due, self._due_until = -inf, -inf

    @property
    def knows(self) -> bool:
        """Whether the records have told what they know."""
        return self._known is not None or self.planner is not None

    def recall(self, recalled: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Ask the records what they know; one of both is called afterwards."""

        def known(answer: Known) -> None:
            self._known = answer
            recalled()

        self._archive.ask(partial(self._archive.records.known, self._source), known, failed)

    def forget(self, *, meter: bool = False) -> None:
        """Forget what the records told, and what the meter holds if it may be another `meter`."""
        self._known = self.planner = None
        if meter:
            self._horizon_ms = None

    def make(self, period_s: int | None) -> None:
        """Make the planner of what the records have told, if the period is known."""
        if self._known is None or period_s is None:
            return
        self.period_s = period_s
        first_ms = self._known.first_ms
        if first_ms is None:
            first_ms = self._now_ms() if self._first_ms is None else self._first_ms
        self._first_ms = first_ms
        self.planner = Planner(
            replace(self._known, first_ms=first_ms),
            period_s=period_s,
            backfill_s=self._backfill_s,
            now_ms=self._now_ms(),
            poll_s=self._poll_s,
        )
        self._known = None
        if self._ahead_ms is not None:
            self.planner.clock(self._ahead_ms)
        if self._horizon_ms is not None:
            self.planner.holds_from(self._horizon_ms)
        self.changed()

    def changed(self) -> None:
        """Work out anew when something is due."""
        self._due_until = -inf

    def due(self, now: float) -> float:
        """Return when there is something to read; at once before there is a planner."""
        if self.planner is None:
            return now
        if now >= self._due_until:
            self._due_until = now + _PLAN_S
            self._due = now + self._wait_s(self.planner)
        return max(now, self._due)

    def errand(self, most_rows: int) -> Errand | None:
        """Return what to read now, None if there is nothing."""
        return self.planner.errand(self._now_ms(), most_rows) if self.planner else None

    def rows_in(self, errand: Errand, most: int) -> int:
        """Return about how many rows an errand brings."""
        if not self.period_s:
            return most
        return min(most, max(1, (errand.end_ms - errand.start_ms) // (self.period_s * 1000)))

    def progress(self) -> Progress | None:
        """Return how far it is; None if that is not known yet."""
        return self.planner.progress(self._now_ms()) if self.planner else None

    def clock(self, ahead_ms: int) -> None:
        """Take how far the meter's clock is ahead of ours."""
        self._ahead_ms = ahead_ms
        if self.planner is not None:
            self.planner.clock(ahead_ms)
            self.changed()

    def holds_from(self, oldest_ms: int) -> None:
        """Take the oldest row that the meter tells to hold."""
        if self.planner is not None:
            self.planner.holds_from(oldest_ms)
            self.note_horizon()

    def note_horizon(self) -> None:
        """Tell the records what the meter does not hold any more, if that has changed."""
        horizon_ms = self.planner.horizon_ms if self.planner else None
        if horizon_ms is None or horizon_ms == self._horizon_ms:
            return
        self._horizon_ms = horizon_ms
        held_from = partial(self._archive.records.held_from, self._source, horizon_ms)
        self._archive.ask(held_from, _ignore, _ignore)  # the ledger's reasons are less exact then

    def _wait_s(self, planner: Planner) -> float:
        """Return in how many seconds there will be something to read; 0 is now."""
        now_ms = self._now_ms()
        due_ms = planner.due_ms(now_ms)
        if due_ms is None:
            return inf
        return (due_ms - now_ms) / 1000 + self._late_s if due_ms > now_ms else 0.0


def _ignore(answer: object) -> None:
    """Do nothing."""
