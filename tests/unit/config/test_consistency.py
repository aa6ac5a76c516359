from typing import Any

import pytest

from dlms_connector.config.consistency import contradictions
from dlms_connector.config.items import Item
from dlms_connector.config.model import Device
from dlms_connector.obis import Obis

KEY = "00" * 16
LONG_KEY = "00" * 32
TITLE = "4D4D4D0000000001"
TCP = {"host": "h"}
SERIAL = {"type": "serial", "port": "/dev/ttyS0"}
UDP = {"type": "udp", "host": "h"}


def found(connection: dict[str, Any] | None = None, **dlms: Any) -> list[str]:
    device = Device.model_validate(
        {"deviceName": "m", "connection": connection or TCP, "dlms": dlms}
    )
    return [str(location[-1]) for location, _ in contradictions(device)]


@pytest.mark.parametrize(
    ("connection", "framing", "wrong"),
    [
        (TCP, "HDLC", False),
        (TCP, "WRAPPER", False),
        (TCP, "HDLC_WITH_MODE_E", False),
        (SERIAL, "HDLC", False),
        (SERIAL, "HDLC_WITH_MODE_E", False),
        (SERIAL, "WRAPPER", True),
        (UDP, "WRAPPER", False),
        (UDP, "HDLC", True),
    ],
)
def test_framing(connection: dict[str, Any], framing: str, wrong: bool) -> None:
    assert found(connection, interfaceType=framing) == ["interfaceType"] * wrong


@pytest.mark.parametrize(
    ("logical", "physical", "size", "fits"),
    [
        (0, 1, None, True),
        (0, 144, None, True),
        (1, 17, 1, False),
        (0, 127, 1, True),
        (127, 0, 1, True),
        (0, 128, 1, False),
        (127, 127, 2, True),
        (1, 128, 2, False),
        (0, 16383, 2, True),
        (1, 2836, 2, False),
        (1, 2836, 4, True),
        (16383, 16383, None, True),
    ],
)
def test_addresses(logical: int, physical: int, size: int | None, fits: bool) -> None:
    problems = found(logicalAddress=logical, physicalAddress=physical, addressSize=size)
    assert problems == ([] if fits else ["addressSize"])


def test_the_wrapper_has_16_bits() -> None:
    assert found(interfaceType="WRAPPER", logicalAddress=65535) == []
    assert found(interfaceType="HDLC", logicalAddress=16384) == ["logicalAddress"]


@pytest.mark.parametrize("kind", ["LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1"])
def test_passwords(kind: str) -> None:
    assert found(authentication=kind) == ["password"]
    assert found(authentication=kind, password="x") == []


def test_gmac_needs_title_and_keys() -> None:
    assert found(authentication="HIGH_GMAC") == [
        *("systemTitle", "authenticationKey", "blockCipherKey")
    ]
    keys: dict[str, Any] = {"authenticationKey": KEY, "blockCipherKey": KEY, "systemTitle": TITLE}
    assert found(authentication="HIGH_GMAC", **keys) == []


@pytest.mark.parametrize(
    ("security", "needs"),
    [
        ("NONE", []),
        ("ENCRYPTION", ["systemTitle", "blockCipherKey"]),
        ("AUTHENTICATION", ["systemTitle", "authenticationKey", "blockCipherKey"]),
        ("AUTHENTICATION_ENCRYPTION", ["systemTitle", "authenticationKey", "blockCipherKey"]),
    ],
)
def test_security_needs_title_and_keys(security: str, needs: list[str]) -> None:
    assert found(security=security) == needs


@pytest.mark.parametrize(("suite", "key"), [(0, KEY), (1, KEY), (2, LONG_KEY)])
def test_keys_have_the_length_of_the_suite(suite: int, key: str) -> None:
    assert found(securitySuite=suite, authenticationKey=key) == []
    assert found(securitySuite=suite, authenticationKey=key[2:]) == ["authenticationKey"]


def test_a_dedicated_key_needs_encryption() -> None:
    keys: dict[str, Any] = {"blockCipherKey": KEY, "authenticationKey": KEY, "dedicatedKey": KEY}
    assert found(systemTitle=TITLE, security="ENCRYPTION", **keys) == []
    assert found(systemTitle=TITLE, security="AUTHENTICATION", **keys) == ["security"]
    assert found(dedicatedKey=KEY) == ["security"]


