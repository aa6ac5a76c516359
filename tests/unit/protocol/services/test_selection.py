"""Selective access, to the octet."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from dlms_connector.cosem import AttributeRef, ByEntry, ByRange
from dlms_connector.obis import Obis
from dlms_connector.protocol.services.selection import Selector

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=1)))
CLOCK = "02 04 12 00 08 09 06 00 00 01 00 00 FF 0F 02 12 00 00"
PLAIN = Selector(from_utc=False, skip=frozenset())


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_by_range() -> None:
    end = NOON + timedelta(minutes=15)
    assert PLAIN.encode(ByRange(start=NOON, end=end)) == h(
        f"01 02 04 {CLOCK}"
        "09 0C 07 EA 0B 17 01 0C 00 00 00 FF C4 00"
        "09 0C 07 EA 0B 17 01 0C 0F 00 00 FF C4 00"
        "01 00"
    )


def test_columns_and_another_clock_in_unix_time() -> None:
    unix = AttributeRef(1, Obis.parse("0-0:1.1.0"), 2)
    energy = AttributeRef(3, Obis.parse("1-0:1.8.0"), 2)
    selection = ByRange(start=1, end=2, clock=unix, columns=(unix, energy))
    column = "02 04 12 00 01 09 06 00 00 01 01 00 FF 0F 02 12 00 00"
    assert PLAIN.encode(selection) == h(
        f"01 02 04 {column} 06 00 00 00 01 06 00 00 00 02 01 02 {column}"
        "02 04 12 00 03 09 06 01 00 01 08 00 FF 0F 02 12 00 00"
    )


def test_fields_that_a_meter_does_not_want() -> None:
    selector = Selector(from_utc=True, skip=frozenset({"status", "dayOfWeek"}))
    told = selector.encode(ByRange(start=NOON, end=NOON))
    assert h("07 EA 0B 17 FF 0C 00 00 00 00 3C FF") in told
    asked = selector.encode(ByRange(start=NOON, end=NOON, skip=frozenset({"deviation"})))
    assert h("07 EA 0B 17 01 0C 00 00 00 80 00 00") in asked


def test_by_entry() -> None:
    selection = ByEntry(first=5, last=6, first_column=2, last_column=3)
    assert PLAIN.encode(selection) == h("02 02 04 06 00 00 00 05 06 00 00 00 06 12 00 02 12 00 03")
    assert PLAIN.encode(ByEntry()) == h("02 02 04 06 00 00 00 01 06 00 00 00 00 12 00 01 12 00 00")
