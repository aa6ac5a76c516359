"""Calls that read rows of a profile: the newest, or those of a range of time."""

from __future__ import annotations

from datetime import datetime

from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.errors import CommandError
from dlms_connector.obis import Obis
from dlms_connector.profile_reading import by_time, last
from dlms_connector.profiles import Row, aware
from dlms_connector.protocol.client import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: A profile is read in blocks, which takes its time.
_TIMEOUT_S = 60.0
_MOST_ROWS = 5000


def read_profile(context: Context, arguments: Arguments) -> Work:
    """`readProfile`: rows of any profile."""
    return read_rows(context, arguments.obis(), arguments)


def read_rows(context: Context, obis: Obis, arguments: Arguments) -> Work:
    """Return the work of reading the rows that `last`, or `from` and `to` name."""
    options = context.options
    if "last" in arguments.values:
        count = arguments.integer("last", None, least=1, most=_MOST_ROWS)

        def newest(client: Client) -> Talk[Value]:
            return _shown((yield from last(client, obis, count, options)))

        return Work(talk=newest, what=f"reading {obis}", timeout_s=_TIMEOUT_S)
    start, end = _moment(context, arguments, "from"), _moment(context, arguments, "to")
    if end.timestamp() < start.timestamp():
        raise CommandError(f"{arguments.method}: `to` lies before `from`")

    def between(client: Client) -> Talk[Value]:
        return _shown((yield from by_time(client, obis, start, end, options, context.ways)))

    return Work(talk=between, what=f"reading {obis}", timeout_s=_TIMEOUT_S)


def _shown(rows: list[Row]) -> list[Value]:
    return [{"time": row.at.isoformat() if row.at else None, **row.values} for row in rows]


def _moment(context: Context, arguments: Arguments, key: str) -> datetime:
    """Take a moment in ISO 8601; without a zone it is the meter's own, else UTC."""
    text = arguments.text(key)
    if text is None:
        if key == "to":
            return context.now()
        raise CommandError(f"{arguments.method}: either `last`, or `from` and `to` are needed")
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise CommandError(
            f"{arguments.method}: {key}: {text[:40]!r} is not a moment such as 2026-05-01T00:00:00Z"
        ) from None
    return aware(moment, context.options)
