"""Communication setup objects (classes 23, 41, 42, 43, 40, 47) and an M-Bus meter."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    TEXT,
    UINT32,
    Data,
    array,
    boolean,
    enum,
    i8,
    octets,
    structure,
    u8,
    u16,
    u32,
)
from dlms_connector.simulator.objects import measurements as m
from dlms_connector.simulator.objects import moments
from dlms_connector.simulator.objects.consumption import INSTALLED, sway
from dlms_connector.simulator.objects.cosem_object import CosemObject, Source, logical_name
from dlms_connector.simulator.objects.view import MeterView

_BAUD_9600 = 5
_CUBIC_METRES = 13
_IPV4 = logical_name("0-0:25.1.0")
_MAC = logical_name("0-0:25.2.0")


def _info_size(meter: MeterView) -> Data:
    return u16(meter.options.max_info)


def _window(meter: MeterView) -> Data:
    return u8(meter.options.window)


def _physical_address(meter: MeterView) -> Data:
    return u16(meter.options.physical_address)


def _inactivity(meter: MeterView) -> Data:
    return u16(int(meter.faults["inactivity"]))


def _mac_address(meter: MeterView) -> Data:
    return octets(b"\x02\x00" + meter.seed.to_bytes(4, "big"))


def _ip_address(meter: MeterView) -> Data:
    return u32(0x0A000000 | meter.seed & 0xFFFFFF)


def _gas_volume(meter: MeterView) -> Data:
    hours = (meter.measuring() - INSTALLED) // 3600
    return Data(UINT32, int(hours * 150 + meter.seed))


def _gas_time(meter: MeterView) -> Data:
    return moments.write(meter, meter.measuring() // 3600 * 3600)


def _cell(meter: MeterView) -> Data:
    quality = round(18 + 6 * sway(meter.seed, meter.measuring(), 5000.0))
    return structure(u16(4711), u16(815), u8(quality), u8(0))


def _mbus_serial(meter: MeterView) -> Data:
    return u32(int(f"{meter.seed % 100_000_000:08d}", 16))


def make_communication() -> list[CosemObject]:
    """Make the communication setup objects and the M-Bus meter."""
    pushed = (8, "0-0:1.0.0"), (1, "0-0:42.0.0"), (3, "1-0:1.8.0")
    push_list = array(
        *(structure(u16(c), octets(logical_name(text)), i8(2), u16(0)) for c, text in pushed)
    )
    push: dict[int, Source] = {
        2: push_list,
        3: structure(enum(0), octets(b"127.0.0.1:4059"), enum(0)),
        4: array(),
        5: u16(0),
        6: u8(3),
        7: u16(60),
    }
    ipv4: dict[int, Source] = {
        2: octets(_MAC),
        3: _ip_address,
        4: array(),
        5: array(),
        6: u32(0xFF000000),
    }
    ipv4 |= {7: u32(0x0A000001), 8: boolean(False), 9: u32(0x01010101), 10: u32(0x08080808)}
    hdlc: dict[int, Source] = {
        2: enum(_BAUD_9600),
        3: _window,
        4: _window,
        5: _info_size,
        6: _info_size,
    }
    hdlc |= {7: u16(25), 8: _inactivity, 9: _physical_address}
    gsm: dict[int, Source] = {
        2: Data(TEXT, b"SIMNET"),
        3: enum(1),
        4: enum(0),
        5: enum(4),
        6: _cell,
        7: array(),
    }
    mbus: dict[int, Source] = {
        2: octets(logical_name("0-0:24.6.0")),
        3: array(),
        4: u32(3600),
        5: u8(1),
    }
    mbus |= {6: _mbus_serial, 7: u16(0x4D2D), 8: u8(1), 9: u8(3), 10: u8(0), 11: u8(0)}
    mbus |= {12: u8(0), 13: u16(0), 14: enum(0)}
    gas: dict[int, Source] = {
        2: _gas_volume,
        3: m.scaler_unit(-3, _CUBIC_METRES),
        4: u8(0),
        5: _gas_time,
    }
    return [
        CosemObject(23, logical_name("0-0:22.0.0"), hdlc, 1, writable={2: None, 8: None}),
        CosemObject(
            41,
            logical_name("0-0:25.0.0"),
            {2: u16(4059), 3: octets(_IPV4), 4: u16(1280), 5: u8(1), 6: _inactivity},
        ),
        CosemObject(42, _IPV4, ipv4, writable={3: None, 6: None, 7: None, 8: None}),
        CosemObject(43, _MAC, {2: _mac_address}),
        CosemObject(
            40,
            logical_name("0-0:25.9.0"),
            push,
            writable=dict.fromkeys(range(2, 8)),
            methods={1: lambda meter, argument: NOTHING},
        ),
        CosemObject(47, logical_name("0-0:25.6.0"), {**gsm, 8: _gas_time}),
        CosemObject(72, logical_name("0-1:24.1.0"), mbus, 1, writable={4: None, 5: None}),
        CosemObject(4, logical_name("0-1:24.2.1"), gas),
    ]
