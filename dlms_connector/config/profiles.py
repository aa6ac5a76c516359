"""Profiles of a device: what is read of them, and the keys of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from pydantic import Field

from dlms_connector.config.base import Model
from dlms_connector.config.items import ATTRIBUTE, NO_VALUE, OBIS, SCALER, stands_for_none
from dlms_connector.config.platform_names import PlatformName
from dlms_connector.config.types import (
    LONGEST_PERIOD_MS,
    AttributeIndex,
    Duration,
    Multiplier,
    ObisCode,
    Truth,
    Whole,
)
from dlms_connector.cosem import column_name, free_name, is_event_code, profile_name
from dlms_connector.obis import Obis

EventTable = Literal["none", "idis", "dsmr", "is15959", "spodes"]
StatusTable = Literal["none", "amr", "spain"]

#: All tables of events that are shipped.
EVENT_TABLES: tuple[EventTable, ...] = tuple(
    name for name in get_args(EventTable) if name != "none"
)


class ProfileColumn(Model):
    """A captured attribute of a profile, and how its values are read and sent."""

    obis: ObisCode = Field(description=OBIS)
    attribute: AttributeIndex = Field(default=2, description=ATTRIBUTE)
    part: Whole = Field(
        default=0,
        ge=0,
        le=65535,
        description="the captured part of the attribute (its data index), if not all is captured",
    )
    key: PlatformName | None = Field(
        default=None,
        description="the key on the platform; if not set, the profile's prefix and the name of "
        "the object, such as `load_active_energy`",
    )
    scaler: Whole | None = Field(default=None, ge=-128, le=127, description=SCALER)
    unit: str | None = Field(
        default=None,
        description="unit to send; the value is converted from the meter's unit (`Wh` to `kWh`)",
    )
    no_value: tuple[Whole, ...] = Field(default=(), description=NO_VALUE)
    multiplier: Multiplier | None = Field(
        default=None, description="factor for the value, such as a transformer ratio"
    )
    decimals: Whole | None = Field(
        default=None, ge=0, le=15, description="number of decimals to round to"
    )
    ignore: Truth = Field(default=False, description="do not send the values of this column")

    def has_no_value(self, raw: object) -> bool:
        """Whether a raw value means that there is no reading."""
        return stands_for_none(raw, self.no_value)


class Profile(Model):
    """A load profile, billing profile or event log to read regularly."""

    obis: ObisCode = Field(description=OBIS)
    key: PlatformName | None = Field(
        default=None,
        description="prefix for the keys of its columns; if not set, the usual name of the "
        "profile: `load` for `1-0:99.1.0`, `billing`, `event` …",
    )
    capture_period_s: Whole | None = Field(
        default=None,
        ge=0,
        le=366 * 86_400,
        alias="capturePeriod",
        description="seconds between two rows, where the meter does not tell or tells it wrongly; "
        "rows without a time get theirs from it",
    )
    columns: tuple[ProfileColumn, ...] = Field(
        default=(), description="columns with settings of their own; the others need no entry"
    )
    scaler_profile: ObisCode | None = Field(
        default=None,
        description="a profile whose only row holds scalers and units of this one's columns "
        "(IS 15959, SPODES); if not set, the usual one of `dlms.standard` is read where a column "
        "refuses its own",
    )
    events: EventTable | None = Field(
        default=None,
        description="table with the names of event codes, see history.md; if not set, the one of "
        "`dlms.standard`",
    )
    status: StatusTable | None = Field(
        default=None,
        description="meaning of the bits of a status column: `amr` (IDIS, DSMR), `spain`, or "
        "`none`; if not set, the one of `dlms.standard`",
    )
    backfill: Duration | None = Field(
        default=None,
        description="how far back the first reading goes, as ISO 8601 duration such as `P7D`",
    )
    poll_period_ms: Whole | None = Field(
        default=None,
        ge=1000,
        le=LONGEST_PERIOD_MS,
        alias="pollPeriod",
        description="how often to look for new rows, in ms",
    )

    def column(self, obis: Obis, attribute: int, part: int = 0) -> ProfileColumn | None:
        """Return the settings of a captured attribute; None if it has none."""
        wanted = (obis, attribute, part)
        return next(
            (one for one in self.columns if (one.obis, one.attribute, one.part) == wanted), None
        )


def prefixes(profiles: Iterable[Profile]) -> Mapping[Obis, str]:
    """Return the prefix of the keys of each profile of a device, by its OBIS code.

    Profiles without a `key` of the same usual name are told apart by channel or OBIS code.
    """
    known = tuple(profiles)
    found = {one.obis: one.key for one in known if one.key is not None}
    for one in known:
        if one.key is None:
            found[one.obis] = free_name(profile_name(one.obis), one.obis, set(found.values()))
    return found


def automatic_key(prefix: str, obis: Obis, attribute: int = 2, part: int = 0) -> str:
    """Return the key of a column without a `key`: the code of an event has the prefix alone."""
    if is_event_code(obis) and attribute == 2 and not part:
        return prefix
    return f"{prefix}_{column_name(obis, attribute, part)}"
