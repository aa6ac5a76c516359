"""How values are encoded: COSEM data in A-XDR, dates and times, and BER.

The parsers are strict and bounded: a `Budget` is what one reply may hold. `Data` is a value with
its type; `decode_whole` and `encode` are A-XDR, `decode_in_slices` is for long values. `ber` and
`cursor` are for APDUs.
"""

from dlms_connector.protocol.data import ber
from dlms_connector.protocol.data.axdr import decode_whole, encode
from dlms_connector.protocol.data.budget import MAX_OCTETS, Budget
from dlms_connector.protocol.data.cosem_time import (
    CLOCK_STATUS,
    DAYLIGHT_SAVING_BEGIN,
    DAYLIGHT_SAVING_END,
    LAST_DAY,
    SECOND_LAST_DAY,
    UNSPECIFIED,
    Date,
    DateTime,
    Time,
    encode_date_time,
)
from dlms_connector.protocol.data.cursor import Cursor
from dlms_connector.protocol.data.data import DELTAS, Data, DataType, array, structure
from dlms_connector.protocol.data.date_time_forms import date_time_of, unwrapped
from dlms_connector.protocol.data.floats import shortest
from dlms_connector.protocol.data.lengths import encode_length
from dlms_connector.protocol.data.slices import SLICE, decode_entries, decode_in_slices

__all__ = [
    "CLOCK_STATUS",
    "DAYLIGHT_SAVING_BEGIN",
    "DAYLIGHT_SAVING_END",
    "DELTAS",
    "LAST_DAY",
    "MAX_OCTETS",
    "SECOND_LAST_DAY",
    "SLICE",
    "UNSPECIFIED",
    "Budget",
    "Cursor",
    "Data",
    "DataType",
    "Date",
    "DateTime",
    "Time",
    "array",
    "ber",
    "date_time_of",
    "decode_entries",
    "decode_in_slices",
    "decode_whole",
    "encode",
    "encode_date_time",
    "encode_length",
    "shortest",
    "structure",
    "unwrapped",
]
