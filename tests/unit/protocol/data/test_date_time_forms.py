"""Date-times in other forms than 12 octets of numbers."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.data.date_time_forms import date_time_of, unwrapped

NOON = "07EA0601010C0000FF8000FF"


@pytest.mark.parametrize(
    "octets", [NOON, "090C" + NOON, "19" + NOON, "0A0C" + NOON, "090E090C" + NOON, "090D19" + NOON]
)
def test_with_and_without_its_tag(octets: str) -> None:
    assert unwrapped(bytes.fromhex(octets)) == bytes.fromhex(NOON)
    moment = date_time_of(bytes.fromhex(octets))
    assert moment is not None
    assert moment.instant(None) == datetime(2026, 6, 1, 12)


def instant(octets: bytes, *, from_utc: bool = False) -> str | None:
    moment = date_time_of(octets)
    found = moment.instant(None, from_utc=from_utc) if moment else None
    return None if found is None else found.isoformat()


def test_two_digits_in_each_octet() -> None:
    octets = bytes.fromhex("2026 12 31 04 23 59 58 FF FFC4 00")
    assert instant(octets) == "2026-12-31T23:59:58+01:00"
    moment = date_time_of(octets)
    assert moment is not None
    assert moment.doubtful


@pytest.mark.parametrize("octets", ["20260A01010C0000FF800000", "202602310112000000800000"])
def test_what_is_no_date_in_digits_is_a_number(octets: str) -> None:
    moment = date_time_of(bytes.fromhex(octets))
    assert moment is not None
    assert moment.date.year == 0x2026


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01 12:30:05", "2026-06-01T12:30:05"),
        ("2026-06-01T12:30", "2026-06-01T12:30:00"),
        ("2026/06/01 12:30:05", "2026-06-01T12:30:05"),
        ("20260601123005", "2026-06-01T12:30:05"),
        ("202606011230", "2026-06-01T12:30:00"),
        ("2026-06-01 12:30:05\0\0", "2026-06-01T12:30:05"),
        ("2026-06-01T12:30:05Z", "2026-06-01T12:30:05+00:00"),
        ("2026-06-01T12:30:05+05:30", "2026-06-01T07:00:05+00:00"),
        ("2026-02-31 12:30:05", None),
        ("0001-01-01T00:00:00+05:30", None),
        ("2026-06-01T12:30:05+02:80", None),
        ("2026-06-01T12:30:05-25:00", None),
        ("01.06.2026 12:30", None),  # or the sixth of January
        ("", None),
        ("12", None),
    ],
)
@pytest.mark.parametrize("from_utc", [False, True])
def test_text(text: str, expected: str | None, from_utc: bool) -> None:
    assert instant(text.encode(), from_utc=from_utc) == expected


@given(st.binary(max_size=30) | st.binary(min_size=12, max_size=12))
def test_noise_raises_nothing(octets: bytes) -> None:
    moment = date_time_of(octets)
    assert moment is None or str(moment)
