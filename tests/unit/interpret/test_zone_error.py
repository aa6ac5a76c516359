"""A clock in the wrong zone is told from one that runs wrongly."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dlms_connector.interpret import Options, zone_error
from dlms_connector.protocol.data import DateTime

BERLIN, CET = ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=1))
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SUMMER, WINTER = "07EA 07 01 03 0C 00 00 00", "07EA 0C 01 02 0C 00 00 00"


def error(octets: str, drift_s: float, **options: object) -> str | None:
    moment = DateTime.parse(bytes.fromhex(octets))
    return zone_error(moment, Decimal(str(drift_s)), Options(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("octets", "drift_s", "options", "says"),
    [
        (f"{SUMMER} 8000 00", -3600, {"zone": BERLIN}, '1 h behind, as in another zone'),
        (f"{SUMMER} 8000 80", -3597.5, {"zone": BERLIN}, 'the fixed offset "+01:00"'),
        (f"{SUMMER} FFFF FF", -3650, {"zone": BERLIN}, 'the fixed offset "+01:00"'),
        (f"{WINTER} 8000 00", -1800, {"zone": LORD_HOWE}, '0.5 h behind'),
        (f"{WINTER} 8000 00", -1800, {"zone": LORD_HOWE}, '"+10:30"'),
        (f"{SUMMER} 8000 00", 3600, {"zone": CET}, 'a zone by name if it changes with daylight'),
        (f"{SUMMER} 8000 00", 3600, {"zone": CET}, 'else to "+02:00"'),
        (f"{SUMMER} FFC4 80", 3600, {}, "it says UTC+01:00 and shows the time of UTC+02:00"),
        (f"{SUMMER} FFC4 00", -7200, {}, 'set dlms.deviation to "fromUtc"'),
        (f"{SUMMER} 014A 00", 39600, {}, 'set dlms.deviation to "fromUtc"'),
        (f"{SUMMER} FEB6 00", 39600, {"from_utc": True}, 'set dlms.deviation to "toUtc"'),
    ],
)  # fmt: skip
def test_whole_and_half_hours_are_a_matter_of_zones(
    octets: str, drift_s: float, options: dict[str, object], says: str
) -> None:
    assert says in (error(octets, drift_s, **options) or "")


@pytest.mark.parametrize("drift_s", [0, 119, -119, 600, -1500, 3300, -4000, 2e5, 1e11, -1e11])
@pytest.mark.parametrize("octets", [f"{SUMMER} 8000 00", f"{SUMMER} FFC4 80"])
def test_other_errors_are_not(octets: str, drift_s: float) -> None:
    assert error(octets, drift_s, zone=BERLIN) is None
