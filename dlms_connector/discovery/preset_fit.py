"""Finds the shipped presets that fit a discovered meter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlms_connector.config import preset
from dlms_connector.discovery.candidates import preset_dlms
from dlms_connector.obis import Obis

#: Makers by the first three letters of a logical device name (FLAG association), and the
#: beginning of their presets' names.
_MAKERS = {
    "LGZ": "landisgyr-",
    "KAM": "kamstrup-",
    "ISK": "iskra-",
    "SAG": "sagemcom-",
    "ZIV": "ziv-",
    "EDM": "edmi-",
    "HXE": "hexing",
    "ELS": "honeywell-",
    "MET": "metcom-",
    "LNT": "lt-",
}
#: Models of makers whose letters are not known here.
_OTHER_MODELS = ("energomera-", "mercury-", "meter-italia-", "microstar", "mikroelektronika-",
                 "milur-", "nartis-", "rim-")  # fmt: skip
_COMPARED = {"interfaceType": "HDLC", "referencing": "LN", "logicalAddress": None,
             "physicalAddress": None, "clientAddress": None, "authentication": None}  # fmt: skip


def fitting(
    dlms: Mapping[str, Any], objects: Sequence[Obis], logical_device_name: str | None
) -> tuple[str, ...]:
    """Return the presets that fit a discovered meter, the best first.

    `dlms` is the section of the association that was opened. A preset fits if addresses,
    framing and authentication agree and the meter has all its objects. One of another maker
    does not fit.
    """
    there = set(objects)
    ranked = []
    for name in preset.names():
        rank = _rank(name, dlms, there, logical_device_name)
        if rank is not None:
            ranked.append((rank, name))
    return tuple(name for _, name in sorted(ranked))


def _rank(
    name: str, dlms: Mapping[str, Any], there: set[Obis], device_name: str | None
) -> tuple[int, int] | None:
    """Return a sort key: the maker's own first, then those with most objects; None if unfit."""
    nearness = _nearness(name, device_name)
    if nearness is None or not _agrees(preset_dlms(name), dlms):
        return None
    values = preset.values(name)
    if values.get("connection", {}).get("type") == "push":
        return None  # it is for a port that only pushes
    items = [*values.get("timeseries", ()), *values.get("attributes", ())]
    wanted = {Obis.parse(item["obis"]) for item in items}
    if not wanted or not wanted <= there:
        return None
    return nearness, -len(wanted)


def _nearness(name: str, device_name: str | None) -> int | None:
    """Return 0 for a preset of the meter's maker, more for others; None for another maker's."""
    maker = _MAKERS.get((device_name or "")[:3].upper())
    if name.startswith(tuple(_MAKERS.values())):
        return 0 if maker is not None and name.startswith(maker) else None
    if name.startswith(_OTHER_MODELS):
        return 2 if maker is None else None
    return 1


def _agrees(own: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    for key, usual in _COMPARED.items():
        wanted = own.get(key, usual)
        if wanted is not None and found.get(key, usual) != wanted:
            return False
    return True
