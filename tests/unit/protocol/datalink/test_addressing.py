from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config.model import Dlms
from dlms_connector.errors import ConfigError
from dlms_connector.protocol.datalink.addressing import (
    client_address,
    evaluate_formula,
    is_broadcast,
    server_address,
    server_address_of,
    split_server_address,
)


@pytest.mark.parametrize(
    ("logical", "physical", "size", "octets"),
    [
        (0, 1, None, "03"),
        (0, 127, None, "ff"),
        (1, 1, None, "02 03"),
        (1, 17, 4, "00 02 00 23"),
        (1, 17, None, "02 23"),
        (1, 2836, None, "00 02 2c 29"),
        (0, 144, None, "02 21"),  # in one field: the same as 1 and 16
        (0, 144, 4, "00 00 02 21"),
        (16383, 16383, None, "fe fe fe ff"),
        (1, 0, 1, "03"),
        (1, 0, None, "03"),
        (0, 1, 2, "00 03"),
        (1, 127, None, "02 ff"),
    ],
)
def test_octets(logical: int, physical: int, size: int | None, octets: str) -> None:
    assert server_address(logical, physical, size) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("logical", "physical", "size"),
    [(1, 1, 1), (0, 128, 1), (128, 1, 2), (1, 128, 2), (0, 9**9, 4)],
)
def test_what_does_not_fit_is_refused(logical: int, physical: int, size: int) -> None:
    with pytest.raises(ConfigError, match=r"dlms\.addressSize: .* does not fit"):
        server_address(logical, physical, size)


@given(st.integers(0, 16383), st.integers(0, 16383))
def test_four_octets_hold_any_address(logical: int, physical: int) -> None:
    assert split_server_address(server_address(logical, physical, 4)) == (logical, physical)


def test_split() -> None:
    assert split_server_address(b"\x03") == (0, 1)
    assert split_server_address(b"\x02\x23") == (1, 17)


@pytest.mark.parametrize(
    ("octets", "broadcast"),
    [("ff", True), ("02 ff", True), ("00 02 fe ff", True), ("00 02 00 23", False), ("03", False)],
)
def test_broadcast(octets: str, broadcast: bool) -> None:
    assert is_broadcast(bytes.fromhex(octets)) is broadcast


def test_client() -> None:
    assert client_address(16) == b"\x21"


def test_serial_number_is_cut_to_its_last_four_digits() -> None:
    dlms = Dlms(serial_number=12342836, logical_address=1)
    assert server_address_of(dlms) == server_address(1, 2836)


def test_serial_number_by_formula() -> None:
    dlms = Dlms(
        serial_number=53_000_042, serial_number_formula="sn % 10000 + 1000", logical_address=1
    )
    assert server_address_of(dlms) == server_address(1, 1042)


def test_serial_number_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"makes 99999 of the serial number"):
        server_address_of(Dlms(serial_number=99999, serial_number_formula="SN"))


def test_without_serial_number() -> None:
    assert server_address_of(Dlms(logical_address=1, physical_address=17, address_size=4)) == (
        bytes.fromhex("00020023")
    )


@pytest.mark.parametrize(
    ("formula", "result"), [("SN%100", 45), (" (SN - 5) / 2 * 3 ", 18510), ("SN // 10000 + 2", 3)]
)
def test_formula(formula: str, result: int) -> None:
    assert evaluate_formula(formula, 12345) == result


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "SN %",
        "SN ** 99",
        "__import__('os')",
        "x + 1",
        "SN / 0",
        "SN.real",
        "1.5",
        "True",
        "-SN",
        "9" * 300,
        "(" * 150 + ")" * 150,
        "*".join(["SN"] * 40),
    ],
)
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(ConfigError, match=r"dlms\.serialNumberFormula"):
        evaluate_formula(formula, 12345)
