"""Names of meters, from the values that they give of themselves."""

from __future__ import annotations

import re
from ipaddress import ip_address

#: Octets of a logical device name that is made like a system title: letters and a number.
_TITLE_SIZES = (8, 16)
#: Addresses with ports or of networks cards, dates, times and OBIS codes.
_NO_NAME = re.compile(
    r"\d{1,3}(\.\d{1,3}){3}([:/]\d+)?"
    r"|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}"
    r"|\d{4}-\d\d-\d\d([T ].*)?|[\d*]{1,2}:[\d*]{1,2}(:.*)?"
    r"|\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}(\*\d{1,3})?"
)


def own_name(value: object, octets: bytes | None = None) -> str | None:
    """Return the value as a name or number of a meter; None if it is none.

    `octets` are those of an octet string. Addresses, dates, fillings such as zeros, and octets
    that are not text are no names; but a manufacturer's letters before a binary number are.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value > 0 else None
    if not isinstance(value, str):
        return None
    if octets is not None and _trimmed(octets) != value.strip().encode("utf-8", "replace"):
        maker = octets[:3]
        titled = len(octets) in _TITLE_SIZES and maker.isalpha() and maker.isupper()
        return maker.decode("ascii") + octets[3:].hex().upper() if titled else None
    text = value.strip()
    return text if _is_name(text) else None


def _trimmed(octets: bytes) -> bytes:
    return octets.strip(b"\0 ")


def _is_name(text: str) -> bool:
    """Whether a text names a meter: no address, no date, no OBIS code, not one sign repeated."""
    letters = [sign for sign in text if sign.isalnum()]
    if not letters or (len(letters) > 1 and len(set(letters)) == 1 and letters[0] in "0Ff"):
        return False
    if letters == ["0"] or _NO_NAME.fullmatch(text):
        return False
    try:
        ip_address(text)
    except ValueError:
        return True
    return text.isalnum()
