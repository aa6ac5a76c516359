"""Compose single values, arrays and structures by their types.

Nothing is rounded or cut: a value that does not fit is refused with a sentence.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from dlms_connector.cosem import type_tag
from dlms_connector.errors import CommandError
from dlms_connector.protocol.data import Data, DataType, shortest

#: Minimum and maximum of the integer types (IEC 62056-6-2, common data types).
INTEGERS = {
    DataType.INTEGER: (-(1 << 7), (1 << 7) - 1),
    DataType.LONG: (-(1 << 15), (1 << 15) - 1),
    DataType.DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    DataType.LONG64: (-(1 << 63), (1 << 63) - 1),
    DataType.UNSIGNED: (0, (1 << 8) - 1),
    DataType.LONG_UNSIGNED: (0, (1 << 16) - 1),
    DataType.DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
    DataType.LONG64_UNSIGNED: (0, (1 << 64) - 1),
    DataType.ENUM: (0, 255),
    DataType.BCD: (0, 99),
}

#: Maximum digits of a number, and maximum zeros before or after them: 64-bit floats have 308,
#: scalers add 128. Within these limits nothing is rounded.
_MOST_DIGITS, _MOST_ZEROS = 150, 500
_EXACTLY = Context(prec=_MOST_DIGITS)

_HEXADECIMAL = re.compile(r"(?:[0-9A-Fa-f]{2}\s*)+")


def data_type(name: str) -> DataType:
    """Read the name of a type: `long-unsigned`, `doubleLong` or `uint16`; raises CommandError."""
    try:
        return DataType(type_tag(name))
    except ValueError as error:
        raise CommandError(str(error)) from None


def typed(value: Any) -> bool:
    """Return whether a value has an explicit type: `{"type": "enum", "value": 1}`."""
    return isinstance(value, Mapping) and set(value) == {"type", "value"}


def compose_value(
    name: str, type_: DataType, value: Any, known: Data | None = None, scaler: int = 0
) -> Data:
    """Turn a JSON value into data of a type.

    `known` is the data it replaces, which gives the types of elements. `scaler` applies to all
    numbers in the value. Raises CommandError if the value does not fit.
    """
    if typed(value):
        type_, value, known = data_type(str(value["type"])), value["value"], None
        scaler = 0  # a value with an explicit type is not scaled
    if type_ in INTEGERS:
        scaled = 0 if type_ is DataType.ENUM else scaler
        return Data(type_, _integer(name, type_, value, scaled))
    if type_ in (DataType.ARRAY, DataType.STRUCTURE):
        return Data(type_, _elements(name, type_, value, known, scaler))
    if type_ is DataType.OCTET_STRING and known is not None and known.value is not None:
        return Data(type_, _octets_like(name, value, known.value))
    if make := _SIMPLE.get(type_):
        return Data(type_, make(name, value))
    if type_ in (DataType.FLOAT32, DataType.FLOAT64):
        return Data(type_, _float(name, type_, value, scaler))
    raise CommandError(f"{name}: values of type {type_.name} cannot be written")


def _number(name: str, value: Any) -> Decimal:
    """Return the exact decimal of a JSON number, or of a number in text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise CommandError(f"{name}: {value!r} is not a number")
    try:
        # Python would also accept 1_000; here it is an error.
        number = Decimal(str(value).replace("_", "?"))
    except InvalidOperation:
        raise CommandError(f"{name}: {value!r} is not a number") from None
    if not number.is_finite():
        raise CommandError(f"{name}: {value!r} is not a number")
    if len(number.as_tuple().digits) > _MOST_DIGITS or abs(number.adjusted()) > _MOST_ZEROS:
        raise CommandError(f"{name}: {str(value)[:60]} is more than any type holds")
    return number


def _integer(name: str, type_: DataType, value: Any, scaler: int) -> int:
    number = _number(name, value)
    least, most = INTEGERS[type_]
    # Checked before scaling: 1e999999 must not become a number of a million digits.
    if number and not -40 < number.adjusted() - scaler < 40:
        raise CommandError(f"{name}: {value} does not fit {type_.name} at scaler {scaler}")
    raw = number.scaleb(-scaler, _EXACTLY)
    if raw != raw.to_integral_value():
        raise CommandError(
            f"{name}: {value} cannot be written exactly: the meter counts in steps of "
            f"{Decimal(1).scaleb(scaler):f}"
        )
    if not least <= raw <= most:
        low, high = (Decimal(limit).scaleb(scaler) for limit in (least, most))
        raise CommandError(f"{name}: {value} is not in {low:f}..{high:f} ({type_.name})")
    return int(raw)


def _float(name: str, type_: DataType, value: Any, scaler: int) -> float:
    number = _number(name, value).scaleb(-scaler, _EXACTLY)
    if type_ is DataType.FLOAT64:
        found = float(number)
        stands_for = {shortest(found, single=False)}
    else:
        try:
            (found,) = struct.unpack(">f", struct.pack(">f", float(number)))
        except OverflowError:
            raise CommandError(f"{name}: {value} does not fit a 32-bit float") from None
        # A 32-bit float represents every decimal of up to 6 significant digits, and the decimal
        # that is shown when it is read.
        stands_for = {Decimal(f"{found:.6g}"), Decimal(found), shortest(found, single=True)}
    if number not in stands_for:
        raise CommandError(f"{name}: {value} cannot be written exactly as {type_.name}")
    return found  # as the meter reports it, so that the present value is not written again


