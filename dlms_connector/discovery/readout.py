"""What a meter that speaks no DLMS tells in its readout, as items of its device entry."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from dlms_connector.config import acceptable
from dlms_connector.cosem import name_of
from dlms_connector.obis import Obis
from dlms_connector.protocol.readout import DataSet

#: Codes of the meter's number, the most usual first (IEC 62056-61).
_NUMBERS = ("0-0:96.1.0", "1-0:0.0.0", "1-0:0.0.1", "0-0:96.1.1")
_NUMBER = "serialNumber"
_DAY_MS = 86_400_000
#: A readout takes a minute or two at 300 baud: a poll period that leaves time for it.
READOUT_PERIOD_MS = 300_000


def items_of_readout(
    sets: Sequence[DataSet], *, every: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Return `attributes` and `timeseries` of the data sets whose meaning is known.

    With `every`, those of unknown meaning are included under their code.
    """
    attributes: list[dict[str, Any]] = []
    series: list[dict[str, Any]] = []
    number = next((one for one in map(Obis.parse, _NUMBERS) if _has(sets, one)), None)
    if number is not None:
        attributes.append(
            {"key": _NUMBER, "obis": str(number), "class": "data", "pollPeriod": _DAY_MS}
        )
    named: set[str] = {_NUMBER}
    for one in sets:
        obis = one.object
        if obis is None or not one.values or obis.octets[5] != 255:
            continue
        text, unit = one.values[0]
        key = name_of(obis) or (acceptable(one.code) if every else None)
        if key is None or key in named or not _is_measured(text, unit):
            continue
        named.add(key)
        series.append({"key": key, "obis": str(obis)})
    return {"attributes": attributes, "timeseries": series}


def number_of(sets: Sequence[DataSet]) -> str | None:
    """Return the meter's number, None if the readout has none."""
    for wanted in map(Obis.parse, _NUMBERS):
        for one in sets:
            if one.means(wanted) and one.values and one.values[0][0].strip():
                return one.values[0][0].strip()
    return None


def _has(sets: Sequence[DataSet], obis: Obis) -> bool:
    return any(one.means(obis) and one.values and one.values[0][0].strip() for one in sets)


def _is_measured(text: str, unit: str | None) -> bool:
    if unit is None:
        return False
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
