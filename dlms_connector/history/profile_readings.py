"""Turns the rows of a profile into readings: keys, quality, events, one instant for each row.

docs/history.md tells users how keys are made. A row is sent at the instant at which the meter
captured it. Of several rows at one instant, the later ones are sent 1 ms later each, so that none
overwrites another one on the platform; reading the slice again gives the same instants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from dlms_connector.config import (
    Device,
    EventTable,
    Profile,
    StatusTable,
    acceptable,
    automatic_key,
    prefixes,
)
from dlms_connector.cosem import free_name, is_event_code, is_profile_status
from dlms_connector.history.event_names import event_name, table_of
from dlms_connector.history.pace import Pace
from dlms_connector.history.profile_status import Flag, flags_of, status_table_of
from dlms_connector.history.profiles import PROFILE_GENERIC, Column, Layout, Row
from dlms_connector.obis import Obis
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Reading, Value

Quality = Literal["good", "suspect"]

#: The key of numbers whose scaler is not known.
_RAW = "_raw"
_QUALITY = "_quality"
#: The end of the key with the name of an event, beside that with its code.
NAME_SUFFIX = "_name"
#: What is told of a row whose flags are all clear.
_GOOD = "good"
#: Flags of the row's clock, as they are called in the quality of a row.
_CLOCK_FLAGS = {
    "invalidValue": Flag("clockInvalid"),
    "doubtfulValue": Flag("clockDoubtful"),
    "invalidClockStatus": Flag("clockInvalid"),
}
_UNREADABLE = Flag("unreadableValue")


@dataclass(frozen=True, slots=True)
class ProfileRead:
    """The rows of a slice, as readings.

    `rows_ms` are the instants at which the rows are sent, ascending, no two equal; `readings` and
    `times`, as the meter wrote them in its zone, are in that order. `without_time` counts rows
    that are not sent because the meter gave no instant for them, `suspect` those whose quality is
    not good. `remarks` are sentences to tell once.
    """

    period_s: int
    rows_ms: tuple[int, ...] = ()
    readings: tuple[Reading, ...] = ()
    without_time: int = 0
    suspect: int = 0
    remarks: tuple[str, ...] = ()
    times: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sent:
    """A column whose values are sent: its name in rows, its key, and the tables of its codes."""

    name: str
    key: str
    column: Column
    events: EventTable = "none"
    status: StatusTable | None = None

    def reading(self, value: Value, unit: str | None, ts_ms: int, quality: Quality) -> Reading:
        ref = self.column.ref
        return Reading(
            key=self.key,
            kind="timeseries",
            obis=ref.obis,
            class_id=PROFILE_GENERIC,
            attribute=ref.attribute,
            value=value,
            unit=unit,
            ts_ms=ts_ms,
            quality=quality,
        )


class _Sending:
    """What is sent of the rows of a profile with a certain layout."""

    def __init__(self, shape: Layout, device: Device, profile: Profile) -> None:
        others = [one for one in device.profiles if one.obis != profile.obis]
        # In the order of the configuration: of two equal names the later one is changed.
        known = device.profiles if profile in device.profiles else (*others, profile)
        self._prefix = prefixes(known)[profile.obis]
        self._profile = profile
        self._standard = device.dlms.standard
        self.columns = tuple(self._columns(shape))
        self.remarks = tuple(self._raw_columns())

    def _columns(self, shape: Layout) -> Iterator[_Sent]:
        taken = {one.key for one in self._profile.columns if one.key is not None}
        for index, (name, column) in enumerate(zip(shape.names, shape.columns, strict=True)):
            stated = column.stated
            if index == shape.clock_column or (stated is not None and stated.ignore):
                continue
            key = self._key(column, name, taken)
            taken.add(key)
            obis = column.ref.obis
            is_value = column.ref.attribute == 2 and not column.part
            events = table_of(self._profile, self._standard)
            yield _Sent(
                name,
                key,
                column,
                events if is_value and is_event_code(obis) else "none",
                status_table_of(self._profile, self._standard)
                if is_value and is_profile_status(obis)
                else None,
            )

    def _key(self, column: Column, name: str, taken: set[str]) -> str:
        ref, stated = column.ref, column.stated
        if stated is not None and stated.key is not None:
            key = stated.key
            if "#" in name:  # the same attribute is captured again
                key = free_name(key, ref.obis, taken)
        else:
            key = automatic_key(self._prefix, ref.obis, ref.attribute, column.part)
            key = free_name(key, ref.obis, taken)
        return acceptable(key if column.scaled else key + _RAW)

    def _raw_columns(self) -> Iterator[str]:
        for one in self.columns:
            if not one.column.scaled:
                yield (
                    f"{self._profile.obis}: the meter does not give the scaler of "
                    f"{one.column.ref.obis}, so its raw numbers are sent as {one.key}; set "
                    "`scaler` of the column if you know it"
                )

    def readings(self, row: Row, ts_ms: int) -> list[Reading]:
        """Return the readings of a row; null cells are none."""
        flags, told = self._flags(row)
        doubtful = any(flag.doubtful for flag in flags)
        made: list[Reading] = []
        for one in self.columns:
            value = row.values.get(one.name)
            if value is None:
                continue
            quality: Quality = "suspect" if doubtful or one.name in row.suspect else "good"
            made.append(one.reading(value, row.units.get(one.name), ts_ms, quality))
            if (text := self._event(one, value)) is not None:
                named = replace(one, key=acceptable(one.key + NAME_SUFFIX))
                made.append(named.reading(text, None, ts_ms, quality))
        if made and (told or flags):
            text = ", ".join(dict.fromkeys(flag.name for flag in flags)) or _GOOD
            made.append(
                replace(
                    made[0],
                    key=acceptable(self._prefix + _QUALITY),
                    obis=self._profile.obis,
                    attribute=2,
                    value=text,
                    unit=None,
                    quality="suspect" if doubtful else "good",
                )
            )
        return made

    def _event(self, one: _Sent, value: Value) -> str | None:
        is_code = isinstance(value, int) and not isinstance(value, bool)
        if one.events == "none" or not is_code or not isinstance(value, int):
            return None
        return event_name(one.events, one.column.ref.obis, value)

    def _flags(self, row: Row) -> tuple[tuple[Flag, ...], bool]:
        """Return what casts doubt on a row, and whether the meter tells of it in each row."""
        flags: list[Flag] = [_CLOCK_FLAGS[flag] for flag in row.clock if flag in _CLOCK_FLAGS]
        told = False
        for one in self.columns:
            if one.status is not None:
                found = flags_of(row.values.get(one.name), one.status)
                told = told or found is not None
                flags.extend(found or ())
        if row.suspect:
            flags.append(_UNREADABLE)
        return tuple(flags), told


def readings_of(
    rows: Sequence[Row], shape: Layout, device: Device, profile: Profile
) -> Talk[ProfileRead]:
    """Return rows, oldest first, as readings; the loop serves others meanwhile."""
    sending = _Sending(shape, device, profile)
    pace = Pace()
    rows_ms: list[int] = []
    readings: list[Reading] = []
    suspect = 0
    # Rows without a time keep others from being in order already.
    timed = sorted((row for row in rows if row.at is not None), key=instant_ms)
    without_time = len(rows) - len(timed)
    for row in timed:
        ts_ms = instant_ms(row)
        if rows_ms and ts_ms <= rows_ms[-1]:
            ts_ms = rows_ms[-1] + 1
        rows_ms.append(ts_ms)
        made = sending.readings(row, ts_ms)
        suspect += any(one.quality != "good" for one in made)
        readings.extend(made)
        if pace.is_due(len(row.values) + 1):
            yield Breath()
    remarks = sending.remarks
    if without_time:
        remarks += (_without_time(profile.obis),)
    return ProfileRead(
        shape.period_s,
        tuple(rows_ms),
        tuple(readings),
        without_time,
        suspect,
        remarks,
        tuple(row.at for row in timed if row.at is not None),
    )


def instant_ms(row: Row) -> int:
    """Return the Unix time in ms of a row that has a time."""
    if row.at is None:
        raise ValueError("the row has no time")
    return round(row.at.timestamp() * 1000)


def _without_time(obis: Obis) -> str:
    return (
        f"{obis}: rows without a time are not sent: the meter leaves it out, and there is no "
        "capture period to count from; set `capturePeriod` of the profile if you know it"
    )
