"""Exact conversion between multiples of one unit: Wh to kWh, V to mV, l to m³."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact
from difflib import get_close_matches

_PREFIXES = {
    "µ": Decimal("1E-6"),
    "m": Decimal("1E-3"),
    "": Decimal(1),
    "k": Decimal("1E3"),
    "M": Decimal("1E6"),
    "G": Decimal("1E9"),
    "T": Decimal("1E12"),
}

#: Units of the Blue Book's unit table (IEC 62056-6-2) that people use with SI prefixes.
_PREFIXED = (
    "W", "VA", "var", "Wh", "VAh", "varh", "V", "A", "Ah", "Hz", "J", "Pa", "Ω", "F", "H", "C",
    "J/h", "N", "S", "bar", "V²h", "A²h",
)  # fmt: skip

#: Multiples without an SI prefix: unit, base unit, exact factor.
_OTHERS = (
    ("l", "m³", Decimal("1E-3")),
    ("m³", "m³", Decimal(1)),
    ("l/h", "m³/h", Decimal("1E-3")),
    ("m³/h", "m³/h", Decimal(1)),
    ("s", "s", Decimal(1)),
    ("ms", "s", Decimal("1E-3")),
    ("min", "s", Decimal(60)),
    ("h", "s", Decimal(3600)),
    ("d", "s", Decimal(86400)),
)

_ALIASES = {"m3": "m³", "m3/h": "m³/h", "L": "l", "Ohm": "Ω", "ohm": "Ω", "day": "d"}

_UNITS: dict[str, tuple[str, Decimal]] = {
    prefix + unit: (unit, factor) for unit in _PREFIXED for prefix, factor in _PREFIXES.items()
} | {unit: (base, factor) for unit, base, factor in _OTHERS}

_EXACT = Context(traps=[Inexact])


class UnitError(ValueError):
    """Two units of different quantities, or an unknown unit."""


def factor(source: str, target: str) -> Decimal:
    """Return the exact factor that converts a value from `source` to `target`.

    Raises UnitError with a sentence for the author of the configuration.
    """
    source, target = _ALIASES.get(source, source), _ALIASES.get(target, target)
    if source == target:
        return Decimal(1)
    for unit in (source, target):
        if unit not in _UNITS:
            raise UnitError(f"cannot convert {source} to {target}: {_unknown(unit)}")
    (base, multiple), (wanted_base, wanted_multiple) = _UNITS[source], _UNITS[target]
    if base != wanted_base:
        raise UnitError(f"cannot convert {source} to {target}: they measure different things")
    try:
        return _EXACT.divide(multiple, wanted_multiple)
    except Inexact:
        raise UnitError(
            f"cannot convert {source} to {target}: the factor has no exact decimal"
        ) from None


def _unknown(unit: str) -> str:
    lowered = {known.casefold(): known for known in _UNITS}
    close = get_close_matches(unit.casefold(), lowered, n=1, cutoff=0.6)
    return f"{unit} is unknown" + (f", did you mean {lowered[close[0]]}?" if close else "")
