"""Unix time: seconds in a plain number, which only configuration can tell from a count."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dlms_connector.interpret.context import Context
from dlms_connector.interpret.shapes import plain
from dlms_connector.protocol.data.axdr import Data
from dlms_connector.reading import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def unix_time(data: Data, context: Context) -> Value:
    """Show seconds since 1970 as ISO 8601 in UTC."""
    if not isinstance(data.value, int) or isinstance(data.value, bool):
        return plain(data, context)
    try:
        return (_EPOCH + timedelta(seconds=data.value)).isoformat()
    except OverflowError:
        return context.doubt(None)
