"""What data means, by class, type and options."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.config.model import Dlms, Item
from dlms_connector.cosem import UNITS, AttributeRef
from dlms_connector.errors import ProtocolError
from dlms_connector.interpret import (
    Options,
    ScalerUnit,
    examine,
    interpret,
    options_of,
    scaler_unit,
)
from dlms_connector.interpret.objects import SHAPES
from dlms_connector.obis import Obis
from dlms_connector.protocol.data.axdr import Data, DataType, decode_whole, encode
from tests.support.generated import ANY

D = DataType
OBIS = Obis.parse("1-0:1.8.0")
REGISTER = AttributeRef(3, OBIS, 2)
DATA = AttributeRef(1, OBIS, 2)
CLOCK = AttributeRef(8, OBIS, 2)


def data(octets: str) -> Data:
    return decode_whole(bytes.fromhex(octets))


def value(ref: AttributeRef, octets: str, **options: Any) -> Any:
    return interpret(ref, data(octets), None, Options(**options))[0]


def of(class_id: int, attribute: int, octets: str) -> Any:
    return value(AttributeRef(class_id, OBIS, attribute), octets)


class TestNumbers:
    @pytest.mark.parametrize(
        ("octets", "scaler", "expected"),
        [
            ("06 00 00 59 E9", -2, "230.17"),
            ("12 34 CF", -2, "135.19"),
            ("06 00 00 05 31", -3, "1.329"),
            ("06 00 00 59 D8", -2, "230.00"),
            ("0F FF", -3, "-0.001"),
            ("06 00 00 59 E9", 0, "23017"),
            ("06 00 00 59 E9", 3, "23017000"),
            ("15 FF FF FF FF FF FF FF FF", -9, "18446744073.709551615"),
            ("14 80 00 00 00 00 00 00 00", -1, "-922337203685477580.8"),
            ("0D 42", -1, "4.2"),
            ("17 43 66 19 9A", 0, "230.1"),
            ("17 43 66 19 9A", -3, "0.2301"),
            ("17 3D CC CC CD", 0, "0.1"),
            ("17 7F 7F FF FF", 0, "3.4028235E+38"),
            ("18 40 09 21 FB 54 44 2D 18", 0, "3.141592653589793"),
            ("1F FF", -1, "25.5"),
        ],
    )
    def test_are_exact(self, octets: str, scaler: int, expected: str) -> None:
        found, unit = interpret(REGISTER, data(octets), ScalerUnit(scaler, "V"))
        assert str(found) == expected
        assert unit == "V"

    @given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-20, 20))
    def test_scaling_loses_nothing(self, raw: int, scaler: int) -> None:
        found, _ = interpret(REGISTER, Data(D.LONG64, raw), ScalerUnit(scaler))
        assert isinstance(found, int | Decimal)
        assert Decimal(found).scaleb(-scaler) == raw

    @given(st.floats(width=32, allow_nan=False, allow_infinity=False))
    def test_floats_are_the_shortest_decimal(self, number: float) -> None:
        found, _ = interpret(REGISTER, Data(D.FLOAT32, number))
        assert isinstance(found, Decimal)
        assert encode(Data(D.FLOAT32, found)) == encode(Data(D.FLOAT32, number))
        assert len(found.as_tuple().digits) <= 9

    @pytest.mark.parametrize(
        ("octets", "expected"),
        [
            ("03 01", True),
            ("16 07", 7),
            ("09 02 31 32", "12"),
            ("04 03 A0", "101"),
            ("00", None),
        ],
    )
    def test_nothing_else_is_scaled_nor_has_a_unit(self, octets: str, expected: object) -> None:
        assert interpret(REGISTER, data(octets), ScalerUnit(-2, "V")) == (expected, None)

    @pytest.mark.parametrize(
        "octets", ["17 7F C0 00 00", "17 7F 80 00 00", "18 FF F0 00 00 00 00 00 00", "0D 4F"]
    )
    def test_what_is_no_number_is_suspect(self, octets: str) -> None:
        assert examine(REGISTER, data(octets), ScalerUnit(-1, "V")) == (None, "V", "suspect")

    def test_lists_of_numbers_are_scaled(self) -> None:
        found = interpret(AttributeRef(61, OBIS, 2), data("01 02 11 0A 11 0B"), ScalerUnit(-1, "V"))
        assert found == ([Decimal("1.0"), Decimal("1.1")], "V")


class TestScalerUnit:
    @pytest.mark.parametrize(
        ("octets", "expected"),
        [
            ("02 02 0F FD 16 21", ScalerUnit(-3, "A")),
            ("02 02 0F FE 16 23", ScalerUnit(-2, "V")),
            ("02 02 0F 00 16 FF", ScalerUnit(0, None)),
            ("02 02 0F 01 16 FE", ScalerUnit(1, None)),
            ("02 02 0F 00 16 3A", ScalerUnit(0, None)),  # 58 is nobody's
            ("02 02 0F 00 16 F0", ScalerUnit(0, None)),
            ("02 02 11 FD 11 1E", ScalerUnit(-3, "Wh")),
            # In other integer types, with further elements, or in an array.
            ("02 02 10 FFFE 16 1E", ScalerUnit(-2, "Wh")),
            ("02 02 12 FFFE 16 1E", ScalerUnit(-2, "Wh")),
            ("02 02 12 00FE 12 001E", ScalerUnit(-2, "Wh")),
            ("02 02 05 FFFFFFFE 16 1E", ScalerUnit(-2, "Wh")),
            ("02 02 06 FFFFFFFE 16 1E", ScalerUnit(-2, "Wh")),
            ("02 02 14 FFFFFFFFFFFFFFFE 0F 1E", ScalerUnit(-2, "Wh")),
            ("02 02 16 FE 10 001E", ScalerUnit(-2, "Wh")),
            ("02 02 0F 00 0F FF", ScalerUnit(0, None)),
            ("02 03 0F FE 16 1E 00", ScalerUnit(-2, "Wh")),
            ("01 02 0F FE 0F 1E", ScalerUnit(-2, "Wh")),
        ],
    )
    def test_is_read(self, octets: str, expected: ScalerUnit) -> None:
        assert scaler_unit(data(octets)) == expected

    @pytest.mark.parametrize(
        "octets",
        [
            *("00", "02 00", "02 01 0F 00", "02 02 0F 00 09 00", "11 01"),
            *("02 02 00 16 1E", "02 02 0F 00 00", "02 02 10 0100 16 1E", "02 02 03 01 16 1E"),
            *("02 02 0F 00 12 0100", "02 02 17 00000000 16 1E"),
        ],
    )
    def test_is_refused(self, octets: str) -> None:
        with pytest.raises(ProtocolError, match="not a scaler with a unit") as caught:
            scaler_unit(data(octets))
        assert "Data" not in str(caught.value)

    @given(ANY)
    def test_noise_is_read_or_refused(self, noise: Data) -> None:
        with suppress(ProtocolError):
            assert -128 <= scaler_unit(noise).scaler <= 127

    def test_is_shown(self) -> None:
        assert of(3, 3, "02 02 0F FE 16 23") == {"scaler": -2, "unit": "V"}
        assert of(5, 4, "02 02 0F FE 16 FF") == {"scaler": -2, "unit": 255}

    def test_the_units_of_electricity(self) -> None:
        codes = (27, 28, 29, 30, 31, 32, 33, 35, 44)
        symbols = ["W", "VA", "var", "Wh", "VAh", "varh", "A", "V", "Hz"]
        assert [UNITS[code] for code in codes] == symbols


class TestOctets:
    @pytest.mark.parametrize(
        ("octets", "expected"),
        [
            ("09 08 30 30 30 30 30 30 30 31", "00000001"),
            ("09 04 41 42 00 00", "AB"),
            ("09 04 41 42 20 20", "AB"),
            ("09 00", ""),
            ("09 02 00 00", "0000"),
            ("09 03 01 02 FF", "0102FF"),
            ("09 0C 07 EA 0B 17 01 15 36 04 00 FF C4 00", "2026-11-23T21:54:04+01:00"),
            ("09 0C 00 01 0B 17 01 15 36 04 00 FF C4 00", "00010B170115360400FFC400"),
            ("09 0E 09 0C 07 EA 0B 17 01 15 36 04 00 FF C4 00", "2026-11-23T21:54:04+01:00"),
            ("0A 03 61 62 63", "abc"),
            ("0C 02 C3 A9", "é"),
            ("19 07 EA 0B 17 01 15 36 04 00 FF C4 00", "2026-11-23T21:54:04+01:00"),
            ("1A 07 EA 0B 17 01", "2026-11-23"),
            ("1B 15 36 04 00", "21:54:04"),
            ("01 02 09 01 41 11 05", ["A", 5]),
        ],
    )
    def test_by_what_they_look_like(self, octets: str, expected: object) -> None:
        assert value(DATA, octets) == expected

    @pytest.mark.parametrize(
        ("format_", "octets", "expected"),
        [
            ("hex", "09 02 31 32", "3132"),
            ("text", "09 02 31 32", "12"),
            ("ip", "09 04 C0 A8 01 7F", "192.168.1.127"),
            ("ip", "06 C0 A8 01 7F", "192.168.1.127"),
            ("ip", "09 10" + "00" * 15 + "01", "::1"),
            ("ip", "09 07 31 30 2E 30 2E 30 31", "10.0.01"),
            ("mac", "09 06 00 11 22 AA BB CC", "00:11:22:AA:BB:CC"),
            ("obis", "09 06 01 00 01 08 00 FF", "1-0:1.8.0"),
            ("obis", "09 02 01 00", "0100"),
            (
                "dateTime",
                "09 0C 07 EA 0B 17 01 15 36 04 32 00 00 00",
                "2026-11-23T21:54:04.50+00:00",
            ),
            ("dateTime", "09 05 07 EA 0B 17 01", "2026-11-23"),
            ("date", "09 05 FF FF 0C 19 FF", "****-12-25"),
            ("time", "09 04 06 1E 00 00", "06:30:00"),
            ("unixTime", "06 00 00 00 3C", "1970-01-01T00:01:00+00:00"),
            ("unixTime", "00", None),
            ("raw", "02 02 09 02 31 32 11 01", ["3132", 1]),
        ],
    )
    def test_by_a_configured_format(self, format_: str, octets: str, expected: object) -> None:
        assert value(DATA, octets, format=format_) == expected

    @pytest.mark.parametrize(
        ("class_id", "attribute"),
        [(15, 7), (19, 9), (44, 5), (45, 3), (46, 4), (100, 6), (100, 7)],
    )
    @pytest.mark.parametrize("format_", [None, "text", "hex", "raw"])
    def test_no_format_shows_a_secret(
        self, class_id: int, attribute: int, format_: str | None
    ) -> None:
        secret = AttributeRef(class_id, OBIS, attribute)
        assert value(secret, "09 04 32 32 32 32", format=format_) is None

    def test_text_in_another_encoding(self) -> None:
        octets = "09 06 CC E8 EB F3 F0 20"
        assert value(DATA, octets) == "CCE8EBF3F020"
        assert value(DATA, octets, encoding="cp1251") == "Милур"
        assert value(DATA, "0A 05 CC E8 EB F3 F0", encoding="cp1251") == "Милур"

    def test_text_that_is_none(self) -> None:
        assert examine(DATA, data("0C 02 FF FE")) == ("FFFE", None, "suspect")


class TestClocks:
    def test_twice_wrapped(self) -> None:
        octets = "09 0E 09 0C 07 D2 0C 04 03 0A 06 0B FF 00 78 00"
        assert value(CLOCK, octets) == "2002-12-04T10:06:11-02:00"

    @pytest.mark.parametrize(
        "octets",
        [
            "09 0C 07 EA 02 1F FF 0A 00 00 00 00 00 00",
            "09 0C 00 00 00 00 00 00 00 00 00 00 00 00",
            "09 0C FF FF FF FF FF FF FF FF FF 80 00 FF",
            "09 03 01 02 03",
        ],
    )
    def test_what_no_clock_shows_is_suspect(self, octets: str) -> None:
        assert examine(CLOCK, data(octets)) == (None, None, "suspect")

    @pytest.mark.parametrize(
        ("octets", "expected", "quality"),
        [
            # An impossible deviation is as good as none.
            ("09 0C 07 E6 0B 16 02 10 25 1E 00 FF FF FF", "2022-11-22T16:37:30+05:00", "good"),
            # The weekday, the hundredths and the reserved status bits tell nothing needed.
            ("09 0C 07 E6 0B 16 00 10 25 1E 00 FF C4 00", "2022-11-22T16:37:30+01:00", "suspect"),
            ("09 0C 07 E6 0B 16 07 10 25 1E 00 FF C4 00", "2022-11-22T16:37:30+01:00", "suspect"),
            ("09 0C 07 E6 0B 16 02 10 25 1E C8 FF C4 00", "2022-11-22T16:37:30+01:00", "suspect"),
            ("09 0C 07 E6 0B 16 02 10 25 1E 00 FF C4 70", "2022-11-22T16:37:30+01:00", "suspect"),
            # In other types and forms.
            ("19 07 E6 0B 16 02 10 25 1E 00 FF C4 00", "2022-11-22T16:37:30+01:00", "good"),
            ("0A 0C 07 E6 0B 16 02 10 25 1E 00 FF C4 00", "2022-11-22T16:37:30+01:00", "good"),
            ("09 0D 19 07E6 0B16 02 10 25 1E 00 FFC4 00", "2022-11-22T16:37:30+01:00", "good"),
            ("09 0C 20 22 11 22 02 16 37 30 FF FF C4 00", "2022-11-22T16:37:30+01:00", "suspect"),
            ("0A 0E 32303232 31313232 313633373330", "2022-11-22T16:37:30+05:00", "good"),
        ],
    )
    def test_what_is_odd_but_certain(self, octets: str, expected: str, quality: str) -> None:
        options = Options(zone=timezone(timedelta(hours=5)))
        assert examine(CLOCK, data(octets), None, options) == (expected, None, quality)

    def test_octets_of_unknown_meaning(self) -> None:
        assert value(DATA, "0A 0C 07 E6 0B 16 02 10 25 1E 00 FF C4 00") == (
            "2022-11-22T16:37:30+01:00"
        )
        digits = "20 22 11 22 02 16 37 30 FF FF C4 00"
        assert value(DATA, "09 0C" + digits) == digits.replace(" ", "")

    def test_a_date_and_a_time_that_contradict_themselves_are_suspect(self) -> None:
        found = examine(DATA, data("09 05 07 E6 0B 16 07"), None, Options(format="date"))
        assert found == ("2022-11-22", None, "suspect")
        found = examine(DATA, data("09 04 10 25 1E C8"), None, Options(format="time"))
        assert found == ("16:37:30", None, "suspect")

    def test_any_monday_is_something(self) -> None:
        assert value(CLOCK, "09 0C FF FF FF FF 01 FF FF FF FF 80 00 FF") == "****-**-** 1 **:**:**"

    def test_a_clock_that_doubts_itself_is_suspect(self) -> None:
        found = examine(CLOCK, data("09 0C 07 EA 0B 17 01 15 36 04 00 FF C4 02"))
        assert found == ("2026-11-23T21:54:04+01:00", None, "suspect")

    def test_nothing_is_nothing(self) -> None:
        assert examine(CLOCK, data("00")) == (None, None, "good")
        assert examine(CLOCK, data("09 00")) == (None, None, "good")

    def test_the_zone_and_the_standard_of_the_meter(self) -> None:
        octets = "09 0C 07 EA 0B 17 01 15 36 04 00 80 00 00"
        berlin = options_of(Dlms(time_zone="Europe/Berlin"))
        fixed = options_of(Dlms(time_zone="-03:30"))
        india = options_of(Dlms(standard="INDIA"))
        assert value(CLOCK, octets) == "2026-11-23T21:54:04"
        assert interpret(CLOCK, data(octets), None, berlin)[0] == "2026-11-23T21:54:04+01:00"
        assert interpret(CLOCK, data(octets), None, fixed)[0] == "2026-11-23T21:54:04-03:30"
        octets = "09 0C 07 EA 0B 17 01 15 36 04 00 01 4A 00"
        assert interpret(CLOCK, data(octets), None, india)[0] == "2026-11-23T21:54:04+05:30"


OBJECTS = [
    (1, 1, "09 06 01 00 01 08 00 FF", "1-0:1.8.0"),
    (4, 5, "09 0C 07 EA 0B 17 01 15 36 04 00 FF C4 00", "2026-11-23T21:54:04+01:00"),
    (7, 3, "01 01 02 04 12 00 08 09 06 00 00 01 00 00 FF 0F 02 12 00 00",
     [{"class": 8, "obis": "0-0:1.0.0", "attribute": 2, "dataIndex": 0}]),
    (7, 5, "16 01", "fifo"),
    (7, 5, "16 09", 9),
    (8, 4, "11 81", ["invalidValue", "daylightSavingActive"]),
    (8, 9, "16 01", "internalCrystal"),
    (9, 2, "01 01 02 02 12 00 01 01 01 02 05 16 02 12 00 46 09 06 00 00 60 03 0A FF 0F 01 0F 00",
     [{"id": 1, "actions": [{"service": "execute", "class": 70, "obis": "0-0:96.3.10",
                             "index": 1, "parameter": 0}]}]),
    (10, 2, "01 01 02 0A 12 00 01 03 01 09 06 00 00 0A 00 65 FF 12 00 02 09 04 06 00 00 00 12 00 "
            "05 04 07 FE 04 02 40 09 05 FF FF 06 01 FF 09 05 FF FF 08 1F FF",
     [{"index": 1, "enabled": True, "script": "0-0:10.0.101", "selector": 2,
       "switchTime": "06:00:00", "validityWindow": 5, "weekdays": "1111111", "specialDays": "01",
       "begin": "****-06-01", "end": "****-08-31"}]),
    (11, 2, "01 01 02 03 12 00 01 09 05 FF FF 0C 19 FF 11 02",
     [{"index": 1, "date": "****-12-25", "dayId": 2}]),
    (12, 2, "01 01 02 04 10 FA 00 12 00 0C 11 03 09 06 00 00 28 00 00 FF",
     [{"baseName": 0xFA00, "class": 12, "version": 3, "obis": "0-0:40.0.0"}]),
    (15, 2, "01 01 02 04 12 00 03 11 00 09 06 01 00 01 08 00 FF 02 02 01 01 02 03 0F 02 16 01 00 "
            "01 01 02 02 0F 01 16 00",
     [{"class": 3, "version": 0, "obis": "1-0:1.8.0",
       "accessRights": {"attributes": [{"attribute": 2, "mode": 1, "selectors": None}],
                        "methods": [{"method": 1, "mode": 0}]}}]),
    (15, 7, "09 08 31 32 33 34 35 36 37 38", None),
    (46, 4, "09 08 31 32 33 34 35 36 37 38", None),
    (15, 8, "16 02", "associated"),
    (17, 2, "01 01 02 02 12 00 01 09 03 41 42 43", [{"sap": 1, "logicalDeviceName": "ABC"}]),
    (18, 6, "16 03", "verificationSuccessful"),
    (18, 7, "01 01 02 03 06 00 00 01 00 09 02 46 57 09 02 00 FF",
     [{"size": 256, "identification": "FW", "signature": "00FF"}]),
    (20, 2, "09 01 01", "hex:01"),
    (20, 2, "09 04 53 31 20 20", "S1  "),
    (20, 2, "09 04 53 31 00 00", "S1"),
    (20, 2, "09 04 00 00 00 00", "hex:00000000"),
    (20, 2, "09 05 68 65 78 3A 31", "hex:6865783A31"),
    (20, 2, "09 00", ""),
    (20, 3, "01 01 02 03 09 01 53 09 0C FF FF 04 01 FF 00 00 00 00 80 00 FF 09 01 57",
     [{"name": "S", "start": "****-04-01 00:00:00", "week": "W"}]),
    (20, 4, "01 01 02 08 09 01 57 11 01 11 01 11 01 11 01 11 01 11 02 11 02",
     [{"name": "W", "monday": 1, "tuesday": 1, "wednesday": 1, "thursday": 1, "friday": 1,
       "saturday": 2, "sunday": 2}]),
    (20, 5, "01 01 02 02 11 01 01 01 02 03 09 04 06 00 00 00 09 06 00 00 0A 00 64 FF 12 00 02",
     [{"id": 1, "schedule": [{"start": "06:00:00", "script": "0-0:10.0.100", "selector": 2}]}]),
    (21, 3, "02 03 12 00 03 09 06 01 00 01 07 00 FF 0F 02",
     {"class": 3, "obis": "1-0:1.7.0", "attribute": 2}),
    (22, 4, "01 01 02 02 09 04 00 00 00 00 09 05 FF FF FF 01 FF",
     [{"time": "00:00:00", "date": "****-**-01"}]),
    (23, 2, "16 05", "9600"),
    (40, 3, "02 03 16 00 09 0D 31 30 2E 30 2E 30 2E 31 3A 34 30 35 39 16 00",
     {"transport": "tcp", "destination": "10.0.0.1:4059", "message": "aXdrApdu"}),
    (40, 3, "02 03 16 01 09 06 0A 00 00 01 0F DB 16 00",
     {"transport": "udp", "destination": "hex:0A0000010FDB", "message": "aXdrApdu"}),
    (40, 7, "12 00 05", 5),
    (40, 7, "02 03 12 00 05 12 00 02 12 00 3C", {"minimum": 5, "exponent": 2, "maximum": 60}),
    (42, 3, "06 C0 A8 01 7F", "192.168.1.127"),
    (42, 4, "01 01 06 E0 00 00 01", ["224.0.0.1"]),
    (43, 2, "09 06 00 11 22 AA BB CC", "00:11:22:AA:BB:CC"),
    (45, 3, "12 04 D2", None),
    (46, 4, "09 04 31 32 33 34", None),
    (47, 3, "16 01", "registeredHome"),
    (47, 5, "16 08", "lteCatNb1"),
    (47, 6, "02 04 12 00 01 12 00 02 11 14 11 63",
     {"cellId": 1, "locationId": 2, "signalQuality": 20, "ber": 99}),
    (70, 3, "16 02", "readyForReconnection"),
    (70, 2, "03 01", True),
    (71, 11, "02 02 02 02 09 06 00 00 0A 00 6A FF 12 00 01 02 02 09 06 00 00 0A 00 6A FF 12 00 02",
     {"overThreshold": {"script": "0-0:10.0.106", "selector": 1},
      "underThreshold": {"script": "0-0:10.0.106", "selector": 2}}),
    (72, 3, "01 01 02 02 09 01 04 09 01 13",
     [{"dataInformationBlock": "04", "valueInformationBlock": "13"}]),
    (151, 2, "02 05 12 00 01 12 00 02 0F F6 0F A6 0F 0A",
     {"t3402": 1, "t3412": 2, "signalQuality": -10, "signalLevel": -90,
      "signalToNoiseRatio": 10}),
    (151, 2, "02 09 12 00 01 12 00 02 11 03 11 04 11 05 11 06 0F F8 0F F7 0F F6",
     {"t3402": 1, "t3412": 2, "t3412Ext2": 3, "t3324": 4, "teDrx": 5, "tPtw": 6,
      "qRxLevMin": -8, "qRxLevMinCe": -9, "qRxLevMinCe1": -10}),
    (151, 3, "02 04 0F F6 0F A6 0F 0A 16 01",
     {"signalQuality": -10, "signalLevel": -90, "signalToNoiseRatio": 10,
      "coverageEnhancement": "level1"}),
    (9999, 7, "02 02 11 01 09 02 FF 00", [1, "FF00"]),
]  # fmt: skip


@pytest.mark.parametrize(("class_id", "attribute", "octets", "expected"), OBJECTS)
def test_objects(class_id: int, attribute: int, octets: str, expected: object) -> None:
    assert of(class_id, attribute, octets) == expected


def test_text_with_a_zero_in_it_is_none() -> None:
    found = examine(AttributeRef(1, OBIS, 2), Data(DataType.VISIBLE_STRING, b"AB\0CD\0"))
    assert (found.value, found.quality) == ("414200434400", "suspect")


def test_elements_of_later_versions_are_kept() -> None:
    assert of(71, 8, "02 04 12 00 01 00 06 00 00 00 3C 11 05") == {
        "id": 1,
        "activationTime": None,
        "duration": 60,
        "field4": 5,
    }


@given(st.sampled_from(sorted(SHAPES)), ANY)
@settings(max_examples=300)
def test_any_data_in_any_attribute_becomes_json(key: tuple[int, int], anything: Data) -> None:
    found = examine(AttributeRef(key[0], OBIS, key[1]), anything, ScalerUnit(-1, "V"))
    json.dumps(found.value, default=str, allow_nan=False)


def test_the_options_of_an_item() -> None:
    item = Item(key="x", obis=OBIS, format="text", encoding="cp1251")
    options = options_of(Dlms(), item)
    assert (options.format, options.encoding, options.zone) == ("text", "cp1251", None)


@pytest.mark.parametrize("zone", ["Mars/Phobos", "1", "+25:00", "", "../etc", 5])
def test_zones_that_are_none(zone: object) -> None:
    with pytest.raises(ValueError, match="no time zone known here"):
        Dlms.model_validate({"timeZone": zone})


@pytest.mark.parametrize("encoding", ["cp9999", "hex", "", 5])
def test_encodings_that_are_none(encoding: object) -> None:
    with pytest.raises(ValueError, match="no text encoding"):
        Item.model_validate({"key": "x", "obis": "1-0:1.8.0", "encoding": encoding})
