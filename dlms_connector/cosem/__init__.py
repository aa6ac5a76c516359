"""COSEM objects: their classes, units, and what requests name of them (IEC 62056-6-2)."""

from dlms_connector.cosem.classes import CLASSES, CLOCK_CLASS, CosemClass, class_id
from dlms_connector.cosem.data_types import type_tag
from dlms_connector.cosem.names import MESSAGES, NAMES, TRANSPORTS, code_of
from dlms_connector.cosem.obis_names import (
    EVENT,
    column_name,
    free_name,
    is_event_code,
    is_profile_status,
    name_of,
    plain_name,
    profile_name,
)
from dlms_connector.cosem.references import AttributeRef, ByEntry, ByRange, MethodRef, Selection
from dlms_connector.cosem.units import UNITS, unit_symbol

__all__ = [
    "CLASSES",
    "CLOCK_CLASS",
    "EVENT",
    "MESSAGES",
    "NAMES",
    "TRANSPORTS",
    "UNITS",
    "AttributeRef",
    "ByEntry",
    "ByRange",
    "CosemClass",
    "MethodRef",
    "Selection",
    "class_id",
    "code_of",
    "column_name",
    "free_name",
    "is_event_code",
    "is_profile_status",
    "name_of",
    "plain_name",
    "profile_name",
    "type_tag",
    "unit_symbol",
]
