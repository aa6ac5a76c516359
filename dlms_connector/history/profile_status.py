"""What the status of a profile's row says: which of its bits cast doubt on the values.

The AMR profile status of IDIS and DSMR has eight bits; meters in Spain have other ones in the same
object 0-b:96.10.e. Of a status that is no number of eight bits only the number is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlms_connector.config import Profile, Standard, StatusTable

_BITS = 8


@dataclass(frozen=True, slots=True)
class Flag:
    """A bit of a status: its name, and whether it casts doubt on the values of the row."""

    name: str
    doubtful: bool = True


#: By bit. Daylight saving (bit 3 of the AMR status) says nothing of the quality.
STATUS_BITS: Mapping[StatusTable, Mapping[int, Flag]] = {
    "none": {},
    # Source: Open Smart Grid Platform, flags of the AMR profile status code (DSMR P3); IDIS has
    # the same.
    "amr": {
        0: Flag("criticalError"),
        1: Flag("clockInvalid"),
        2: Flag("dataNotValid"),
        5: Flag("clockAdjusted"),
        7: Flag("powerDown"),
    },
    # Source: public firmware of a meter after the Spanish companion, which names the bits
    # IV, CA, CY, VH, MP, INT, AL and RES from the highest one.
    "spain": {
        1: Flag("powerDown"),
        2: Flag("intrusion", doubtful=False),
        3: Flag("parametersChanged", doubtful=False),
        4: Flag("clockVerified", doubtful=False),
        5: Flag("overflow"),
        6: Flag("clockAdjusted"),
        7: Flag("dataNotValid"),
    },
}

#: The table of each standard; the others have none.
_TABLES: Mapping[Standard, StatusTable] = {"DLMS": "amr", "IDIS": "amr", "SPAIN": "spain"}


def status_table_of(profile: Profile, standard: Standard) -> StatusTable:
    """Return the table of a profile's status: the configured one, else that of the standard."""
    return profile.status if profile.status is not None else _TABLES.get(standard, "none")


def flags_of(status: object, table: StatusTable) -> tuple[Flag, ...] | None:
    """Return the flags of a status from the highest bit; None if its bits are not known."""
    bits = STATUS_BITS[table]
    number = _number(status)
    if not bits or number is None:
        return None
    return tuple(bits[bit] for bit in sorted(bits, reverse=True) if number >> bit & 1)


def _number(status: object) -> int | None:
    """Return a status of eight bits; a bit string does not tell which of its ends is bit 0."""
    if not isinstance(status, int) or isinstance(status, bool):
        return None
    return status if 0 <= status < 1 << _BITS else None
