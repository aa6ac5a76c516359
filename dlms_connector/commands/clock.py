"""Reads a meter's clock, and sets it without disturbing the capture of profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dlms_connector.commands.operations import Attempt
from dlms_connector.config import Profile
from dlms_connector.cosem import CLOCK_CLASS, AttributeRef
from dlms_connector.errors import CommandError, ObjectError, ServiceError
from dlms_connector.history import capture_period_s
from dlms_connector.interpret import Options, interpret, moment_of, zone_error
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data, DataType, DateTime, encode_date_time
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

CLOCK = Obis(bytes((0, 0, 1, 0, 0, 255)))
TIME = 2

#: A smaller drift is not corrected: the measured drift includes the delay of the line.
THRESHOLD_S = 30.0
#: Distance to a capture boundary: setting the clock there may duplicate or lose a row.
BOUNDARY_MARGIN_S = 120.0
#: The capture period that is assumed if the configured profiles give none.
DEFAULT_CAPTURE_PERIOD_S = 900
#: A clock that drifts again within this time is faulty, or another client sets it too.
LEAST_INTERVAL = timedelta(days=1)

Now = Callable[[], datetime]

#: Fields of a date-time that some meters refuse. The instant is told without them, in the local
#: time of the meter's clock.
_DOUBTFUL = frozenset({"deviation", "status", "hundredths", "dayOfWeek"})
#: Refusals that have another cause than the form of the value (Data-Access-Result).
_NOT_THE_FORM = frozenset({1, 2, 3, 4, 9, 11})


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of a meter's clock, and its drift at the middle of the round trip.

    `drift_s` is positive if the clock is ahead. `type` is the data type of the attribute `time`:
    date-time, or more often octet-string.
    """

    type: DataType
    moment: DateTime
    instant: datetime
    drift_s: float
    round_trip_s: float

    def describe(self) -> dict[str, Value]:
        """Return the result for the caller."""
        return {
            "time": self.instant.isoformat(),
            "driftSeconds": Decimal(f"{self.drift_s:.2f}"),
            "status": list(self.moment.flags),
        }


class NoInstantError(CommandError):
    """The clock has no usable time: it was never set, or it lost its time."""

    def __init__(self, shown: str, round_trip_s: float) -> None:
        super().__init__(f"the meter's clock tells no instant: {shown}")
        self.round_trip_s = round_trip_s


def read_clock(client: Client, options: Options, now: Now, obis: Obis = CLOCK) -> Talk[Clock]:
    """Read a clock and compare it with `now`. Raises NoInstantError if it has no usable time."""
    asked, ref = now(), time_of(obis)
    data = yield from get_one(client, ref)
    answered = now()
    moment = moment_of(data)
    zone = options.zone or answered.tzinfo
    instant = moment.instant(zone, from_utc=options.from_utc) if moment else None
    trip_s = (answered - asked).total_seconds()
    if moment is None or instant is None:
        raise NoInstantError(str(moment or interpret(ref, data)[0]), trip_s)
    middle = asked + timedelta(seconds=trip_s / 2)
    return Clock(data.type, moment, instant, (instant - middle).total_seconds(), trip_s)


