"""Octets as text, hexadecimal, addresses, names of objects, dates and times."""

from __future__ import annotations

import ipaddress

from dlms_connector.interpret.context import Context
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Date, DateTime, Time, date_time_of, unwrapped

_DATE_TIME, _DATE, _TIME = 12, 5, 4
#: 12 octets that could be a date-time are taken for one if the year is in this range.
_PLAUSIBLE_YEARS = range(1990, 2120)
_DOUBTFUL = {"invalidValue", "doubtfulValue"}


def visible(octets: bytes, context: Context) -> str | None:
    """Read a string that should be text; some meters write a binary date-time into one."""
    binary = _printable(octets, context) is None and is_date_time(octets)
    return date_time(octets, context) if binary else text(octets, context)


def hexadecimal(octets: bytes, _context: Context) -> str:
    """Write two digits for each octet."""
    return octets.hex().upper()


def text(octets: bytes, context: Context) -> str:
    """Read text in the configured encoding; octets that are not text are shown in hexadecimal.

    Text must not contain a zero: the platform's database would reject the whole message.
    """
    try:
        found = _trimmed(octets).decode(context.options.encoding or "utf-8")
    except UnicodeError:
        return context.doubt(hexadecimal(octets, context))
    return context.doubt(hexadecimal(octets, context)) if "\0" in found else found


def name(octets: bytes, context: Context) -> str:
    """Read a name as text if it is printable, else as hexadecimal: some names are binary."""
    found = _printable(octets, context)
    return hexadecimal(octets, context) if found is None else found


def label(octets: bytes, context: Context) -> str:
    """Read a name that other objects refer to: text with its blanks, or `hex:01`, as in writes."""
    found = _text(octets.rstrip(b"\0"), context)
    readable = found is not None and (found or not octets) and not found.startswith("hex:")
    return found if found is not None and readable else "hex:" + hexadecimal(octets, context)


def guess(octets: bytes, context: Context) -> str | None:
    """Read octets of unknown meaning as text, as a date-time, or as hexadecimal."""
    found = _printable(octets, context)
    if found is not None:
        return found
    octets = unwrapped(octets)
    return date_time(octets, context) if is_date_time(octets) else hexadecimal(octets, context)


def date_time(octets: bytes, context: Context) -> str | None:
    """Read a date-time as ISO 8601, with stars if it stands for more than one instant.

    A date-time that cannot exist or is wholly unspecified is None, and suspect.
    """
    moment = date_time_of(octets)
    if moment is None:
        return _other_moment(unwrapped(octets), context)
    if not moment.exists or moment.unspecified:
        return context.doubt(None)
    if moment.doubtful or _DOUBTFUL.intersection(moment.flags):
        context.suspect = True
    options = context.options
    instant = moment.instant(options.zone, from_utc=options.from_utc)
    if instant is None:
        return str(moment)
    if not instant.microsecond:
        return instant.isoformat()
    whole = instant.replace(microsecond=0).isoformat()
    # Hundredths as the meter wrote them, not six digits.
    return f"{whole[:19]}.{instant.microsecond // 10_000:02d}{whole[19:]}"


def date(octets: bytes, context: Context) -> str | None:
    """Read a date, with stars for what is unspecified."""
    octets = unwrapped(octets)
    if len(octets) != _DATE:
        return _other_moment(octets, context)
    day = Date.parse(octets)
    context.suspect |= day.doubtful
    return str(day) if day.exists else context.doubt(None)


def time(octets: bytes, context: Context) -> str | None:
    """Read a time of day, with stars for what is unspecified."""
    octets = unwrapped(octets)
    if len(octets) != _TIME:
        return _other_moment(octets, context)
    moment = Time.parse(octets)
    context.suspect |= moment.doubtful
    return str(moment) if moment.exists else context.doubt(None)


def obis(octets: bytes, context: Context) -> str | None:
    """Read the logical name of an object."""
    return str(Obis(octets)) if len(octets) == 6 else hexadecimal(octets, context)


def ip(octets: bytes, context: Context) -> str:
    """Read an IPv4 or IPv6 address from octets, or from text, which some meters send."""
    if len(octets) in (4, 16):
        return str(ipaddress.ip_address(octets))
    return name(octets, context)


def mac(octets: bytes, _context: Context) -> str:
    """Read a MAC address."""
    return octets.hex(":").upper() if octets else ""


def _other_moment(octets: bytes, context: Context) -> str | None:
    """Read octets that should be a date or time as the type that their length indicates."""
    read = {_DATE_TIME: date_time, _DATE: date, _TIME: time}.get(len(octets))
    if read is not None:
        return read(octets, context)
    return context.doubt(None) if octets else None


def _trimmed(octets: bytes) -> bytes:
    """Remove the zeros or blanks that fill up a field of fixed size."""
    return octets.rstrip(b"\0 ")


def _printable(octets: bytes, context: Context) -> str | None:
    found = _text(_trimmed(octets), context)
    # Octets that are all zero are a number or an empty date, not an empty text.
    return found if found or not octets else None


def _text(octets: bytes, context: Context) -> str | None:
    """Return the text of octets in the configured encoding; None if it is not printable."""
    try:
        found = octets.decode(context.options.encoding or "ascii")
    except UnicodeError:
        return None
    return found if found.isprintable() else None


def is_date_time(octets: bytes) -> bool:
    """Return whether octets of unknown meaning are a date-time: one of our time, and complete."""
    moment = date_time_of(octets)
    return moment is not None and not moment.unusual and _plausible(moment)


def _plausible(moment: DateTime) -> bool:
    day, time_ = moment.date, moment.time
    known = day.year in _PLAUSIBLE_YEARS and day.month is not None and day.day is not None
    return known and time_.hour is not None and moment.exists
