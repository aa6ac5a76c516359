"""Instants in data: date-times, and Unix time in a plain number."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from dlms_connector.interpret.context import Context, Options
from dlms_connector.interpret.shapes import plain
from dlms_connector.protocol.data import Data, DateTime, date_time_of
from dlms_connector.reading import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LEAST_MS = 100_000_000_000


def unix_time(data: Data, context: Context) -> Value:
    """Show seconds since 1970 as ISO 8601 in UTC; only the configuration can ask for this."""
    if not isinstance(data.value, int) or isinstance(data.value, bool):
        return plain(data, context)
    instant = of_unix_time(data.value)
    return context.doubt(None) if instant is None else instant.isoformat()


def of_unix_time(number: int) -> datetime | None:
    """Return the instant of a Unix time; None if there is none.

    It is in seconds, or in milliseconds if the number is so large that seconds would be after
    the year 5000.
    """
    ms = number if abs(number) >= _LEAST_MS else number * 1000
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None


def moment_of(data: Data) -> DateTime | None:
    """Return the date and time in data; None if it holds none."""
    if not isinstance(data.value, bytes):
        return None
    return date_time_of(data.value)


def aware(moment: datetime, options: Options) -> datetime:
    """Return a moment with a zone: its own, the meter's, else UTC."""
    zone: tzinfo = options.zone or timezone.utc
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