def time_of(obis: Obis) -> AttributeRef:
    """Return the attribute with the time of a clock."""
    return AttributeRef(CLOCK_CLASS, obis, TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Which clock is set, and when it may be.

    It is not set near the boundaries of the capture periods `periods_s`. If this is None, those
    of `profiles` are used; they are read unless the configuration gives them. `last` is when the
    clock was set before. `force` ignores these conditions. `skip` are date-time fields that the
    meter wants unspecified.
    """

    threshold_s: float = THRESHOLD_S
    periods_s: tuple[int, ...] | None = None
    profiles: tuple[Profile, ...] = ()
    last: datetime | None = None
    force: bool = False
    skip: Set[str] = frozenset()
    obis: Obis = CLOCK


def set_clock(
    client: Client,
    options: Options,
    now: Now,
    setting: Setting,
    done: Callable[[], None],
    attempt: Attempt | None = None,
) -> Talk[dict[str, Value]]:
    """Set the clock if its drift reaches the threshold; return the drift and what was done.

    Half the round trip is added: the request needs that long to arrive. `done` is called as
    soon as the clock is set. Unless forced, raises CommandError close to a capture boundary,
    if the clock was set within the last day, if it has no usable time, and if it seems to be
    right in another zone than the configured one.
    """
    before: Clock | None
    try:
        before = yield from read_clock(client, options, now, setting.obis)
    except NoInstantError as error:
        if not setting.force:
            raise CommandError(f"{error}; use force to set it") from error
        before, trip_s = None, error.round_trip_s
    else:
        trip_s = before.round_trip_s
    found: dict[str, Value] = {
        "driftSeconds": before.describe()["driftSeconds"] if before else None
    }
    if before and not setting.force:
        if abs(before.drift_s) < setting.threshold_s:
            return {**found, "set": False, "reason": f"within {setting.threshold_s:g} s"}
        _require_zone(before, options)
        _require_day(now(), before, setting.last)
        periods_s = setting.periods_s
        if periods_s is None:
            periods_s = yield from _periods(client, setting.profiles)
        for period_s in periods_s:
            _require_distance(now(), before, period_s)
    if attempt is not None:
        attempt.begin()
    yield from _set(client, options, now, setting, before, trip_s)
    done()
    try:
        after = (yield from read_clock(client, options, now, setting.obis)).describe()[
            "driftSeconds"
        ]
    except (CommandError, ObjectError, ServiceError):  # the clock is set nevertheless
        after = None
    return {**found, "set": True, "driftAfterSeconds": after}


def _set(
    client: Client,
    options: Options,
    now: Now,
    setting: Setting,
    before: Clock | None,
    trip_s: float,
) -> Talk[None]:
    """Write the time in the meter's own form, and with fewer fields if it refuses that.

    A refused write has changed nothing, and the instant is the same.
    """
    type_ = before.type if before else DataType.OCTET_STRING
    first: ObjectError | ServiceError | None = None
    for skip in (setting.skip, setting.skip | _DOUBTFUL):
        arrival = now() + timedelta(seconds=trip_s / 2)
        data = Data(type_, _octets(arrival, before, options, skip))
        refusal = yield from _refusal(client, time_of(setting.obis), data)
        if refusal is None:
            return
        first = first or refusal
        if isinstance(refusal, ObjectError) and refusal.code in _NOT_THE_FORM:
            break
    if first:
        raise first


def _refusal(
    client: Client, ref: AttributeRef, data: Data
) -> Talk[ObjectError | ServiceError | None]:
    """Write an attribute; return why the meter refuses, None if it does not."""
    try:
        (refused,) = yield from client.set([(ref, data)])
    except ServiceError as error:
        return error
    return refused


def _periods(client: Client, profiles: Iterable[Profile]) -> Talk[tuple[int, ...]]:
    """Return the capture periods of profiles in seconds; the default if none is known."""
    found = set()
    for profile in profiles:
        with suppress(ServiceError):  # some meters refuse the read this way
            found.add((yield from capture_period_s(client, profile.obis, profile)))
    return tuple(sorted(found - {0})) or (DEFAULT_CAPTURE_PERIOD_S,)


def _octets(arrival: datetime, before: Clock | None, options: Options, skip: Set[str]) -> bytes:
    """Encode an instant in the meter's own form: its time zone, its unspecified fields."""
    skip = skip | (_unspecified(before.moment) if before else set())
    local = arrival.astimezone(before.instant.tzinfo if before else options.zone)
    if "hundredths" in skip:
        local += timedelta(seconds=0.5)  # round to the nearest whole second
    octets = encode_date_time(local, from_utc=options.from_utc, skip=skip)
    if before is None or "status" in skip or before.moment.deviation is None:
        return octets
    # A fixed deviation does not show daylight saving time: keep the meter's own flag.
    return octets[:-1] + bytes((_season(before),))


def _unspecified(moment: DateTime) -> set[str]:
    fields = {
        "hundredths": moment.time.hundredths,
        "deviation": moment.deviation,
        "status": moment.status,
        "dayOfWeek": moment.date.weekday,
    }
    return {name for name, value in fields.items() if value is None}


def _season(clock: Clock) -> int:
    return (clock.moment.status or 0) & 0x80


def _require_zone(clock: Clock, options: Options) -> None:
    """Raise CommandError if the configured zone is probably wrong, and the clock is right."""
    problem = zone_error(clock.moment, clock.drift_s, options)
    if problem and clock.moment.deviation is None:
        raise CommandError(f"{problem}; or use force to set the clock")


def _require_day(now: datetime, clock: Clock, last: datetime | None) -> None:
    """Raise CommandError if the clock was set within the last day."""
    if last is not None and timedelta(0) <= now - last < LEAST_INTERVAL:
        raise CommandError(
            f"the clock is off by {clock.drift_s:.1f} s, but it was set at "
            f"{last.isoformat(timespec='seconds')} already, and it is set once a day at most; "
            "look at the meter's battery and at who else sets it, or use force"
        )


def _require_distance(now: datetime, clock: Clock, period_s: int) -> None:
    """Raise CommandError close to a capture boundary, by our clock or by the meter's."""
    if period_s <= 0:
        return
    margin = min(BOUNDARY_MARGIN_S, period_s / 4)
    for moment in (now, clock.instant):
        # Boundaries follow the meter's local time: its days do not begin at midnight UTC.
        local = moment.astimezone(clock.instant.tzinfo)
        offset = local.utcoffset() or timedelta(0)
        past = (local.timestamp() + offset.total_seconds()) % period_s
        if past < margin or period_s - past < margin:
            wait_s = (margin - past) % period_s
            raise CommandError(
                f"the clock is off by {clock.drift_s:.1f} s, but a row is captured about now; "
                f"try again in {wait_s:.0f} s, or use force"
            )
