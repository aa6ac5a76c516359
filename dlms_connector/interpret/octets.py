"""Octets as text, hexadecimal, addresses, names of objects, dates and times."""

from __future__ import annotations

import ipaddress

from dlms_connector.interpret.context import Context
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Date, DateTime, Time

_DATE_TIME, _DATE, _TIME = 12, 5, 4
#: A date-time with its own tag and length inside an octet string: some meters wrap twice.
_WRAPPED = {b"\x09\x0c": _DATE_TIME, b"\x09\x05": _DATE, b"\x09\x04": _TIME}

#: Years in which 12 octets that could be a date-time are taken for one.
_PLAUSIBLE_YEARS = range(1990, 2120)
_DOUBTFUL = {"invalidValue", "doubtfulValue"}


def hexadecimal(octets: bytes, _context: Context) -> str:
    """Write two digits for each octet."""
    return octets.hex().upper()


def text(octets: bytes, context: Context) -> str:
    """Read text in the configured encoding; what it cannot be is shown in hexadecimal.

    A zero within is no text: the platform's database takes none, with all that came with it.
    """
    try:
        found = _trimmed(octets).decode(context.options.encoding or "utf-8")
    except UnicodeDecodeError:
        return context.doubt(hexadecimal(octets, context))
    return context.doubt(hexadecimal(octets, context)) if "\0" in found else found


def name(octets: bytes, context: Context) -> str:
    """Read text if it is printable, else hexadecimal: names that meters number in binary."""
    found = _printable(octets, context)
    return hexadecimal(octets, context) if found is None else found


def label(octets: bytes, context: Context) -> str:
    """Read a name that others refer to: text with its blanks, or `hex:01`, as it is written."""
    found = _text(octets.rstrip(b"\0"), context)
    readable = found is not None and (found or not octets) and not found.startswith("hex:")
    return found if found is not None and readable else "hex:" + hexadecimal(octets, context)


def guess(octets: bytes, context: Context) -> str | None:
    """Read octets of which only the length is known: text, a date-time, or hexadecimal."""
    found = _printable(octets, context)
    if found is not None:
        return found
    octets = _unwrapped(octets)
    if len(octets) == _DATE_TIME and _plausible(DateTime.parse(octets)):
        return date_time(octets, context)
    return hexadecimal(octets, context)


def date_time(octets: bytes, context: Context) -> str | None:
    """Read a date-time as ISO 8601, with stars where it stands for more than one instant.

    None, and a doubt, for what no clock can show and for what is wholly unspecified.
    """
    octets = _unwrapped(octets)
    if len(octets) != _DATE_TIME:
        return _other_moment(octets, context)
    moment = DateTime.parse(octets)
    if not moment.exists or (moment.date.unspecified and moment.time.unspecified):
        return context.doubt(None)
    if _DOUBTFUL.intersection(moment.flags):
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
    octets = _unwrapped(octets)
    if len(octets) != _DATE:
        return _other_moment(octets, context)
    day = Date.parse(octets)
    return str(day) if day.exists else context.doubt(None)


def time(octets: bytes, context: Context) -> str | None:
    """Read a time of day, with stars for what is unspecified."""
    octets = _unwrapped(octets)
    if len(octets) != _TIME:
        return _other_moment(octets, context)
    moment = Time.parse(octets)
    return str(moment) if moment.exists else context.doubt(None)


def obis(octets: bytes, context: Context) -> str | None:
    """Read the name of an object."""
    return str(Obis(octets)) if len(octets) == 6 else hexadecimal(octets, context)


def ip(octets: bytes, context: Context) -> str:
    """Read an IPv4 or IPv6 address, in octets or (of some meters) as text."""
    if len(octets) in (4, 16):
        return str(ipaddress.ip_address(octets))
    return name(octets, context)


def mac(octets: bytes, _context: Context) -> str:
    """Read a hardware address."""
    return octets.hex(":").upper() if octets else ""


def _other_moment(octets: bytes, context: Context) -> str | None:
    """Read what should be a date or time by its length."""
    read = {_DATE_TIME: date_time, _DATE: date, _TIME: time}.get(len(octets))
    if read is not None:
        return read(octets, context)
    return context.doubt(None) if octets else None


def _unwrapped(octets: bytes) -> bytes:
    size = _WRAPPED.get(octets[:2])
    return octets[2:] if size == len(octets) - 2 else octets


def _trimmed(octets: bytes) -> bytes:
    """Fields of fixed size are filled up with zeros or blanks."""
    return octets.rstrip(b"\0 ")


def _printable(octets: bytes, context: Context) -> str | None:
    found = _text(_trimmed(octets), context)
    # Zeros alone are a number or an empty date rather than no text.
    return found if found or not octets else None


def _text(octets: bytes, context: Context) -> str | None:
    """Return what octets say in the configured encoding, None if it cannot be printed."""
    try:
        found = octets.decode(context.options.encoding or "ascii")
    except UnicodeDecodeError:
        return None
    return found if found.isprintable() else None


def _plausible(moment: DateTime) -> bool:
    day, time_ = moment.date, moment.time
    known = day.year in _PLAUSIBLE_YEARS and day.month is not None and day.day is not None
    return known and time_.hour is not None and moment.exists
