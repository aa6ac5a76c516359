"""Selective access to the buffer of a Profile Generic (IEC 62056-6-2, Profile generic)."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from dlms_connector.cosem import AttributeRef, ByEntry, ByRange, Selection
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, array, encode, encode_date_time, structure

BY_RANGE, BY_ENTRY = 1, 2

#: The column that a range restricts by default.
CLOCK = AttributeRef(8, Obis(bytes((0, 0, 1, 0, 0, 255))), 2)


class Selector:
    """Encodes selections in the form that one meter wants."""

    def __init__(self, *, from_utc: bool, skip: Set[str]) -> None:
        self._from_utc = from_utc
        self._skip = skip

    def encode(self, selection: Selection) -> bytes:
        """Return the access selector and its encoded parameters."""
        choice, parameters = self.parameters(selection)
        return bytes((choice,)) + encode(parameters)

    def parameters(self, selection: Selection) -> tuple[int, Data]:
        """Return the access selector and its parameters."""
        if isinstance(selection, ByEntry):
            return BY_ENTRY, _entries(selection)
        return BY_RANGE, structure(
            _capture_object(selection.clock or CLOCK),
            self._instant(selection.start, selection),
            self._instant(selection.end, selection),
            array(*map(_capture_object, selection.columns)),
        )

    def _instant(self, moment: datetime | int, selection: ByRange) -> Data:
        if isinstance(moment, int):
            return Data(DataType.DOUBLE_LONG_UNSIGNED, moment)
        skip = self._skip if selection.skip is None else selection.skip
        octets = encode_date_time(moment, from_utc=self._from_utc, skip=skip)
        return Data(DataType.OCTET_STRING, octets)


def _entries(selection: ByEntry) -> Data:
    return structure(
        Data(DataType.DOUBLE_LONG_UNSIGNED, selection.first),
        Data(DataType.DOUBLE_LONG_UNSIGNED, selection.last),
        Data(DataType.LONG_UNSIGNED, selection.first_column),
        Data(DataType.LONG_UNSIGNED, selection.last_column),
    )


def _capture_object(ref: AttributeRef) -> Data:
    return structure(
        Data(DataType.LONG_UNSIGNED, ref.class_id),
        Data(DataType.OCTET_STRING, ref.obis.octets),
        Data(DataType.INTEGER, ref.attribute),
        Data(DataType.LONG_UNSIGNED, 0),
    )
