"""A clock in the wrong zone is logged when that is news."""

from __future__ import annotations

import logging
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dlms_connector.interpret import Options
from dlms_connector.meter.clock_news import ClockNews
from dlms_connector.meter.outcome import ClockAnswer
from dlms_connector.protocol.data import DateTime

SUMMER = DateTime.parse(bytes.fromhex("07EA 07 01 03 0C 00 00 00 8000 00"))


def test_an_error_of_exactly_one_hour_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    news = ClockNews("M1", Options(zone=ZoneInfo("Europe/Berlin")), logging.getLogger("test"))
    with caplog.at_level(logging.INFO):
        for drift in ("3", "-3600", "-3601.5", "-3600", "7", "8"):
            news.read(ClockAnswer(SUMMER, Decimal(drift)))
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("M1: its clock is 1 h behind, as in another zone: ")
    assert 'set dlms.timeZone to the fixed offset "+01:00"' in first
    assert last == "M1: its clock is in the right zone again"
