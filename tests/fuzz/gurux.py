"""What Gurux's own parser makes of COSEM data: a judge that nobody here wrote.

Only here and in the codec of the package is gurux_dlms imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gurux_dlms.GXByteBuffer import GXByteBuffer
from gurux_dlms.GXDLMSSettings import GXDLMSSettings
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.internal._GXDataInfo import _GXDataInfo

from dlms_connector.protocol.data import Data, DataType

D = DataType
_SETTINGS = GXDLMSSettings(False, None)
_WHOLE = frozenset(
    (
        D.DOUBLE_LONG, D.DOUBLE_LONG_UNSIGNED, D.INTEGER, D.LONG, D.UNSIGNED, D.LONG_UNSIGNED,
        D.LONG64, D.LONG64_UNSIGNED,
    )
)  # fmt: skip
#: Values that Gurux turns into objects of its own, or does not know.
_NOT_COMPARED = frozenset(
    (D.DATE_TIME, D.DATE, D.TIME, D.COMPACT_ARRAY, D.DONT_CARE, D.UTF8_STRING)
)
_FLOATS = frozenset((D.FLOAT32, D.FLOAT64))


def read(octets: bytes) -> tuple[Any] | None:
    """Return Gurux's value in a tuple; None if it refuses the octets or leaves some."""
    buffer, info = GXByteBuffer(octets), _GXDataInfo()
    try:
        value = _GXCommon.getData(_SETTINGS, buffer, info)
    except Exception:  # it raises what it likes
        return None
    return (value,) if info.complete and buffer.position == len(octets) else None


def same(ours: Data, theirs: Any) -> bool:
    """Whether both read the same; what cannot be compared is the same."""
    kind, value = ours.type, ours.value
    if kind in _NOT_COMPARED:
        return True
    if kind in (D.ARRAY, D.STRUCTURE):
        if not value:
            return not theirs
        if not isinstance(theirs, Iterable):
            return False
        elements = list(theirs)
        return len(elements) == len(value) and all(map(same, value, elements))
    if kind is D.NULL:
        return theirs is None
    if kind in _WHOLE:
        return bool(int(theirs) == value)
    if kind in _FLOATS:
        return bool(math.isnan(theirs) if math.isnan(value) else float(theirs) == value)
    if kind is D.BOOLEAN:
        return bool(theirs) is value
    if kind is D.ENUM:
        return bool(int(getattr(theirs, "value", theirs)) == value)
    if kind is D.BIT_STRING:
        return bool(str(theirs) == value)
    if kind is D.OCTET_STRING:
        return bool(bytes(theirs or b"") == value)
    if kind is D.VISIBLE_STRING:
        # What is not printable is shown in hexadecimal there, and zeros at the end are left out.
        text = _text(theirs)
        return text in (value.hex(" ").upper().encode(), value) or text == value.rstrip(b"\0")
    return True


def _text(value: Any) -> bytes:
    return value.encode("latin-1", "replace") if isinstance(value, str) else bytes(value or b"")
