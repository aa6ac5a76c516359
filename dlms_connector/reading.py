"""The result of a poll: exact values with their unit and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
