"""Exact numbers: the scaler is applied to the raw value in decimals, never in floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from dlms_connector.cosem import unit_symbol
from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data import DELTAS, Data, DataType, encode, shortest

_INTEGERS = frozenset(
    {
        DataType.DOUBLE_LONG,
        DataType.DOUBLE_LONG_UNSIGNED,
        DataType.BCD,
        DataType.INTEGER,
        DataType.LONG,
        DataType.UNSIGNED,
        DataType.LONG_UNSIGNED,
        DataType.LONG64,
        DataType.LONG64_UNSIGNED,
        *DELTAS,
    }
)
#: Of 255, 65535 and so on it depends on the length whether they are -1.
_UNSIGNED_BITS = {
    DataType.UNSIGNED: (8,),
    DataType.ENUM: (8,),
    DataType.LONG_UNSIGNED: (16, 8),
    DataType.DOUBLE_LONG_UNSIGNED: (32, 8),
    DataType.LONG64_UNSIGNED: (64, 8),
}
_FLOATS = frozenset({DataType.FLOAT32, DataType.FLOAT64})
_NUMBERS = _INTEGERS | _FLOATS


@dataclass(frozen=True, slots=True)
class ScalerUnit:
    """The power of ten of a value, and the symbol of its unit; None if it has no unit."""

    scaler: int = 0
    unit: str | None = None


def scaler_unit(data: Data) -> ScalerUnit:
    """Read an attribute scaler_unit; an undefined unit code means no unit.

    Any integers will do, and elements behind the first two are ignored: the meaning is certain.
    Raises ProtocolError if the data is not a scaler_unit.
    """
    match data:
        case Data(DataType.STRUCTURE | DataType.ARRAY, (power, code, *_)):
            scaler, unit = _signed(power), _unsigned(code)
            if scaler is not None and unit is not None:
                return _scaler_unit(scaler, unit_symbol(unit))
    raise ProtocolError("reading scaler and unit", f"{_shown(data)} is not a scaler with a unit")


@lru_cache(maxsize=1024)
def _scaler_unit(scaler: int, unit: str | None) -> ScalerUnit:
    """Return the same for all objects of all meters, of which there are few different ones."""
    return ScalerUnit(scaler, unit)


def _signed(data: Data) -> int | None:
    """Return a scaler; some meters send it in an unsigned type: FD is -3 there too."""
    number = _whole(data)
    for bits in _UNSIGNED_BITS.get(data.type, ()):
        if number is not None and 1 << bits - 1 <= number < 1 << bits:
            number -= 1 << bits
    return number if number is not None and -128 <= number <= 127 else None


def _unsigned(data: Data) -> int | None:
    """Return the code of a unit; some meters send it in a signed type: FF is -1 there."""
    number = _whole(data)
    if number is not None and data.type is DataType.INTEGER:
        number %= 256
    return number if number is not None and 0 <= number <= 255 else None


def _whole(data: Data) -> int | None:
    whole = data.type is DataType.ENUM or data.type in _INTEGERS - DELTAS
    return data.value if whole and isinstance(data.value, int) else None


def _shown(data: Data) -> str:
    """Return data for a message: its type as the standard names it, and its octets."""
    name = data.type.name.lower().replace("_", "-")
    return "null-data" if data.type is DataType.NULL else f"{name} ({encode(data)[:40].hex(' ')})"


def is_number(data: Data) -> bool:
    """Return whether a scaler and a unit apply: to a number, or to an array of numbers only."""
    if data.type in (DataType.ARRAY, DataType.COMPACT_ARRAY):
        return bool(data.value) and all(map(is_number, data.value))
    return data.type in _NUMBERS


def number(data: Data, scaler: int) -> int | Decimal | None:
    """Return a number times ten to the power of the scaler; None if it is not one."""
    if data.type in _FLOATS:
        exact = shortest(data.value, single=data.type is DataType.FLOAT32)
        return exact.scaleb(scaler) if exact is not None and scaler else exact
    raw = data.value
    if not isinstance(raw, int):
        return None  # an invalid BCD
    return _scaled(raw, scaler)


def whole_numbers(scaler: int) -> Callable[[Data], int | Decimal | None]:
    """Return what does as `number` for integers, and returns None for anything else."""
    # No integer has more digits than a decimal: neither factor rounds.
    factor = Decimal(1).scaleb(scaler) if scaler < 0 else 10**scaler
    new: type[int | Decimal] = Decimal if scaler < 0 else int

    def whole_number(data: Data) -> int | Decimal | None:
        raw = data.value
        if type(raw) is not int or data.type not in _INTEGERS:
            return None
        return new(raw) * factor

    return whole_number


def _scaled(raw: int, scaler: int) -> int | Decimal:
    if scaler < 0:
        return Decimal(raw).scaleb(scaler)
    return raw * 10**scaler if scaler else raw
