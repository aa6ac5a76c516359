"""Names of meters."""

from __future__ import annotations

import pytest

from dlms_connector.discovery.entry import device_name
from dlms_connector.discovery.naming import own_name


@pytest.mark.parametrize(
    ("value", "octets", "name"),
    [
        ("00000001", b"00000001", "00000001"),
        (12345678, None, "12345678"),
        ("LGZ1030655933512", b"LGZ1030655933512", "LGZ1030655933512"),
        ("4C475A6773785501", bytes.fromhex("4C475A6773785501"), "LGZ6773785501"),
        ("192.168.1.127", b"192.168.1.127", None),
        ("192.168.1.127:4059", b"192.168.1.127:4059", None),
        ("C0A8017F", bytes.fromhex("C0A8017F"), None),
        ("02:00:5E:10:00:01", None, None),
        ("0100010800FF", bytes.fromhex("0100010800FF"), None),
        ("2026-11-27T04:44:17+00:00", bytes.fromhex("07EA0B1B05042C11FF000000"), None),
        ("1-0:1.8.0*255", None, None),
        ("fe80::1", None, None),
        ("00000000", b"00000000", None),
        ("FFFFFFFF", None, None),
        ("", b"", None),
        (0, None, None),
        (True, None, None),
        ([1], None, None),
        (None, None, None),
    ],
)
def test_only_what_names_a_meter_is_its_name(
    value: object, octets: bytes | None, name: str | None
) -> None:
    assert own_name(value, octets) == name


def test_a_device_without_a_name_is_called_by_its_endpoint() -> None:
    assert device_name(None, "tcp://192.168.1.127:4059") == "DLMS-Meter-192.168.1.127-4059"
    assert device_name(None, "serial:/dev/ttyUSB0") == "DLMS-Meter-ttyUSB0"
