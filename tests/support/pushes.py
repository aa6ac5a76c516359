"""Pushes in the shapes of six makers' meters, written for the tests: what they hold is invented.

The shapes (framing, ciphering, order and types of what is in them) are those that users of these
meters describe in public. Serial numbers, keys and values are our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from dlms_connector.config import Device, load
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, array, encode, encode_length, structure
from dlms_connector.protocol.datalink import Frame, PushFraming, wrapper
from dlms_connector.protocol.security import Keys

KEY = bytes(range(0x10, 0x20))
AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))
ENCRYPTED, AUTHENTICATED = 0x20, 0x10
LLC = b"\xe6\xe7\x00"
UI = 0x13

#: 2026-06-01 12:00:15, a Monday, UTC+2; and the same as Unix time in ms.
NOON = bytes.fromhex("07ea0601010c000fff") + (-120).to_bytes(2, "big", signed=True) + b"\x80"
NOON_MS = 1_780_308_015_000


@dataclass(frozen=True)
class MakersPush:
    """A push on the line, the device it is for, and the values that are right."""

    maker: str
    framing: PushFraming
    line: bytes
    device: Mapping[str, Any]
    values: Mapping[str, tuple[Any, str | None]]
    ts_ms: int = NOON_MS
    ciphered: bool = False
    #: Keys whose values must not be there.
    missing: Sequence[str] = field(default=())

    @property
    def loaded(self) -> Device:
        """The device, read as from a configuration."""
        return device_of(self.device)


def device_of(keys: Mapping[str, Any], name: str = "Meter") -> Device:
    """Return a device that only pushes, with these keys."""
    made = {"deviceName": name, "connection": {"type": "push"}, **keys}
    if "template" in keys:
        del made["connection"]
    loaded = load({"devices": [made]}, base=Path())
    assert not loaded.every_problem, loaded.every_problem
    return loaded.configuration.devices[0]


# Data


def obis(text: str) -> Data:
    return Data(DataType.OCTET_STRING, Obis.parse(text).octets)


def octets(value: bytes) -> Data:
    return Data(DataType.OCTET_STRING, value)


def text(value: str) -> Data:
    return Data(DataType.VISIBLE_STRING, value.encode())


def u32(value: int) -> Data:
    return Data(DataType.DOUBLE_LONG_UNSIGNED, value)


def u16(value: int) -> Data:
    return Data(DataType.LONG_UNSIGNED, value)


def i16(value: int) -> Data:
    return Data(DataType.LONG, value)


def i8(value: int) -> Data:
    return Data(DataType.INTEGER, value)


def scale(scaler: int, unit: int) -> Data:
    return structure(i8(scaler), Data(DataType.ENUM, unit))


def definition(class_id: int, name: str, attribute: int = 2) -> Data:
    return structure(u16(class_id), obis(name), i8(attribute), u16(0))


# APDUs


def data_notification(
    body: Data, moment: bytes = NOON, *, tagged: bool = False, invoke: bytes = bytes(4)
) -> bytes:
    """Return a DataNotification; `tagged` writes its date-time with the tag 09."""
    time = bytes((len(moment),)) + moment
    return b"\x0f" + invoke + (b"\x09" if tagged else b"") + time + encode(body)


def general_glo(
    plain: bytes,
    title: bytes,
    counter: int,
    control: int = ENCRYPTED | AUTHENTICATED,
    *,
    key: bytes = KEY,
) -> bytes:
    """Return an APDU in general-glo-ciphering."""
    authentication = AUTHENTICATION_KEY if control & AUTHENTICATED else b""
    sealed = Keys(0, key, authentication).seal(control, title, counter, plain)
    return b"\xdb\x08" + title + encode_length(len(sealed)) + sealed


def blocks(apdu: bytes, size: int) -> list[bytes]:
    """Return an APDU in general-block-transfer, streamed."""
    parts = [apdu[at : at + size] for at in range(0, len(apdu), size)]
    return [
        bytes((0xE0, 0x80 if number == len(parts) else 0x40))
        + number.to_bytes(2, "big")
        + bytes(2)
        + encode_length(len(part))
        + part
        for number, part in enumerate(parts, 1)
    ]


# Frames


def hdlc(
    *apdus: bytes, size: int = 2000, source: bytes = b"\x21", destination: bytes = b"\x2b"
) -> bytes:
    """Return APDUs in UI frames; in segments if they are longer than `size`."""
    line = b""
    for apdu in apdus:
        whole = LLC + apdu
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        for index, part in enumerate(parts):
            more = index + 1 < len(parts)
            line += Frame(destination, source, UI & ~0x10 if more else UI, part, more).encode()
    return line


def mbus(apdu: bytes, size: int = 245) -> bytes:
    """Return an APDU in M-Bus long frames, from transport address 1 to 103."""
    parts = [apdu[at : at + size] for at in range(0, len(apdu), size)]
    line = b""
    for number, part in enumerate(parts):
        last = 0x10 if number + 1 == len(parts) else 0
        body = bytes((0x53, 0xFF, number | last, 0x01, 0x67)) + part
        line += bytes((0x68, len(body), len(body), 0x68)) + body
        line += bytes((sum(body) & 0xFF, 0x16))
    return line


def wrapped(apdu: bytes, source: int = 1, destination: int = 103) -> bytes:
    """Return an APDU with a wrapper header."""
    return wrapper.encode(source, destination, apdu)


# The makers


def _kamstrup() -> MakersPush:
    """Omnipower, customer port: names before values, no scalers, a clock without deviation."""
    body = structure(
        text("Kamstrup_V0001"),
        obis("1-1:0.0.5"), text("5706567000000001"),
        obis("1-1:96.1.1"), text("6841121BN243101040"),
        obis("1-1:1.7.0"), u32(1724),
        obis("1-1:2.7.0"), u32(0),
        obis("1-1:31.7.0"), u32(612),
        obis("1-1:51.7.0"), u32(155),
        obis("1-1:32.7.0"), u16(234),
    )  # fmt: skip
    moment = bytes.fromhex("07ea0601010c000fff800080")
    return MakersPush(
        "Kamstrup",
        "HDLC",
        hdlc(data_notification(body, moment)),
        {
            "push": {"logicalDeviceName": "5706567000000001"},
            "dlms": {"timeZone": "+01:00"},
            "timeseries": [
                {"key": "power", "obis": "1-1:1.7.0", "scaler": 0, "unit": "W"},
                {"key": "current_l1", "obis": "1-1:31.7.0", "scaler": -2, "unit": "A"},
                {"key": "current_l2", "obis": "1-1:51.7.0"},
            ],
        },
        {
            "power": (1724, "W"),
            "current_l1": (Decimal("6.12"), "A"),
            "1-1:32.7.0:raw": (234, None),
            "1-1:96.1.1": ("6841121BN243101040", None),
        },
        ts_ms=NOON_MS + 3_600_000,
        missing=("current_l2",),
    )


_KAIFA_TITLE = b"KFM\x10\x20\x01\x23\x45"


def _energy_list(serial: bytes) -> Data:
    return structure(
        octets(NOON),
        obis("1-0:1.8.0"), u32(14_507_321), scale(0, 30),
        obis("1-0:2.8.0"), u32(20_482), scale(0, 30),
        obis("1-0:1.7.0"), u32(311), scale(0, 27),
        obis("1-0:32.7.0"), u16(2337), scale(-1, 35),
        obis("1-0:31.7.0"), u16(142), scale(-2, 33),
        obis("1-0:13.7.0"), i16(987), scale(-3, 255),
        octets(serial),
    )  # fmt: skip


def _energy_values() -> Mapping[str, tuple[Any, str | None]]:
    return {
        "energy": (14_507_321, "Wh"),
        "1-0:2.8.0": (20_482, "Wh"),
        "1-0:1.7.0": (311, "W"),
        "1-0:32.7.0": (Decimal("233.7"), "V"),
        "1-0:31.7.0": (Decimal("1.42"), "A"),
        "1-0:13.7.0": (Decimal("0.987"), None),
    }


def _kaifa() -> MakersPush:
    """MA309, customer port: M-Bus, two long frames, encrypted without a tag."""
    plain = data_notification(_energy_list(b"1KFM020000001"), tagged=True)
    apdu = general_glo(plain, _KAIFA_TITLE, 0x1234, ENCRYPTED)
    return MakersPush(
        "Kaifa",
        "MBUS",
        mbus(apdu, 100),
        {
            "push": {"systemTitle": _KAIFA_TITLE.hex()},
            "dlms": {"security": "ENCRYPTION", "blockCipherKey": KEY.hex()},
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
        },
        _energy_values(),
        ciphered=True,
    )


def _kaifa_positions() -> MakersPush:
    """MA304: values without names, the date-time of the APDU with its tag."""
    body = structure(
        octets(b"KFM_001"), octets(b"6970631400000001"), octets(b"MA304H3E"),
        u32(1502), u32(0), u32(0), u32(112), u32(6543), u32(2312),
    )  # fmt: skip
    names = [
        {},
        {"obis": "0-0:96.1.0", "class": "data"},
        {"obis": "0-0:96.1.7", "class": "data"},
        {"obis": "1-0:1.7.0", "scaler": 0, "unit": "W"},
        {"obis": "1-0:2.7.0", "scaler": 0, "unit": "W"},
        {"obis": "1-0:3.7.0", "scaler": 0, "unit": "var"},
        {"obis": "1-0:4.7.0", "scaler": 0, "unit": "var"},
        {"obis": "1-0:31.7.0", "scaler": -3, "unit": "A"},
        {"obis": "1-0:32.7.0", "scaler": -1, "unit": "V"},
    ]
    return MakersPush(
        "Kaifa, by position",
        "HDLC",
        hdlc(data_notification(body, tagged=True, invoke=b"\x40\0\0\0")),
        {
            "push": {
                "logicalDeviceName": "6970631400000001",
                "layouts": [
                    {"objects": [{"obis": "1-0:1.7.0", "scaler": 0, "unit": "W"}]},
                    {"objects": names},
                ],
            },
            "attributes": [{"key": "serial", "obis": "0-0:96.1.0", "class": "data"}],
        },
        {
            "serial": ("6970631400000001", None),
            "1-0:1.7.0": (1502, "W"),
            "1-0:31.7.0": (Decimal("6.543"), "A"),
            "1-0:32.7.0": (Decimal("231.2"), "V"),
        },
    )


def _sagemcom() -> MakersPush:
    """T210-D, customer port: M-Bus, several frames, encrypted and authenticated."""
    title = b"SAG\x00\x11\x22\x33\x44"
    plain = data_notification(_energy_list(b"1SAG3100000001"))
    return MakersPush(
        "Sagemcom",
        "MBUS",
        mbus(general_glo(plain, title, 77), 90),
        {
            "push": {"systemTitle": title.hex()},
            "dlms": {
                "security": "AUTHENTICATION_ENCRYPTION",
                "blockCipherKey": KEY.hex(),
                "authenticationKey": AUTHENTICATION_KEY.hex(),
            },
            "timeseries": [{"key": "energy", "obis": "1-0:1.8.0"}],
        },
        _energy_values(),
        ciphered=True,
    )


def _iskraemeco() -> MakersPush:
    """AM550: general-block-transfer in UI frames; the body lists its objects first."""
    body = structure(
        array(
            definition(40, "0-8:25.9.0"),
            definition(1, "0-0:42.0.0"),
            definition(8, "0-0:1.0.0"),
            definition(3, "1-0:1.8.0"),
            definition(3, "1-0:1.8.0", 3),
            definition(3, "1-0:1.7.0"),
            definition(70, "0-0:96.3.10"),
        ),
        octets(b"ISK1030000000001"),
        octets(NOON),
        u32(5_512_000),
        scale(0, 30),
        u32(640),
        Data(DataType.BOOLEAN, True),
    )
    apdus = blocks(data_notification(body, invoke=b"\0\x05\x9c\x94"), 64)
    return MakersPush(
        "Iskraemeco",
        "HDLC",
        hdlc(*apdus, source=b"\x02\x23", destination=b"\x03"),
        {
            "push": {"logicalDeviceName": "ISK1030000000001"},
            "timeseries": [
                {"key": "energy", "obis": "1-0:1.8.0", "scaler": 0, "unit": "Wh"},
                {"key": "relay", "obis": "0-0:96.3.10", "class": "disconnectControl"},
            ],
        },
        {"energy": (5_512_000, "Wh"), "relay": (True, None), "1-0:1.7.0:raw": (640, None)},
    )


def _landis_gyr() -> MakersPush:
    """E450: one APDU in several HDLC frames (bit S), ciphered; the body lists its objects."""
    title = b"LGZ\x10\x30\x00\x00\x07"
    body = structure(
        array(
            definition(40, "0-9:25.9.0"),
            definition(8, "0-0:1.0.0"),
            definition(3, "1-1:32.7.0"),
            definition(3, "1-1:31.7.0"),
            definition(3, "1-1:1.8.0"),
        ),
        octets(NOON),
        u16(231),
        u16(78),
        u32(912_345),
    )
    plain = data_notification(body, b"")
    return MakersPush(
        "Landis+Gyr",
        "HDLC",
        hdlc(general_glo(plain, title, 4), size=70, source=b"\x02\x23", destination=b"\xcf"),
        {
            "push": {"systemTitle": title.hex()},
            "dlms": {
                "security": "AUTHENTICATION_ENCRYPTION",
                "blockCipherKey": KEY.hex(),
                "authenticationKey": AUTHENTICATION_KEY.hex(),
            },
            "timeseries": [
                {"key": "voltage", "obis": "1-1:32.7.0", "scaler": 0, "unit": "V"},
                {"key": "current", "obis": "1-1:31.7.0", "scaler": -2, "unit": "A"},
                {"key": "energy", "obis": "1-1:1.8.0", "scaler": 0, "unit": "Wh"},
            ],
        },
        {"voltage": (231, "V"), "current": (Decimal("0.78"), "A"), "energy": (912_345, "Wh")},
        ciphered=True,
    )


def _aidon() -> MakersPush:
    """Aidon 65xx: an array of structures of name, value, and scaler with unit."""
    body = array(
        structure(obis("1-1:0.2.129"), text("AIDON_V0001")),
        structure(obis("0-0:96.1.0"), text("7359992800000001")),
        structure(obis("1-0:1.7.0"), u32(1633), scale(0, 27)),
        structure(obis("1-0:31.7.0"), i16(71), scale(-1, 33)),
        structure(obis("1-0:32.7.0"), u16(2344), scale(-1, 35)),
    )
    return MakersPush(
        "Aidon",
        "HDLC",
        hdlc(
            data_notification(body, b"", invoke=b"\x40\0\0\0"),
            source=b"\x08\x83",
            destination=b"\x41",
        ),
        {
            "push": {"logicalDeviceName": "7359992800000001"},
            "timeseries": [{"key": "power", "obis": "1-0:1.7.0", "unit": "kW"}],
        },
        {
            "power": (1633, "W"),  # the converter changes the unit
            "1-0:31.7.0": (Decimal("7.1"), "A"),
            "1-0:32.7.0": (Decimal("234.4"), "V"),
        },
        ts_ms=0,
    )


def _zpa() -> MakersPush:
    """AM375, RS-485 push: structures of class, name, attribute and value; no scalers."""
    body = structure(
        structure(u16(1), obis("0-0:96.1.1"), i8(2), octets(b"1ZPA00000001")),
        structure(u16(70), obis("0-0:96.3.10"), i8(2), Data(DataType.BOOLEAN, False)),
        structure(u16(3), obis("1-0:1.7.0"), i8(2), u32(455)),
        structure(u16(3), obis("1-0:1.8.0"), i8(2), u32(77_001)),
    )
    return MakersPush(
        "ZPA",
        "HDLC",
        hdlc(data_notification(body, b"")),
        {
            "push": {"logicalDeviceName": "1ZPA00000001", "unlisted": False},
            "timeseries": [
                {"key": "power", "obis": "1-0:1.7.0", "scaler": 0, "unit": "W"},
                {"key": "relay", "obis": "0-0:96.3.10", "class": "disconnectControl"},
            ],
        },
        {"power": (455, "W"), "relay": (False, None)},
        ts_ms=0,
        missing=("1-0:1.8.0:raw", "0-0:96.1.1"),
    )


def _kaifa_preset() -> MakersPush:
    """MA304 with three phases, its longest list; the places are those of the preset."""
    body = structure(
        octets(b"KFM_001"), octets(b"6970631400000002"), octets(b"MA304H3E"),
        u32(2031), u32(0), u32(0), u32(77), u32(4410), u32(2210), u32(1208),
        u32(2318), u32(2297), u32(2305),
        octets(NOON), u32(40_381_000), u32(0), u32(1200), u32(309_000),
    )  # fmt: skip
    return MakersPush(
        "Kaifa, by its preset",
        "HDLC",
        hdlc(data_notification(body, tagged=True, invoke=b"\x40\0\0\0")),
        {"template": "kaifa-ma304-han", "push": {"logicalDeviceName": "6970631400000002"}},
        {
            "serialNumber": ("6970631400000002", None),
            "active_power": (2031, "W"),
            "current_l3": (Decimal("1.208"), "A"),
            "voltage_l2": (Decimal("229.7"), "V"),
            "active_energy": (40_381_000, "Wh"),
            "1-0:4.8.0": (309_000, "varh"),
        },
    )


def _kamstrup_preset() -> MakersPush:
    """Omnipower with the scalers of its preset."""
    body = structure(
        text("Kamstrup_V0001"),
        obis("1-1:0.0.5"), text("5706567000000002"),
        obis("1-1:31.7.0"), u32(612),
        obis("1-1:32.7.0"), u16(234),
        obis("0-1:1.0.0"), octets(bytes.fromhex("07ea0601010c000fff800080")),
        obis("1-1:1.8.0"), u32(1_734_512),
    )  # fmt: skip
    return MakersPush(
        "Kamstrup, by its preset",
        "HDLC",
        hdlc(data_notification(body, bytes.fromhex("07ea0601010c000fff800080"))),
        {"template": "kamstrup-omnipower-han", "push": {"logicalDeviceName": "5706567000000002"}},
        {
            "serialNumber": ("5706567000000002", None),
            "current_l1": (Decimal("6.12"), "A"),
            "voltage_l1": (234, "V"),
            "active_energy": (Decimal("17345.12"), "kWh"),
        },
        ts_ms=NOON_MS + 3_600_000,
    )


#: A push of each maker; `ts_ms` 0 means: it tells no time.
MAKERS = (
    _kamstrup(),
    _kaifa(),
    _kaifa_positions(),
    _sagemcom(),
    _iskraemeco(),
    _landis_gyr(),
    _aidon(),
    _zpa(),
    _kaifa_preset(),
    _kamstrup_preset(),
)
