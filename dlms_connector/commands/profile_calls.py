"""Calls that read rows of a profile: the newest ones, or those of a time range."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.errors import CommandError
from dlms_connector.history import Row, by_time, last
from dlms_connector.interpret import aware
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

#: A profile is read in many blocks, which takes long.
_TIMEOUT_S = 60.0
_MOST_ROWS = 5000

#: Rows that are written without a break.
_AT_ONCE = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_DIGITS = 20
#: A smaller number is probably in seconds: in milliseconds it would be before May 1970.
_EARLIEST_MS, _LATEST_MS = 10_000_000_000, 253_402_300_799_000


def read_profile(context: Context, arguments: Arguments) -> Work:
    """`readProfile`: read rows of any profile."""
    return read_rows(context, arguments.obis(), arguments)


def read_rows(context: Context, obis: Obis, arguments: Arguments) -> Work:
    """Return the work of reading the rows given by `last`, or by `from` and `to`."""
    options, stated = context.options, context.profile(obis)
    standard = context.device.dlms.standard
    if "last" in arguments.values:
        count = arguments.integer("last", None, least=1, most=_MOST_ROWS)

        def newest(client: Client) -> Talk[Value]:
            rows = yield from last(client, obis, count, options, stated, standard)
            return (yield from _shown(rows))

        return Work(talk=newest, what=f"reading {obis}", timeout_s=_TIMEOUT_S)
    start, end = _moment(context, arguments, "from"), _moment(context, arguments, "to")
    if end.timestamp() < start.timestamp():
        raise CommandError(f"{arguments.method}: `to` lies before `from`")

    def between(client: Client) -> Talk[Value]:
        rows = yield from by_time(client, obis, start, end, options, context.ways, stated, standard)
        return (yield from _shown(rows))

    return Work(talk=between, what=f"reading {obis}", timeout_s=_TIMEOUT_S)


def _shown(rows: list[Row]) -> Talk[list[Value]]:
    """Return rows as JSON; the loop serves others while there are many."""
    shown: list[Value] = []
    for row in rows:
        shown.append({"time": row.at.isoformat() if row.at else None, **row.values})
        if not len(shown) % _AT_ONCE:
            yield Breath()
    return shown


def _moment(context: Context, arguments: Arguments, key: str) -> datetime:
    """Take a time: ms since 1970, or ISO 8601 (without offset: the meter's zone, else UTC)."""
    if _is_count(arguments.values.get(key)):
        return _instant(arguments, key)
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


def _is_count(value: Any) -> bool:
    """Whether a time is given as a number; eight digits are a date without hyphens."""
    if isinstance(value, str):
        return value.isdecimal() and len("20260501") < len(value) < _MOST_DIGITS
    return isinstance(value, int | float) and not isinstance(value, bool)


def _instant(arguments: Arguments, key: str) -> datetime:
    """Take a time in the platform's form: milliseconds since 1970."""
    given = arguments.values.pop(key)
    number: int | float = int(given) if isinstance(given, str) else given
    if not _EARLIEST_MS <= number <= _LATEST_MS:
        raise CommandError(
            f"{arguments.method}: {key}: {number!r:.40} is not a moment such as 1777593600000, in "
            "milliseconds since 1970"
        )
    return _EPOCH + timedelta(milliseconds=number)
