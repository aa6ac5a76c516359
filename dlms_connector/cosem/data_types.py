"""Names of the COSEM data types (IEC 62056-6-2, common data types) and their tags."""

from __future__ import annotations

from dlms_connector.cosem.spelling import plain

_NAMES = {
    "null-data": 0,
    "array": 1,
    "structure": 2,
    "boolean": 3,
    "bit-string": 4,
    "double-long": 5,
    "double-long-unsigned": 6,
    "octet-string": 9,
    "visible-string": 10,
    "utf8-string": 12,
    "bcd": 13,
    "integer": 15,
    "long": 16,
    "unsigned": 17,
    "long-unsigned": 18,
    "compact-array": 19,
    "long64": 20,
    "long64-unsigned": 21,
    "enum": 22,
    "float32": 23,
    "float64": 24,
    "date-time": 25,
    "date": 26,
    "time": 27,
    "delta-integer": 28,
    "delta-long": 29,
    "delta-double-long": 30,
    "delta-unsigned": 31,
    "delta-long-unsigned": 32,
    "delta-double-long-unsigned": 33,
    "dont-care": 255,
}

#: Other names people use.
_ALIASES = {
    "null": 0,
    "bool": 3,
    "int8": 15,
    "int16": 16,
    "int32": 5,
    "int64": 20,
    "uint8": 17,
    "uint16": 18,
    "uint32": 6,
    "uint64": 21,
    "string": 10,
    "utf8": 12,
    "octets": 9,
    "hex": 9,
    "float": 23,
    "double": 24,
    "bits": 4,
}


_TAGS = {plain(name): tag for name, tag in (_NAMES | _ALIASES).items()}


def type_tag(name: str) -> int:
    """Return the tag of a type by name: `long-unsigned`, `doubleLong` or `uint16`.

    Raises ValueError with a sentence for the user.
    """
    try:
        return _TAGS[plain(name)]
    except KeyError:
        raise ValueError(
            f"{name!r} is not a COSEM type such as long-unsigned, enum or octet-string"
        ) from None
