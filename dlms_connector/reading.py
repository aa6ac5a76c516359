"""The result of a poll: exact values with their unit and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal, Union

from dlms_connector.errors import DlmsError
from dlms_connector.obis import Obis

#: A value that was read from a meter: exact, and ready for JSON once decimals are
#: written out. Structures are mappings with readable keys.
Value = Union[  # noqa: UP007 (a recursive alias cannot be written with `|` in Python 3.10)
    None, bool, int, Decimal, str, Sequence["Value"], Mapping[str, "Value"]
]

#: Where a reading goes on the platform: time series or client attributes.
Kind = Literal["timeseries", "attributes"]

#: Limits of one value in bytes of JSON. The gateway's payload size is 8196 until the platform
#: sets another one.
LARGEST_VALUE: Mapping[Kind, int] = {"timeseries": 16 * 1024, "attributes": 6 * 1024}
#: Limit of the answer to a call: the gateway hangs for ever on a message of 64 KiB.
LARGEST_ANSWER = 48 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One attribute of one COSEM object, read at one instant.

    `value` is scaled by the meter's own scaler (or the configured one), exactly.
    `unit` is the symbol of the meter's unit such as `Wh`, or None where it has none.
    `ts_ms` is the Unix time in ms at which the reply arrived. For the rows of
    a profile it is the time at which the meter captured the row.
    """

    key: str
    kind: Kind
    obis: Obis
    class_id: int
    attribute: int
    value: Value
    unit: str | None
    ts_ms: int
    quality: Literal["good", "suspect"] = "good"


(
    _set_key, _set_kind, _set_obis, _set_class_id, _set_attribute,
    _set_value, _set_unit, _set_ts_ms, _set_quality,
) = (getattr(Reading, field.name).__set__ for field in fields(Reading))  # fmt: skip


class ReadingOf:
    """Makes the readings of one attribute of a meter, which is most of what a process makes.

    The constructor of a frozen dataclass takes two or three times as long.
    """

    __slots__ = ("_attribute", "_class_id", "_key", "_kind", "_obis")

    def __init__(self, *, key: str, kind: Kind, obis: Obis, class_id: int, attribute: int) -> None:
        self._key, self._kind, self._obis = key, kind, obis
        self._class_id, self._attribute = class_id, attribute

    def __call__(
        self, value: Value, unit: str | None, ts_ms: int, quality: Literal["good", "suspect"]
    ) -> Reading:
        """Return what `Reading` with these fields is."""
        reading = object.__new__(Reading)
        _set_key(reading, self._key)
        _set_kind(reading, self._kind)
        _set_obis(reading, self._obis)
        _set_class_id(reading, self._class_id)
        _set_attribute(reading, self._attribute)
        _set_value(reading, value)
        _set_unit(reading, unit)
        _set_ts_ms(reading, ts_ms)
        _set_quality(reading, quality)
        return reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An item that a poll could not read, and why; the others were read."""

    key: str
    kind: Kind
    obis: Obis
    error: DlmsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """The outcome of one poll of one meter."""

    readings: tuple[Reading, ...]
    failures: tuple[Failure, ...] = ()
