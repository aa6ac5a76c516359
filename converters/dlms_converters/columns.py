"""Which configured column of a profile a reading is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dlms_connector.config import Profile, ProfileColumn, automatic_key
from dlms_connector.obis import Obis
from dlms_connector.reading import Reading


def column_of(
    reading: Reading, profiles: Iterable[Profile], begins: Mapping[Obis, str]
) -> ProfileColumn | None:
    """Return the settings of the captured attribute that a reading is of, if it has any.

    `begins` are the prefixes of the profiles' keys. Keys that are not configured may have an
    addition, which tells equal ones apart.
    """
    keys = {
        one.key or automatic_key(begins[profile.obis], one.obis, one.attribute, one.part): one
        for profile in profiles
        for one in profile.columns
        if (one.obis, one.attribute) == (reading.obis, reading.attribute)
    }
    fitting = [key for key in keys if reading.key.startswith(key)]
    return keys[max(fitting, key=len)] if fitting else None
