"""A meter on its line: its items, its state, and when to try it again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

from dlms_connector.config import Device
from dlms_connector.errors import (
    AbsentError,
    ConfigError,
    DlmsError,
    LinkError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
    UnkeptError,
)
from dlms_connector.fleet.archive import Archive
from dlms_connector.fleet.availability import Availability, ObjectNews
from dlms_connector.fleet.backfill import Backfill
from dlms_connector.fleet.pace import Pace
from dlms_connector.fleet.schedule import Agenda, backoff_s, most_wait_s, spread
from dlms_connector.fleet.sink import MeterState, Sink
from dlms_connector.hints import Symptom
from dlms_connector.meter import AnyMeter, Outcome, wanted

#: Meters with a longer poll period are tried again before their next poll is due.
_LONG_PERIOD_S = 300.0
#: Wait after a configuration error: only the author can correct it.
_MISCONFIGURED_S = 300.0
#: After an outage of this length another meter may be installed at the same address.
_FORGET_S = 600.0


class UnavailableError(LinkError):
    """The meter did not answer recently; it is tried again later, not for this call."""

    def __init__(self, for_s: float, cause: DlmsError) -> None:
        does = "refused us" if _is_refused(cause) else "not answered"
        super().__init__(f"the meter has {does} for {for_s:.0f} s: {cause}")
        self.for_s = for_s
        self.cause = cause
        self.showing(*cause.symptoms, Symptom.AWAY, **cause.facts)


class CallTimeoutError(LinkTimeoutError):
    """A call was not done in time: the line is busy, or the meter is slow.

    If it had not `begun`, nothing of it was sent to the meter.
    """

    symptoms = (Symptom.LINE_BUSY,)

    def __init__(self, timeout_s: float, *, begun: bool = True) -> None:
        super().__init__(1, 0)
        turn = "" if begun else ", as its turn on the line did not come"
        self.args = (f"the call was not done within {timeout_s:g} s{turn}",)
        self.timeout_s = timeout_s
        self.begun = begun


class Member:
    """A meter and its state on the line; times are in seconds of the loop's clock."""

    def __init__(self, meter: AnyMeter, sink: Sink, log: logging.Logger) -> None:
        self.meter = meter
        #: What is read of its profiles; None if it has none.
        self.history: Backfill | None = None
        self.name = meter.device.device_name
        self.agenda = Agenda((), 0.0)
        self.state: MeterState | None = None
        #: How long its last failed poll held the line; 0 while it answers.
        self.cost_s = 0.0
        #: The longest wait before it is tried again, unless it refused us.
        self.most_wait_s = inf
        self._sink = sink
        self._log = log
        self._availability = Availability(self.name, log)
        self._objects = ObjectNews(self.name, log)
        #: When it is tried again, if its last poll failed.
        self.retry_at = 0.0
        self._fault: type[Exception] | None = None
        self.pace = Pace(self.name, (), log)
        #: Whether another meter answers than before.
        self._is_another = False

    def remember(
        self,
        archive: Archive,
        *,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        spread_s: float,
    ) -> None:
        """Read the meter's profiles as the archive tells, if it has any; see `Backfill`."""
        if self.device.profiles:
            self.history = Backfill(
                self.device,
                self._sink,
                self._log,
                archive=archive,
                now_ms=now_ms,
                wake=wake,
                exchanged=self._exchange,
                spread_s=spread_s,
            )

    def dismantle(self) -> None:
        """Take it apart, when it is not used any more: its parts hold each other."""
        self.history = None
        self.meter.dismantle()

    @property
    def device(self) -> Device:
        """The configured meter."""
        return self.meter.device

    def begin(self, now: float, spread_s: float) -> float:
        """Start the meter's poll grid with an offset of its own; return when it is due.

        A meter without items is polled too, until it has answered once: the platform sends
        calls only to a device that it knows.
        """
        items = wanted(self.device)
        shortest = min((one.period_s for one in items), default=spread_s)
        start = now + spread(self.name) * min(shortest, spread_s)
        self.agenda = Agenda(items, start)
        self.most_wait_s = most_wait_s(self.agenda.period, spread_s)
        return start

    @property
    def tries_s(self) -> float:
        """The time in seconds for all tries of a request, and for a farewell."""
        connection = self.device.connection
        return connection.timeout_ms / 1000 * (connection.retries + 2)

    @property
    def is_answering(self) -> bool:
        """Whether its last poll was answered."""
        return self.state == "online"

    @property
    def is_silent(self) -> bool:
        """Whether its last poll failed, so that the next is likely to wait out its timeouts."""
        return self.state not in (None, "online")

    def unavailable(self, now: float) -> UnavailableError | None:
        """Return an error if a call would very likely fail now, else None."""
        since, error = self._availability.since, self._availability.error
        if since is None or error is None or now >= self.retry_at:
            return None
        return UnavailableError(now - since, error)

    def prepare(self, now: float) -> None:
        """Forget what was learned about the meter if its outage was long.

        After any outage the scalers are read again: in a minute a meter is exchanged, and a value
        with the scaler of another one is wrong by a power of ten.
        """
        since = self._availability.since
        if self._is_another or (since is not None and now - since > _FORGET_S):
            self._is_another = False
            self.meter.forget()
        elif since is not None:
            self.meter.doubt_scalers()

    def kept_pace(self, took_s: float) -> None:
        """Note how long a good poll took, and lengthen or shorten its period."""
        period_s, was_slow = self.agenda.period, self.pace.is_slow
        self.agenda.stretch = self.pace.polled(took_s, period_s)
        if self.pace.is_slow or was_slow:
            self.meter.statistics.cycle_ms = round(period_s * self.agenda.stretch * 1000)

    def answered(self, now: float) -> None:
        """Note that the meter answered."""
        self.cost_s = 0.0
        self._fault = None
        if self.history is not None and self._availability.since is not None:
            self.history.forget()
        self._availability.answered(now)
        self._enter("online", None)

    def failed(
        self, error: DlmsError, now: float, *, least_s: float = 0.0, told: bool = False
    ) -> float:
        """Note that an outage begins or continues; return when to try again.

        `least_s` is the shortest wait, so that the other meters get their share of the line;
        `told` says that the error is logged already.
        """
        self._availability.failed(error, now, told=told)
        self.retry_at = self._retry(error, now, least_s)
        self._enter(self._down_state(error, now), error)
        return self.retry_at

    def fault(self, error: Exception, now: float) -> float:
        """Note that polling failed by a fault of the connector; return when to try again."""
        fault = ProtocolError("polling", f"a fault of the connector: {error!r}")
        news = type(error) is not self._fault
        if news:  # by type: the text may differ each time
            self._fault = type(error)
            self._log.error("%s: %s", self.name, fault, exc_info=error)
        return self.failed(fault, now, told=news)

    def deliver(self, outcome: Outcome) -> None:
        """Hand over the result of a poll, unless it is empty."""
        poll = outcome.poll
        if not poll.readings and (outcome.error or not poll.failures):
            return
        unread = {(one.item.key, one.item.obis) for one in outcome.unread}
        self._objects.polled(
            ((reading.key, reading.obis) for reading in poll.readings),
            (fail for fail in poll.failures if (fail.key, fail.obis) not in unread),
        )
        try:
            self._sink.polled(self.device, poll)
        except Exception:
            self._log.exception("%s: the readings could not be handed over", self.name)

    def waits_for(self, error: type[DlmsError]) -> bool:
        """Whether the meter waits because of an error of this kind."""
        return isinstance(self._availability.error, error)

    def _exchange(self) -> None:
        """Note that it is another meter; a poll may be under way."""
        self._is_another = True

    def _retry(self, error: DlmsError, now: float, least_s: float) -> float:
        if isinstance(error, AbsentError):
            return inf  # until it dials in
        if isinstance(error, ConfigError):
            return now + _MISCONFIGURED_S
        failures = self._availability.failures
        jitter = spread(f"{self.name} {failures}")
        refused = _is_refused(error)
        wait = backoff_s(failures, jitter, refused=refused, most_s=self.most_wait_s)
        at = max(now + max(wait, least_s), self.meter.session.quiet_until)
        # Meters with a short period are tried again on their poll grid. A meter that is polled
        # once an hour is tried earlier: a burst of noise should not cost a whole hour.
        return self.agenda.slot_after(at) if self.agenda.period <= _LONG_PERIOD_S else at

    def _down_state(self, error: DlmsError, now: float) -> MeterState:
        if isinstance(error, ConfigError):
            return "misconfigured"
        if _is_refused(error):
            return "refused"
        if isinstance(error, AbsentError):
            return "offline"
        skips = self.retry_at - now > 2 * self.agenda.period
        return "backoff" if skips else "offline"

    def _enter(self, state: MeterState, error: DlmsError | None) -> None:
        if state == self.state:
            return
        self.state = state
        try:
            self._sink.state(self.device, state, error)
        except Exception:
            self._log.exception("%s: the state %s could not be handed over", self.name, state)


def _is_refused(error: DlmsError) -> bool:
    """Whether the meter says no; what our disk refuses costs no meter its patience."""
    return isinstance(error, RefusedError) and not isinstance(error, UnkeptError)
