"""COSEM objects as data: all meters of a profile share them, so one meter is small."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import Data
from dlms_connector.simulator.objects.view import MeterView

#: Data-Access-Result (IEC 62056-5-3).
SUCCESS, TEMPORARY_FAILURE, DENIED, UNDEFINED = 0, 2, 3, 4
CLASS_INCONSISTENT, UNAVAILABLE, TYPE_UNMATCHED, SCOPE_VIOLATED = 9, 11, 12, 13
NO_LONG_GET, NO_LONG_SET, BLOCK_NUMBER_INVALID, OTHER_REASON = 16, 18, 19, 250
#: Action-Result, where it differs: it has no code for a wrong number of a block.
LONG_ACTION_ABORTED, NO_LONG_ACTION = 15, 16


class AccessError(Exception):
    """The meter refuses an access to an object; `code` is a Data-Access-Result."""

    def __init__(self, code: int) -> None:
        super().__init__(f"data-access-result {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Table:
    """The buffer of a profile; its rows are made when they are read.

    `times` returns the times of the rows in order. `row` makes the row of one time.
    """

    columns: Sequence[tuple[int, bytes, int, int]]
    times: Callable[[MeterView], Sequence[float]]
    row: Callable[[MeterView, float], tuple[Data, ...]]


Source = Data | Callable[[MeterView], Data]
Method = Callable[["MeterView", Data], Data]
Writer = Callable[["MeterView", Data], None]


@dataclass(frozen=True, slots=True)
class CosemObject:
    """A COSEM object; `attributes` begins at 2, because attribute 1 is the logical name."""

    class_id: int
    name: bytes
    attributes: Mapping[int, Source]
    version: int = 0
    writable: Mapping[int, Writer | None] = field(default_factory=dict)
    methods: Mapping[int, Method] = field(default_factory=dict)
    table: Table | None = None
    public: bool = False


Objects = Mapping[tuple[int, bytes], CosemObject]


def logical_name(text: str) -> bytes:
    """Return the six octets of an OBIS code."""
    return Obis.parse(text).octets
