"""Dates and times: from octets, to octets, and what cannot be."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config.dlms import Dlms, Standard
from dlms_connector.protocol.data.cosem_time import Date, DateTime, Time, encode_date_time

BERLIN = ZoneInfo("Europe/Berlin")


def parse(octets: str) -> DateTime:
    return DateTime.parse(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("octets", "standard", "text"),
    [
        ("07D2 0C 04 03 0A 06 0B FF 0078 00", "DLMS", "2002-12-04T10:06:11-02:00"),
        ("07EA 0B 17 01 15 36 04 00 FFC4 00", "DLMS", "2026-11-23T21:54:04+01:00"),
        ("07EA 0B 17 01 15 36 04 00 FFC4 00", "IDIS", "2026-11-23T21:54:04+01:00"),
        ("07EA 0B 17 01 15 36 04 00 014A 00", "INDIA", "2026-11-23T21:54:04+05:30"),
        ("07EA 0B 17 01 15 36 04 00 003C 00", "ITALY", "2026-11-23T21:54:04+01:00"),
        ("07EA 0B 17 01 15 36 04 00 00B4 00", "SAUDI_ARABIA", "2026-11-23T21:54:04+03:00"),
        ("07EA 0B 17 01 15 36 FF FF 0000 FF", "DLMS", "2026-11-23T21:54:00+00:00"),
        ("07EA 0B 17 FF 15 36 04 32 0000 FF", "DLMS", "2026-11-23T21:54:04.500000+00:00"),
        ("07EA 0B 17 FF 15 36 04 32 8000 FF", "DLMS", "2026-11-23T21:54:04.500000+01:00"),
        ("07EA 07 17 FF 15 36 04 00 8000 FF", "DLMS", "2026-07-23T21:54:04+02:00"),
    ],
)
def test_instants(octets: str, standard: Standard, text: str) -> None:
    from_utc = Dlms(standard=standard).deviation_from_utc
    instant = parse(octets).instant(BERLIN, from_utc=from_utc)
    assert instant is not None
    assert instant.isoformat() == text


def test_a_meter_may_deviate_from_its_standard() -> None:
    assert not Dlms(standard="INDIA", deviation="toUtc").deviation_from_utc
    assert Dlms(deviation="fromUtc").deviation_from_utc


def test_the_hour_that_comes_twice_is_told_by_the_status() -> None:
    first = parse("07EA 0A 19 07 02 1E 00 00 8000 80").instant(BERLIN)
    second = parse("07EA 0A 19 07 02 1E 00 00 8000 00").instant(BERLIN)
    assert first is not None
    assert second is not None
    assert first.isoformat() == "2026-10-25T02:30:00+02:00"
    assert second.isoformat() == "2026-10-25T02:30:00+01:00"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("07EA 03 1D 07 01 00 00 00 8000 00", "2026-03-29T00:00:00+00:00"),
        ("07EA 03 1D 07 02 00 00 00 8000 00", "2026-03-29T01:00:00+00:00"),
        ("07EA 03 1D 07 02 00 00 00 8000 FF", "2026-03-29T01:00:00+00:00"),
        ("07EA 03 1D 07 03 00 00 00 8000 80", "2026-03-29T01:00:00+00:00"),
        ("07EA 03 1D 07 02 3B 3B 00 8000 80", "2026-03-29T00:59:59+00:00"),
    ],
)
def test_the_hour_left_out_in_spring_is_told_by_the_status(octets: str, text: str) -> None:
    """A row of the very moment of change has an instant of its own."""
    instant = parse(octets).instant(BERLIN)
    assert instant is not None
    assert instant.astimezone(timezone.utc).isoformat() == text


def test_an_instant_without_any_zone_is_naive() -> None:
    instant = parse("07EA 0A 19 07 02 1E 00 00 8000 00").instant(None)
    assert instant == datetime(2026, 10, 25, 2, 30)
    assert instant.fold == 1


@pytest.mark.parametrize(
    "octets",
    [
        "07EA 02 1F FF 0A 00 00 00 0000 00",  # 31 February
        "07E9 02 1D FF 0A 00 00 00 0000 00",  # 29 February of a common year
        "07EA 00 01 FF 0A 00 00 00 0000 00",
        "07EA 01 00 FF 0A 00 00 00 0000 00",
        "07EA 0D 01 FF 0A 00 00 00 0000 00",
        "07EA 01 20 FF 0A 00 00 00 0000 00",
        "07EA FF 01 08 0A 00 00 00 0000 00",
        "07EA 01 01 FF 18 00 01 00 0000 00",
        "07EA 01 01 FF 19 00 00 00 0000 00",
        "07EA 01 01 FF 0A 3C 00 00 0000 00",
        "07EA 01 01 FF 0A 00 3D 00 0000 00",
        "0000 00 00 00 00 00 00 00 0000 00",
    ],
)
def test_what_cannot_be_does_not_exist(octets: str) -> None:
    moment = parse(octets)
    assert not moment.exists
    assert moment.instant(timezone.utc) is None


@pytest.mark.parametrize("deviation", ["8000", "FFFF", "0001", "FFC5", "7FFF", "0357", "FCA9"])
def test_a_deviation_that_no_zone_has_is_not_given(deviation: str) -> None:
    moment = parse(f"07E6 0B 16 02 10 25 1E 00 {deviation} FF")
    assert moment.deviation is None
    assert not moment.doubtful
    instant = moment.instant(BERLIN)
    assert instant is not None
    assert instant.isoformat() == "2022-11-22T16:37:30+01:00"
    assert str(moment.instant(None)) == "2022-11-22 16:37:30"


@pytest.mark.parametrize(
    ("deviation", "minutes"), [("FCB8", -840), ("0348", 840), ("000F", 15), ("FEB6", -330)]
)
def test_a_deviation_of_any_zone_is_given(deviation: str, minutes: int) -> None:
    assert parse(f"07E6 0B 16 02 10 25 1E 00 {deviation} FF").deviation == minutes


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("07EA 01 01 00 0A 00 00 00 0000 00", "2026-01-01T10:00:00+00:00"),  # no such weekday
        ("07EA 01 01 08 0A 00 00 00 0000 00", "2026-01-01T10:00:00+00:00"),
        ("07EA 01 01 05 0A 00 00 00 0000 00", "2026-01-01T10:00:00+00:00"),  # it was a Thursday
        ("07EA 01 01 04 0A 00 00 64 0000 00", "2026-01-01T10:00:00+00:00"),  # hundredths
        ("07EA 01 01 04 0A 00 00 FE 0000 00", "2026-01-01T10:00:00+00:00"),
        ("07EA 01 01 04 0A 00 00 00 0000 10", "2026-01-01T10:00:00+00:00"),  # reserved status bits
        ("07EA 01 01 04 0A 00 00 00 FFC4 40", "2026-01-01T10:00:00+01:00"),
        ("07EA 0C 1F 04 18 00 00 00 0000 00", "2027-01-01T00:00:00+00:00"),  # the end of a day
        ("07EA 0C 1F 04 17 3B 3C 00 0000 00", "2027-01-01T00:00:00+00:00"),  # a leap second
    ],
)
def test_a_redundant_field_that_cannot_be_true_does_not_cost_the_instant(
    octets: str, text: str
) -> None:
    moment = parse(octets)
    instant = moment.instant(None)
    assert instant is not None
    assert instant.isoformat() == text
    assert moment.doubtful


def test_the_end_of_the_calendar_has_no_next_day() -> None:
    assert parse("270F 0C 1F FF 18 00 00 00 0000 00").instant(None) is None


@pytest.mark.parametrize("octets", ["07EA 01 01 04 0A 00 00 63 FFC4 8F", "07EA 01 01" + "FF" * 8])
def test_what_can_be_is_not_doubtful(octets: str) -> None:
    assert not parse(octets).doubtful


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("FFFF 0C 19 FF FF FF FF FF 8000 FF", "****-12-25 **:**:**"),
        ("07EA FE 01 07 02 00 00 FF 8000 FF", "2026-dstBegin-01 7 02:00:00"),
        ("FFFF FD FE 07 03 00 00 00 8000 FF", "****-dstEnd-last 7 03:00:00"),
        ("FFFF 03 FE 07 02 00 00 00 8000 00", "****-03-last 7 02:00:00"),
        ("FFFF FF FD FF FF 0F FF FF 8000 FF", "****-**-secondLast **:15:**"),
        ("FFFF 02 1D FF 00 00 00 00 8000 FF", "****-02-29 00:00:00"),
        ("07EA FF 1F FF 00 00 00 19 8000 FF", "2026-**-31 00:00:00.25"),
    ],
)
def test_what_stands_for_more_than_one_instant(octets: str, text: str) -> None:
    moment = parse(octets)
    assert moment.exists
    assert moment.instant(timezone.utc) is None
    assert str(moment) == text


def test_the_flags_of_the_clock_status() -> None:
    assert parse("07EA 0A 19 07 02 1E 00 00 8000 83").flags == (
        "invalidValue",
        "doubtfulValue",
        "daylightSavingActive",
    )
    assert parse("07EA 0A 19 07 02 1E 00 00 8000 FF").flags == ()


@pytest.mark.parametrize("size", [0, 5, 11, 13])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="12 octets"):
        DateTime.parse(bytes(size))


@pytest.mark.parametrize(
    ("standard", "skip", "octets"),
    [
        ("DLMS", (), "07EA 07 17 04 15 36 04 32 FF88 80"),
        ("INDIA", (), "07EA 07 17 04 15 36 04 32 0078 80"),
        ("DLMS", ("deviation",), "07EA 07 17 04 15 36 04 32 8000 80"),
        ("DLMS", ("status", "dayOfWeek"), "07EA 07 17 FF 15 36 04 32 FF88 FF"),
        ("DLMS", ("hundredths",), "07EA 07 17 04 15 36 04 FF FF88 80"),
    ],
)
def test_writing(standard: Standard, skip: tuple[str, ...], octets: str) -> None:
    moment = datetime(2026, 7, 23, 21, 54, 4, 500_000, tzinfo=BERLIN)
    written = encode_date_time(moment, from_utc=standard == "INDIA", skip=frozenset(skip))
    assert written == bytes.fromhex(octets)


def test_a_datetime_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="no zone"):
        encode_date_time(datetime(2026, 1, 1))


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.integers(-48, 56),
    st.booleans(),
)
def test_round_trip(moment: datetime, quarters: int, from_utc: bool) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    aware = moment.replace(microsecond=moment.microsecond // 10_000 * 10_000, tzinfo=zone)
    octets = encode_date_time(aware, from_utc=from_utc)
    read = DateTime.parse(octets).instant(None, from_utc=from_utc)
    assert read == aware
    assert read.utcoffset() == aware.utcoffset()


@given(st.binary(min_size=12, max_size=12))
def test_noise_raises_nothing(octets: bytes) -> None:
    moment = DateTime.parse(octets)
    assert str(moment)
    if moment.instant(BERLIN) is not None:
        assert moment.exists


@given(st.binary(min_size=5, max_size=5))
def test_noise_is_a_date_or_not(octets: bytes) -> None:
    assert isinstance(Date.parse(octets).exists, bool)
    assert isinstance(Time.parse(octets[:4]).exists, bool)
