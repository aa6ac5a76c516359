"""Exact numbers: the scaler is applied to the raw value in decimals, never in floats."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dlms_connector.cosem import unit_symbol
from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data import DELTAS, Data, DataType, shortest

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
_FLOATS = frozenset({DataType.FLOAT32, DataType.FLOAT64})
_NUMBERS = _INTEGERS | _FLOATS


@dataclass(frozen=True, slots=True)
class ScalerUnit:
    """The power of ten of a value, and the symbol of its unit; None if it has no unit."""

    scaler: int = 0
    unit: str | None = None


def scaler_unit(data: Data) -> ScalerUnit:
    """Read an attribute scaler_unit; an undefined unit code means no unit.

    Raises ProtocolError if the data is not a scaler_unit.
    """
    match data:
        case Data(
            DataType.STRUCTURE,
            (Data(DataType.INTEGER | DataType.UNSIGNED as kind, int(scaler)),
             Data(DataType.ENUM | DataType.UNSIGNED, int(unit))),
        ):  # fmt: skip
            # Some meters send the scaler as unsigned: FD is -3 there too.
            signed = scaler - 256 if kind is DataType.UNSIGNED and scaler > 127 else scaler
            return ScalerUnit(signed, unit_symbol(unit))
    raise ProtocolError("reading scaler and unit", f"{str(data)[:120]} is not a scaler with a unit")


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
    if scaler < 0:
        return Decimal(raw).scaleb(scaler)
    return raw * 10**scaler if scaler else raw
