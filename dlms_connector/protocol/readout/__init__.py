"""The readout of meters that speak no DLMS: a block of ASCII text (IEC 62056-21 modes A to E)."""

from dlms_connector.protocol.readout.data_set import DataSet, data_sets, find
from dlms_connector.protocol.readout.reading_out import read_out

__all__ = ["DataSet", "data_sets", "find", "read_out"]
