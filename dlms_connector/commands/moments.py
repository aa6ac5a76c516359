"""Times that calls give."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context
from dlms_connector.errors import CommandError
from dlms_connector.interpret import aware

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_DIGITS = 20
#: A smaller number is probably in seconds: in milliseconds it would be before May 1970.
_EARLIEST_MS, _LATEST_MS = 10_000_000_000, 253_402_300_799_000


def moment(context: Context, arguments: Arguments, key: str) -> datetime | None:
    """Take a time: ms since 1970, or ISO 8601 (without offset: the meter's zone, else UTC).

    None if it is not given. Raises CommandError.
    """
    if _is_count(arguments.values.get(key)):
        return _instant(arguments, key)
    text = arguments.text(key)
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise CommandError(
            f"{arguments.method}: {key}: {text[:40]!r} is not a moment such as 2026-05-01T00:00:00Z"
        ) from None
    return aware(given, context.options)


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
