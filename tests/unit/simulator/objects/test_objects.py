"""The simulated household: plausible, consistent, the same whenever asked; and its overrides."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.simulator import AccessError, Meter, MeterOptions, microstar
from dlms_connector.simulator.encoding.data import (
    FLOAT32,
    Data,
    MalformedError,
    array,
    boolean,
    decode,
    encode,
    enum,
    i8,
    structure,
    u16,
    u32,
)
from dlms_connector.simulator.objects.consumption import INSTALLED, make_consumption
from dlms_connector.simulator.objects.supply import Supply
from tests.support.simulated import NOW, ask, get, make_meter, open_session, reference


@pytest.mark.parametrize("serial", [1, 2, 77])
def test_energy_is_the_integral_of_power(serial: int) -> None:
    consumption = make_consumption(serial)
    spent = consumption.energy(NOW + 3600) - consumption.energy(NOW)
    mean = sum(consumption.power(NOW + second + 0.5) for second in range(3600)) / 3600
    assert spent == pytest.approx(mean, rel=1e-6)
    assert all(consumption.power(NOW + hour * 977) > 0 for hour in range(1000))


def test_tariffs_share_the_energy_by_the_clock() -> None:
    consumption = make_consumption(3)
    at = INSTALLED + 40 * 86_400 + 9 * 3600
    slow = sum(
        consumption.energy(INSTALLED + day * 86_400 + min(22, 9 if day == 40 else 22) * 3600)
        - consumption.energy(INSTALLED + day * 86_400 + 6 * 3600)
        for day in range(41)
    )
    assert consumption.energy_by_day(at) == pytest.approx(slow, rel=1e-9)


def test_a_cut_supply_spends_nothing() -> None:
    supply = Supply(make_consumption(1))
    supply.cut(NOW)
    assert supply.power(NOW + 10) == 0
    assert supply.energy(NOW + 1000) == pytest.approx(supply.energy(NOW))
    supply.restore(NOW + 1000)
    assert supply.power(NOW + 1000) > 0
    assert supply.energy(NOW + 2000) > supply.energy(NOW + 1000)


def test_two_meters_differ_and_one_is_always_the_same() -> None:
    def values(serial: int) -> list[Any]:
        session = open_session(make_meter(serial=serial))
        return [get(session, 3, f"1-0:{c}.7.0").value for c in (1, 31, 32)]

    assert values(5) == values(5)
    assert values(5) != values(6)


def test_every_attribute_can_be_read_and_encoded() -> None:
    for options in (MeterOptions(now=lambda: NOW), microstar(now=lambda: NOW)):
        meter = Meter(options)
        for (class_id, name), found in meter.objects.items():
            for attribute in found.attributes:
                value = meter.value(class_id, name, attribute)
                if value.tag != FLOAT32:
                    assert decode(encode(value)) == value


def test_the_clock_is_set_and_shifted() -> None:
    meter = make_meter(utc_offset_minutes=120)
    session = open_session(meter)
    assert get(session, 8, "0-0:1.0.0").value == bytes.fromhex("07EA091501100D1400FF8800")
    earlier = encode(Data(9, bytes.fromhex("07EA091501100C1400FF8800")))
    request = b"\xc1\x01\xc1" + reference(8, "0-0:1.0.0", 2) + b"\x00" + earlier
    assert ask(session, request) == b"\xc5\x01\xc1\x00"
    assert meter.clock() == NOW - 60
    assert meter.events == [(NOW - 60, 4)]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_sign_of_the_deviation(sign: Any) -> None:
    meter = make_meter(utc_offset_minutes=330, time_zone_sign=sign)
    value = meter.value(8, bytes.fromhex("0000010000FF"), 2).value
    assert int.from_bytes(value[9:11], "big", signed=True) == sign * 330
    assert value[5:7] == bytes((19, 43))


def test_overrides() -> None:
    meter = make_meter(
        overrides={
            "1-0:32.7.0": {
                "attributes": {
                    "2": {"type": "long-unsigned", "value": 65535},
                    "3": {
                        "type": "structure",
                        "value": [{"type": "integer", "value": -2}, {"type": "enum", "value": 35}],
                    },
                },
                "writable": [2],
            },
            "1-0:14.7.0": {"attributes": {"2": {"error": 11}}},
            "0-0:96.1.0": {"attributes": {"2": {"hex": "0A03414243"}}},
            "1-0:99.99.0": {"class": "data", "attributes": {"2": {"type": "null-data"}}},
        }
    )
    session = open_session(meter)
    assert get(session, 3, "1-0:32.7.0") == u16(65535)
    assert get(session, 3, "1-0:32.7.0", 3) == structure(i8(-2), enum(35))
    assert get(session, 1, "0-0:96.1.0") == Data(10, b"ABC")
    assert get(session, 1, "1-0:99.99.0") == Data(0)
    request = b"\xc0\x01\xc1" + reference(3, "1-0:14.7.0", 2) + b"\x00"
    assert ask(session, request) == b"\xc4\x01\xc1\x01\x0b"


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"1-0:1.8": {}}, "not an OBIS code"),
        ({"1-0:1.8.0": {"attribute": {}}}, "unknown key attribute"),
        ({"1-0:1.8.0": {"attributes": {"2": {"type": "int"}}}}, "type 'int' is none of"),
        (
            {"1-0:1.8.0": {"attributes": {"2": {"type": "unsigned", "value": 256}}}},
            "256 does not fit unsigned",
        ),
        (
            {"1-0:1.8.0": {"attributes": {"2": {"type": "array", "value": 3}}}},
            "attribute 2: a list is expected, not 3",
        ),
        (
            {"1-0:1.8.0": {"attributes": {"2": {"type": "octet-string", "value": "zz"}}}},
            "attribute 2: 'zz' does not fit octet-string",
        ),
        ({"1-0:1.8.0": 5}, "1-0:1.8.0: an object is expected, not 5"),
        ({"1-0:1.8.0": {"attributes": []}}, "attributes: an object is expected"),
        ({"1-0:1.8.0": {"attributes": {"2": 5}}}, "attribute 2: an object is expected, not 5"),
        ({"1-0:1.8.0": {"attributes": {"x": {}}}}, "attribute 'x' is not a number"),
        ({"1-0:1.8.0": {"attributes": {"2": {"hex": "zz"}}}}, "hex 'zz' is no A-XDR value"),
        ({"1-0:1.8.0": {"attributes": {"2": {"hex": 5}}}}, "hex 5 is no A-XDR value"),
        ({"1-0:1.8.0": {"attributes": {"2": {"hex": "1200"}}}}, "hex '1200' is no A-XDR value"),
        ({"1-0:1.8.0": {"attributes": {"2": {"error": "x"}}}}, "a number is expected, not 'x'"),
        ({"1-0:1.8.0": {"writable": 2}}, "writable: a list of numbers is expected, not 2"),
        (
            {"1-0:1.8.0": {"attributes": {"2": {"type": "array", "value": [3]}}}},
            "an object is expected, not 3",
        ),
    ],
)
def test_wrong_overrides_are_explained(overrides: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_meter(overrides=overrides)


def test_values_can_be_put_while_running() -> None:
    meter = make_meter()
    session = open_session(meter)
    meter.put(3, "1-0:32.7.0", 2, u32(5))
    assert get(session, 3, "1-0:32.7.0") == u32(5)
    meter.put(3, "1-0:32.7.0", 2, AccessError(2))
    request = b"\xc0\x01\xc1" + reference(3, "1-0:32.7.0", 2) + b"\x00"
    assert ask(session, request) == b"\xc4\x01\xc1\x01\x02"


@pytest.mark.parametrize(
    "octets",
    ["", "06", "0901", "02FF00", "0185FFFFFFFFFF", "FE", "0600000001" + "00", "01" * 40],
)
def test_malformed_data_is_refused(octets: str) -> None:
    with pytest.raises(MalformedError):
        decode(bytes.fromhex(octets))


def test_data_of_every_type_survives() -> None:
    samples = [
        *(Data(tag, 1) for tag in (5, 6, 13, 15, 16, 17, 18, 20, 21, 22)),
        *(Data(tag, b"abc") for tag in (9, 10, 12)),
        Data(4, "0100110001"),
        Data(23, 0.5),
        Data(24, 0.1),
        Data(25, bytes(12)),
        Data(26, bytes(5)),
        Data(27, bytes(4)),
        boolean(True),
        Data(9, bytes(300)),
    ]
    assert decode(encode(array(*samples))) == array(*samples)