def _boolean(name: str, value: Any) -> bool:
    words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    if isinstance(value, bool):
        return value
    if (word := str(value).casefold()) in words:
        return words[word]
    raise CommandError(f"{name}: {value!r} is neither true nor false")


def _text(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise CommandError(f"{name}: {value!r} is not text")
    return value.encode()


def _octets(name: str, value: Any) -> bytes:
    """Take octets in hexadecimal; text is written as `text:…`."""
    if isinstance(value, str):
        if value.startswith("text:"):
            return value[5:].encode()
        try:
            return bytes.fromhex(value.removeprefix("hex:"))
        except ValueError:
            pass
    raise CommandError(f"{name}: {value!r} is neither hexadecimal nor `text:…`")


def _octets_like(name: str, value: Any, known: bytes) -> bytes:
    """Take octets that replace others: as text if those are text, else in hexadecimal.

    A value that could be both is refused: `12345678` is eight digits or four octets.
    """
    if not _is_printable(known) or not isinstance(value, str):
        return _octets(name, value)
    if value.startswith(("hex:", "text:")):
        return _octets(name, value)
    if _HEXADECIMAL.fullmatch(value):
        raise CommandError(
            f"{name}: {value!r} can be text or hexadecimal; write it as `text:{value}` or "
            f"`hex:{value}`"
        )
    return value.encode()


def is_text(known: Data | None) -> bool:
    """Return whether the data of an attribute is an octet string that holds text."""
    if known is None or known.type is not DataType.OCTET_STRING or known.value is None:
        return False
    return _is_printable(known.value)


def _is_printable(octets: bytes) -> bool:
    text = octets.rstrip(b"\0 ")
    return bool(text) and text.isascii() and text.decode().isprintable()


def _bits(name: str, value: Any) -> str:
    if isinstance(value, str) and set(value) <= {"0", "1"}:
        return value
    raise CommandError(f"{name}: {value!r} is not a string of 0 and 1")


def _null(name: str, value: Any) -> None:
    if value is not None:
        raise CommandError(f"{name}: only null can be written here, not {value!r}")


_SIMPLE: Mapping[DataType, Callable[[str, Any], Any]] = {
    DataType.NULL: _null,
    DataType.BOOLEAN: _boolean,
    DataType.VISIBLE_STRING: _text,
    DataType.UTF8_STRING: _text,
    DataType.OCTET_STRING: _octets,
    DataType.DATE_TIME: _octets,
    DataType.DATE: _octets,
    DataType.TIME: _octets,
    DataType.BIT_STRING: _bits,
}


def _elements(
    name: str, type_: DataType, value: Any, known: Data | None, scaler: int
) -> tuple[Data, ...]:
    """Compose the elements of an array or structure by the types of the elements they replace."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise CommandError(f"{name}: {value!r} is not a list, which {type_.name} needs")
    models: tuple[Data, ...] = known.value if known is not None else ()
    if type_ is DataType.STRUCTURE and models and len(models) != len(value):
        raise CommandError(f"{name}: the structure has {len(models)} elements, not {len(value)}")
    elements = []
    for index, element in enumerate(value):
        # All elements of an array have one type, so the first one is the model of all.
        model = models[index if type_ is DataType.STRUCTURE else 0] if models else None
        part = f"{name}[{index}]"
        if typed(element):
            elements.append(compose_value(part, DataType.NULL, element))
        elif model is None:
            raise CommandError(
                f"{part}: the type of this element is not known; give it as "
                '`{"type": …, "value": …}`'
            )
        else:
            elements.append(compose_value(part, model.type, element, model, scaler))
    return tuple(elements)


def fitted(data: Data, known: Data) -> Data:
    """Return data in the types of the data it replaces, if they can hold the same value.

    Some meters deviate from the types of the standard, and accept only their own types.
    """
    if data.type is known.type or known.value is None:
        return _with_parts_fitted(data, known)
    if known.type in INTEGERS and data.type in INTEGERS:
        least, most = INTEGERS[known.type]
        return Data(known.type, data.value) if least <= data.value <= most else data
    if known.type in _OCTETS and data.type in _OCTETS:
        sized = _SIZES.get(known.type, len(data.value))
        return Data(known.type, data.value) if sized == len(data.value) else data
    if known.type is DataType.OCTET_STRING and data.type is DataType.DOUBLE_LONG_UNSIGNED:
        return Data(known.type, data.value.to_bytes(4, "big"))
    return data


def _with_parts_fitted(data: Data, known: Data) -> Data:
    if data.type is DataType.ARRAY and known.value:
        # All elements of an array have one type, so the first one is the model of all.
        models = (known.value[0],) * len(data.value)
    elif data.type is DataType.STRUCTURE and len(known.value) == len(data.value):
        models = known.value
    else:
        return data
    return Data(data.type, tuple(map(fitted, data.value, models)))


_SIZES = {DataType.DATE_TIME: 12, DataType.DATE: 5, DataType.TIME: 4}
_OCTETS = frozenset({DataType.OCTET_STRING, DataType.VISIBLE_STRING, *_SIZES})
