"""Numbers, exactly: raw value and power of ten meet as decimals, never as floats."""

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
    """The power of ten of a value, and the symbol of its unit, None where it has none."""

    scaler: int = 0
    unit: str | None = None


def scaler_unit(data: Data) -> ScalerUnit:
    """Read an attribute scaler_unit; unit codes that nobody defined are no unit.

    Raises ProtocolError if it is none.
    """
    match data:
        case Data(
            DataType.STRUCTURE,
            (Data(DataType.INTEGER | DataType.UNSIGNED as kind, int(scaler)),
             Data(DataType.ENUM | DataType.UNSIGNED, int(unit))),
        ):  # fmt: skip
            # Written as unsigned by some meters: FD is -3 all the same.
            signed = scaler - 256 if kind is DataType.UNSIGNED and scaler > 127 else scaler
            return ScalerUnit(signed, unit_symbol(unit))
    raise ProtocolError("reading scaler and unit", f"{str(data)[:120]} is not a scaler with a unit")


def is_number(data: Data) -> bool:
    """Whether a scaler and a unit apply; to a list, if they do to all that is in it."""
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
        return None  # a BCD that is none
    if scaler < 0:
        return Decimal(raw).scaleb(scaler)
    return raw * 10**scaler if scaler else raw