@pytest.mark.parametrize(
    ("suite", "private", "public", "wrong"),
    [
        (0, 32, 64, ["securitySuite"]),
        (1, 32, 64, []),
        (1, 32, 65, []),
        (2, 48, 96, []),
        (1, 48, 64, ["signingKey"]),
        (2, 48, 64, ["serverSigningKey"]),
    ],
)
def test_signing_keys(suite: int, private: int, public: int, wrong: list[str]) -> None:
    keys = {"signingKey": "01" * private, "serverSigningKey": "02" * public}
    dlms: dict[str, Any] = {"authentication": "HIGH_ECDSA", "systemTitle": TITLE, **keys}
    assert found(securitySuite=suite, **dlms) == wrong


def test_ecdsa_needs_signing_keys() -> None:
    assert found(authentication="HIGH_ECDSA", systemTitle=TITLE, securitySuite=1) == [
        *("signingKey", "serverSigningKey")
    ]


def test_signing_needs_signing_keys() -> None:
    device = Device.model_validate(
        {"deviceName": "m", "connection": TCP, "workarounds": {"sign": "handshake"}}
    )
    wrong = [str(location[-1]) for location, _ in contradictions(device)]
    assert wrong == ["securitySuite", "systemTitle"]


def test_titles_have_eight_bytes() -> None:
    assert found(systemTitle=TITLE, serverSystemTitle="00" * 7) == ["serverSystemTitle"]


def test_names_are_used_once() -> None:
    items = [{"key": key, "obis": "1-0:1.8.0"} for key in "aba"]
    device = Device.model_validate(
        {
            "deviceName": "m",
            "connection": TCP,
            "timeseries": items,
            "attributes": items[:2],
            "serverSideRpc": [{"method": "m", "obis": "1-0:1.8.0"}] * 2,
        }
    )
    assert list(contradictions(device)) == [
        (("timeseries", 2, "key"), "'a' is there already"),
        (("serverSideRpc", 1, "method"), "'m' is there already"),
    ]


LISTEN = {"type": "listen"}
CIPHERED = {
    "security": "AUTHENTICATION_ENCRYPTION",
    "systemTitle": TITLE,
    "authenticationKey": KEY,
    "blockCipherKey": KEY,
}
LOW = {"authentication": "LOW", "password": "x"}


@pytest.mark.parametrize(
    ("connection", "dlms", "problems"),
    [
        ({}, {}, ["peer"]),
        ({"peer": "10.0.0.5"}, {}, []),
        ({"peer": "10.0.0.5"}, LOW | CIPHERED, []),
        ({"serialNumber": 12345}, {}, []),
        ({"serialNumber": "A", "peer": "10.0.0.5"}, {}, ["serialNumber"]),
        ({"systemTitle": "4D4D4D"}, {}, ["systemTitle"]),
        ({"serialNumber": "A"}, LOW, ["allow"]),
        ({"serialNumber": "A", "allow": ["10.0.0.0/8"]}, LOW, []),
        ({"serialNumber": "A", "identifyAs": "public"}, LOW, []),
        ({"systemTitle": TITLE}, CIPHERED, ["invocationCounter"]),
        ({"systemTitle": TITLE}, CIPHERED | {"invocationCounter": "0-0:43.1.0"}, []),
        ({"systemTitle": TITLE, "identifyAs": "public"}, CIPHERED, []),
    ],
)
def test_meters_that_dial_in(
    connection: dict[str, Any], dlms: dict[str, Any], problems: list[str]
) -> None:
    assert found(LISTEN | connection, **dlms) == problems


def test_base_names_are_for_meters_with_short_names() -> None:
    item = {"key": "e", "obis": "1-0:1.8.0", "baseName": "0x2BC0"}
    device = {"deviceName": "M", "connection": {"host": "h"}, "timeseries": [item]}
    with_names = {**device, "dlms": {"referencing": "SN"}}
    known = Device.model_validate(with_names)
    assert known.base_names == {(3, Obis.parse("1-0:1.8.0")): 0x2BC0}
    assert not list(contradictions(known))
    ((where, problem),) = contradictions(Device.model_validate(device))
    assert where == ("timeseries", 0, "baseName")
    assert "dlms.referencing is LN" in problem
    update = {"key": "x", "obis": "1-0:1.8.0", "attribute": 3, "baseName": 8}
    twice = Device.model_validate({**with_names, "attributeUpdates": [update]})
    ((where, _),) = contradictions(twice)
    assert where == ("attributeUpdates", 0, "baseName")


@pytest.mark.parametrize("name", ["0x", "2BC0", "0x12345", -1, 65536, True, 1.5])
def test_what_is_no_base_name(name: object) -> None:
    item = {"key": "e", "obis": "1-0:1.8.0", "baseName": name}
    with pytest.raises(ValueError, match="baseName"):
        Item.model_validate(item)
