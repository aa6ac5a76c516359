"""The call that asks how complete the rows of a profile are on the platform."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta, timezone

from dlms_connector.commands.moments import moment
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Local
from dlms_connector.errors import CommandError
from dlms_connector.reading import Value
from dlms_connector.records import DayCount, Source

#: Days before today where the call does not say from when on.
_DAYS = 7
#: Most days of one answer, which must fit into a message of the platform.
_MOST_DAYS = 366


def completeness(context: Context, arguments: Arguments) -> Local:
    """`getCompleteness`: count the intervals of a profile by local day, and tell what lacks."""
    obis = arguments.obis()
    zone = context.options.zone or timezone.utc
    now = context.now()
    end = moment(context, arguments, "to") or now
    first = (now.astimezone(zone) - timedelta(days=_DAYS)).date()
    start = moment(context, arguments, "from") or datetime.combine(first, time(), zone)
    if end < start:
        raise CommandError(f"{arguments.method}: `to` lies before `from`")
    if end - start > timedelta(days=_MOST_DAYS):
        raise CommandError(f"{arguments.method}: at most {_MOST_DAYS} days can be asked for")
    intervals = context.intervals
    if intervals is None:
        raise CommandError(
            "no records are kept: there are no `profiles`, or the file of records cannot be used; "
            "see the connector's log"
        )
    source = Source(context.device.device_name, obis)
    span = _ms(start), _ms(end)

    async def count() -> Value:
        loop = asyncio.get_running_loop()
        try:
            days = await loop.run_in_executor(
                None, lambda: intervals.completeness(source, *span, zone)
            )
        except OSError as error:
            raise CommandError(f"the records cannot be read: {error}") from error
        return _shown(days)

    return Local(run=count, what=f"counting the intervals of {obis}")


def _shown(days: Sequence[DayCount]) -> dict[str, Value]:
    reasons: Counter[str] = Counter()
    for day in days:
        reasons.update(day.missing)
    return {
        "expected": sum(day.expected for day in days),
        "held": sum(day.held for day in days),
        "sent": sum(day.sent for day in days),
        "confirmed": sum(day.confirmed for day in days),
        "missing": dict(reasons),
        "days": [_day(day) for day in days],
    }


def _day(day: DayCount) -> Mapping[str, Value]:
    shown: dict[str, Value] = {
        "day": day.day.isoformat(), "expected": day.expected, "held": day.held,
        "sent": day.sent, "confirmed": day.confirmed,
    }  # fmt: skip
    if day.missing:
        shown["missing"] = dict(day.missing)
    if day.why:
        shown["why"] = day.why
    return shown


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
