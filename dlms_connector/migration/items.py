"""Makes items of a meter's measurements: the same key, the same value, the same period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlms_connector.config import refusal
from dlms_connector.migration.bridge import OBJECTS, SAMPLING_S, OldMeasurement, OldMeter
from dlms_connector.migration.mapping import Arrived, Rule, Section
from dlms_connector.obis import Obis

_LEAST_PERIOD_MS, _LONGEST_PERIOD_MS = 100, 86_400_000  # a day: nobody sampled less often


@dataclass(frozen=True, kw_only=True)
class Item:
    """What becomes of a measurement; without a key it stays behind, and `why` tells the reason."""

    old: str
    key: str = ""
    section: Section = "timeseries"
    obis: str = ""
    period_ms: int = 0
    why: str = ""

    def row(self, poll_period_ms: int) -> dict[str, Any]:
        """Return the entry of the configuration. Unit and scaler are the meter's, as before."""
        row: dict[str, Any] = {"key": self.key, "obis": self.obis}
        return row if self.period_ms == poll_period_ms else row | {"pollPeriod": self.period_ms}


def items_of(meter: OldMeter, rule: Rule | None, notes: list[str]) -> list[Item]:
    """Return what becomes of each measurement of a meter; `rule` is None if nothing mapped it."""
    items: list[Item] = []
    taken: set[Arrived] = set()
    for each in meter.measurements:
        for item in _items(meter, each, rule, notes):
            place = Arrived(item.section, item.key)
            if item.key and place in taken:
                item = Item(old=item.old, why=f"the key {item.key} comes from another measurement")
            taken.add(place)
            items.append(item)
    return items


def _items(
    meter: OldMeter, each: OldMeasurement, rule: Rule | None, notes: list[str]
) -> list[Item]:
    period_ms = _period_ms(each)
    old = f"{each.name}, {each.obis or 'no obis_code'}, every {period_ms / 1000:g} s"
    if not each.enabled:
        return [Item(old=old, why="it is not enabled")]
    obis, why = _object(meter, each, notes)
    if why:
        return [Item(old=old, why=why)]
    arrived = _arrived(each, rule)
    if not arrived:
        return [Item(old=old, why="the mapping has no key for it: it never reached the platform")]
    items = []
    for one in arrived:
        if bad := refusal(one.key):
            items.append(Item(old=old, why=f"the platform never took the key {one.key!r}: {bad}"))
            continue
        items.append(
            Item(old=old, key=one.key, section=one.section, obis=obis, period_ms=period_ms)
        )
    return items


def _arrived(each: OldMeasurement, rule: Rule | None) -> tuple[Arrived, ...]:
    """Return the keys under which the platform has the measurement."""
    if rule is None:
        return (Arrived("timeseries", each.tb_key or each.name),)
    # Some bridges published under the measurement's name, others under `tb_key`.
    return rule.keys.get(each.name) or rule.keys.get(each.tb_key or "") or ()


def _object(meter: OldMeter, each: OldMeasurement, notes: list[str]) -> tuple[str, str]:
    """Return the object to read, or why there is none."""
    usual = OBJECTS.get(each.name)
    try:
        obis = Obis.parse(each.obis or "")
    except ValueError:
        if usual is None:
            return "", f"obis_code {each.obis!r} is no OBIS code such as 1-1:32.7.0"
        if each.obis:
            notes.append(f"{meter.name}: obis_code {each.obis!r} of {each.name} is no OBIS code; "
                         f"{usual} is taken, which the bridge read for this name")  # fmt: skip
        return usual, ""
    if usual is not None and Obis.parse(usual) != obis:
        notes.append(
            f"{meter.name}: obis_code {each.obis} of {each.name} is taken; versions of the bridge "
            f"read {usual} for this name whatever the column said: if the meter has no "
            f"{each.obis}, write {usual}"
        )
    return str(obis), ""


def _period_ms(each: OldMeasurement) -> int:
    seconds = each.sampling_s if each.sampling_s and each.sampling_s > 0 else SAMPLING_S
    return int(min(max(round(min(seconds, 1e6) * 1000), _LEAST_PERIOD_MS), _LONGEST_PERIOD_MS))
