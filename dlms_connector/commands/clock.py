"""A meter's clock: what it says, and setting it without harm to what it captures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from dlms_connector.commands.operations import get_one
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import CommandError, ObjectError
from dlms_connector.interpret import Options
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.cosem_time import DateTime, encode_date_time
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

CLOCK = Obis(bytes((0, 0, 1, 0, 0, 255)))
TIME = AttributeRef(8, CLOCK, 2)

#: Below this a clock is left alone: the line's delay is part of what is measured.
THRESHOLD_S = 30.0
#: A meter that captures while its clock is set may capture twice, or not at all.
BOUNDARY_MARGIN_S = 120.0
#: Captured at these periods unless the configured profiles say otherwise.
DEFAULT_CAPTURE_PERIOD_S = 900

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Clock:
    """What a clock said, and how far it is ahead (positive) at the middle of the round trip."""

    moment: DateTime
    instant: datetime
    drift_s: float
    round_trip_s: float

    def describe(self) -> dict[str, Value]:
        """Return what a caller is told."""
        return {
            "time": self.instant.isoformat(),
            "driftSeconds": Decimal(f"{self.drift_s:.2f}"),
            "status": list(self.moment.flags),
        }


def read_clock(client: Client, options: Options, now: Now) -> Talk[Clock]:
    """Read the clock and hold it against `now`. Raises CommandError if it tells no instant."""
    asked = now()
    data = yield from get_one(client, TIME)
    answered = now()
    moment = DateTime.parse(data.value) if _is_date_time(data) else None
    zone = options.zone or answered.tzinfo
    instant = moment.instant(zone, options.standard) if moment else None
    if moment is None or instant is None:
        raise CommandError(f"the meter's clock tells no instant: {data.value!r}")
    trip_s = (answered - asked).total_seconds()
    middle = asked + timedelta(seconds=trip_s / 2)
    return Clock(moment, instant, (instant - middle).total_seconds(), trip_s)


def set_clock(
    client: Client, options: Options, now: Now, *, threshold_s: float, period_s: int, force: bool
) -> Talk[dict[str, Value]]:
    """Set the clock if it is off by more than a threshold; return what was found and done.

    Half the round trip is added, as the request needs that long to arrive. Raises
    CommandError close to the end of a capture period, unless forced.
    """
    before = yield from read_clock(client, options, now)
    found: dict[str, Value] = {"driftSeconds": before.describe()["driftSeconds"]}
    if abs(before.drift_s) < threshold_s and not force:
        return {**found, "set": False, "reason": f"within {threshold_s:g} s"}
    if not force:
        _require_distance(now(), before, period_s)
    arrival = now() + timedelta(seconds=before.round_trip_s / 2)
    data = Data(DataType.OCTET_STRING, _octets(arrival, before, options))
    (refused,) = yield from client.set([(TIME, data)])
    if isinstance(refused, ObjectError):
        raise refused
    after = yield from read_clock(client, options, now)
    return {**found, "set": True, "driftAfterSeconds": after.describe()["driftSeconds"]}


def _octets(arrival: datetime, before: Clock, options: Options) -> bytes:
    """Write an instant as the meter writes its own: its zone, its unspecified fields."""
    skip = {"hundredths"} if before.moment.time.hundredths is None else set()
    if before.moment.deviation is None:
        skip.add("deviation")
    if before.moment.status is None:
        skip.add("status")
    if before.moment.date.weekday is None:
        skip.add("dayOfWeek")
    local = arrival.astimezone(before.instant.tzinfo)
    octets = encode_date_time(local, standard=options.standard, skip=skip)
    # A fixed deviation does not tell daylight saving time: the meter's own flag does.
    return octets if before.moment.status is None else octets[:-1] + bytes((_season(before),))


def _season(clock: Clock) -> int:
    return (clock.moment.status or 0) & 0x80


def _require_distance(now: datetime, clock: Clock, period_s: int) -> None:
    """Raise if a row is about to be captured, or was just now, by either clock."""
    if period_s <= 0:
        return
    margin = min(BOUNDARY_MARGIN_S, period_s / 4)
    for moment in (now, clock.instant):
        past = moment.timestamp() % period_s
        if past < margin or period_s - past < margin:
            wait_s = (margin - past) % period_s
            raise CommandError(
                f"the clock is off by {clock.drift_s:.1f} s, but a row is captured about now; "
                f"try again in {wait_s:.0f} s, or use force"
            )


def _is_date_time(data: Data) -> bool:
    return isinstance(data.value, bytes) and len(data.value) == 12
