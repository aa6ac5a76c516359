"""COSEM objects: their classes, units, and what requests name of them (IEC 62056-6-2)."""

from dlms_connector.cosem.classes import CLASSES, CosemClass, class_id
from dlms_connector.cosem.references import AttributeRef, ByEntry, ByRange, MethodRef, Selection
from dlms_connector.cosem.units import UNITS, unit_symbol

__all__ = [
    "CLASSES",
    "UNITS",
    "AttributeRef",
    "ByEntry",
    "ByRange",
    "CosemClass",
    "MethodRef",
    "Selection",
    "class_id",
    "unit_symbol",
]
