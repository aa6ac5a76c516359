"""Instants in data: date-times, and Unix time in a plain number."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from dlms_connector.interpret.context import Context, Options
from dlms_connector.interpret.octets import unwrapped
from dlms_connector.interpret.shapes import plain
from dlms_connector.protocol.data import Data, DateTime
from dlms_connector.reading import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def unix_time(data: Data, context: Context) -> Value:
    """Show seconds since 1970 as ISO 8601 in UTC; only the configuration can ask for this."""
    if not isinstance(data.value, int) or isinstance(data.value, bool):
        return plain(data, context)
    try:
        return (_EPOCH + timedelta(seconds=data.value)).isoformat()
    except OverflowError:
        return context.doubt(None)


def moment_of(data: Data) -> DateTime | None:
    """Return the date and time in data; None if it holds none."""
    if not isinstance(data.value, bytes):
        return None
    octets = unwrapped(data.value)
    return DateTime.parse(octets) if len(octets) == 12 else None


def aware(moment: datetime, options: Options) -> datetime:
    """Return a moment with a zone: its own, the meter's, else UTC."""
    zone: tzinfo = options.zone or timezone.utc
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
