"""Data sets of readouts, and the OBIS codes that mean them."""

from __future__ import annotations

import pytest

from dlms_connector.obis import Obis
from dlms_connector.protocol.readout import DataSet, data_sets, find


@pytest.mark.parametrize(
    ("code", "obis", "means"),
    [
        ("1.8.0", "1-0:1.8.0", True),
        ("1.8.0", "1-1:1.8.0", True),
        ("1-1:1.8.0", "1-0:1.8.0", False),
        ("1-0:1.8.0*255", "1-0:1.8.0", True),
        ("1.8.0", "1-0:1.8.1", False),
        ("1.8.0", "1-0:1.8.0*1", False),
        ("1.8.0*01", "1-0:1.8.0*1", True),
        ("1.8.0&02", "1-0:1.8.0*2", True),
        ("0.0.0", "1-0:0.0.0", True),
        ("C.1.0", "0-0:96.1.0", True),
        ("F.F", "0-0:97.97.0", True),
        ("F.F", "0-0:97.97.1", False),
        ("96.1", "0-0:96.1.255", True),
        ("L.1.0", "0-0:98.1.0", True),
        ("", "1-0:1.8.0", False),
        ("total", "1-0:1.8.0", False),
        ("1.8.999", "1-0:1.8.0", False),
    ],
)
def test_a_code_names_objects_by_the_groups_it_has(code: str, obis: str, means: bool) -> None:
    assert DataSet(code, (("1", None),)).means(Obis.parse(obis)) is means


def test_values_units_and_continued_lines_are_kept_as_they_are_written() -> None:
    text = (
        "0.0.0(00012345)\r\n1.8.0(0001240.10*kWh)1.8.1(0000007*kWh)\r\n"
        "1.6.1(00.123*kW)(2306011215)\r\n0.2.0(A (b\r\nP.01(230601)(08)\r\n(0001)\r\n!\r\n"
    )
    assert list(data_sets(text)) == [
        DataSet("0.0.0", (("00012345", None),)),
        DataSet("1.8.0", (("0001240.10", "kWh"),)),
        DataSet("1.8.1", (("0000007", "kWh"),)),
        DataSet("1.6.1", (("00.123", "kW"), ("2306011215", None))),
        DataSet("P.01", (("230601", None), ("08", None), ("0001", None))),
    ]


def test_the_first_of_equal_codes_is_meant() -> None:
    sets = list(data_sets("1.8.0(1)\r\n1.8.0(2)\r\n"))
    found = find(sets, Obis.parse("1-0:1.8.0"))
    assert found is not None
    assert found.values == (("1", None),)
    assert find(sets, Obis.parse("1-0:2.8.0")) is None


def test_garbage_and_floods_end() -> None:
    assert list(data_sets("\x00(((()))!/")) in ([], [DataSet("", (("", None),))])
    assert len(list(data_sets("1.8.0(1)\r\n" * 100_000))) <= 4000
