"""Who sent a push, whether it is genuine and new, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.config import AutoCreate, Device, load
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, array, encode, structure
from dlms_connector.protocol.security import Keys
from dlms_connector.push.caller import Caller, Taken
from dlms_connector.push.mapping import definitions
from dlms_connector.state import PushedCounters
from tests.support.pushes import (
    AUTHENTICATION_KEY,
    KEY,
    NOON,
    NOON_MS,
    blocks,
    data_notification,
    definition,
    device_of,
    general_glo,
    obis,
    octets,
    scale,
    text,
    u16,
    u32,
)
from tests.support.pushing import LOG, NOW_MS, Clock, Collected, receiver_of

TITLE = b"MMM\0\0\0\0\1"
KEYS = {
    "security": "AUTHENTICATION_ENCRYPTION",
    "blockCipherKey": KEY.hex(),
    "authenticationKey": AUTHENTICATION_KEY.hex(),
}
CIPHERED = {"push": {"systemTitle": TITLE.hex()}, "dlms": KEYS}
NAMED = structure(obis("1-0:1.8.0"), u32(7123), scale(1, 30))
ENERGY = {"1-0:1.8.0": (71230, "Wh")}


@pytest.fixture
def sink() -> Collected:
    return Collected()


@pytest.fixture(autouse=True)
def _hear_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")


def caller(**more: Any) -> Caller:
    return Caller("tcp://0.0.0.0:4059", "10.0.0.9", **more)


# Who


def test_by_system_title(sink: Collected) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    taken = receiver.take(general_glo(data_notification(NAMED), TITLE, 1), caller())
    assert taken.device is not None
    assert sink.values == ENERGY
    assert sink.readings[0].ts_ms == NOON_MS


@pytest.mark.parametrize("place", ["dlms.serverSystemTitle", "connection.systemTitle"])
def test_by_the_title_of_a_polled_meter(sink: Collected, place: str) -> None:
    connection: dict[str, Any] = {"type": "listen", "systemTitle": TITLE.hex()}
    dlms: dict[str, Any] = {
        **KEYS, "systemTitle": "4d4d4d0000000099", "invocationCounter": "0-0:43.1.0",
    }  # fmt: skip
    if place.startswith("dlms"):
        connection = {"type": "tcp", "host": "10.0.0.9"}
        dlms["serverSystemTitle"] = TITLE.hex()
    device = device_of({"connection": connection, "dlms": dlms})
    receiver = receiver_of(device, sink=sink)
    receiver.take(general_glo(data_notification(NAMED), TITLE, 1), Caller("x", "10.9.9.9"))
    assert sink.values == ENERGY
    assert sink.states == [], "the fleet tells the state of a polled meter"


@pytest.mark.parametrize(
    "push", [{"logicalDeviceName": "MMM1"}, {"peer": "10.0.0.9"}, {"systemTitle": TITLE.hex()}]
)
def test_in_clear_by_name_or_address(sink: Collected, push: dict[str, Any]) -> None:
    receiver = receiver_of(device_of({"push": push}), sink=sink)
    body = structure(*NAMED.value, obis("0-0:42.0.0"), octets(b"MMM1"))
    taken = receiver.take(data_notification(body), caller())
    known = "systemTitle" not in push
    assert (taken.device is not None) == known
    assert sink.values == (ENERGY | {"0-0:42.0.0": ("MMM1", None)} if known else {})


def test_the_only_device_at_a_listener(sink: Collected) -> None:
    receiver = receiver_of(device_of({}), device_of({}, "Other"), sink=sink)
    receiver.take(data_notification(NAMED), caller(device="Other"))
    assert sink.devices == ["Other"]


def test_an_unknown_meter_is_told_once(sink: Collected, caplog: pytest.LogCaptureFixture) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    for counter in range(5):
        apdu = general_glo(data_notification(NAMED), b"MMM\0\0\0\0\2", counter)
        assert receiver.take(apdu, caller()) == Taken()
    assert caplog.text.count("no device is configured") == 1
    assert "4D4D4D0000000002" in caplog.text
    assert "push.systemTitle" in caplog.text
    assert sink.devices == []


def test_floods_of_unknown_meters_take_no_memory(
    sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    for number in range(1000):
        title = number.to_bytes(8, "big")
        receiver.take(general_glo(data_notification(NAMED), title, 1), caller())
    warnings = [one for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 201


# Genuine and new


def test_in_clear_where_ciphering_is_agreed(
    sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    device = device_of({**CIPHERED, "push": {"peer": "10.0.0.9"}})
    receiver = receiver_of(device, sink=sink)
    assert receiver.take(data_notification(NAMED), caller()) == Taken()
    assert "in clear where ciphering is agreed" in caplog.text
    assert sink.values == {}


def test_pushes_may_be_agreed_to_be_less_protected(sink: Collected) -> None:
    push = {"systemTitle": TITLE.hex(), "security": "ENCRYPTION"}
    receiver = receiver_of(device_of({**CIPHERED, "push": push}), sink=sink)
    receiver.take(general_glo(data_notification(NAMED), TITLE, 1, 0x20), caller())
    assert sink.values == ENERGY


def test_another_key_is_refused(sink: Collected, caplog: pytest.LogCaptureFixture) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    apdu = general_glo(data_notification(NAMED), TITLE, 1, key=bytes(16))
    assert receiver.take(apdu, caller()) == Taken()
    assert "the tag is wrong" in caplog.text
    assert KEY.hex() not in caplog.text


def test_a_push_encrypted_with_another_key_and_no_tag_gives_nothing(sink: Collected) -> None:
    push = {"systemTitle": TITLE.hex(), "security": "ENCRYPTION"}
    counters = PushedCounters(None, LOG)
    receiver = receiver_of(device_of({**CIPHERED, "push": push}), sink=sink, counters=counters)
    for number in range(200):
        receiver.take(
            general_glo(data_notification(NAMED), TITLE, 5000 + number, 0x20, key=bytes(16)),
            caller(),
        )
    assert sink.values == {}
    assert counters.highest(counters.sender(TITLE, KEY)) == -1, "a forged counter locks nobody out"


def test_repetitions_are_refused_over_restarts(
    sink: Collected, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for start in range(2):
        counters = PushedCounters(tmp_path / "pushed.json", LOG)
        counters.load()
        receiver = receiver_of(device_of(CIPHERED), sink=sink, counters=counters)
        for counter in (10, 12, 11, 12, 10):
            receiver.take(general_glo(data_notification(NAMED), TITLE, counter), caller())
        assert len(sink.readings) == 2, start
        counters.store()
    assert "invocation counter 10 after 12" in caplog.text
    assert receiver.take(general_glo(data_notification(NAMED), TITLE, 13), caller()).device


def test_the_broadcast_key(sink: Collected) -> None:
    other = bytes(range(0x40, 0x50))
    dlms = {**KEYS, "broadcastKey": other.hex()}
    receiver = receiver_of(device_of({**CIPHERED, "dlms": dlms}), sink=sink)
    keys = Keys(0, other, AUTHENTICATION_KEY, broadcast=True)
    sealed = keys.seal(0x70, TITLE, 1, data_notification(NAMED))
    apdu = b"\xdb\x08" + TITLE + bytes((len(sealed),)) + sealed
    receiver.take(apdu, caller())
    assert sink.values == ENERGY
    receiver.take(apdu, caller())
    assert len(sink.readings) == 1


def test_a_broadcast_without_its_key(sink: Collected, caplog: pytest.LogCaptureFixture) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    keys = Keys(0, KEY, AUTHENTICATION_KEY, broadcast=True)
    sealed = keys.seal(0x70, TITLE, 1, data_notification(NAMED))
    receiver.take(b"\xdb\x08" + TITLE + bytes((len(sealed),)) + sealed, caller())
    assert "set dlms.broadcastKey" in caplog.text
    assert sink.values == {}


def test_a_ciphered_event_is_known_by_its_address(sink: Collected) -> None:
    push = {"systemTitle": TITLE.hex(), "peer": "10.0.0.9"}
    receiver = receiver_of(device_of({**CIPHERED, "push": push}), sink=sink)
    plain = b"\xc2\x01\x0c" + NOON + b"\0\1" + Obis.parse("0-0:97.98.20").octets + b"\2\x11\x05"
    sealed = Keys(0, KEY, AUTHENTICATION_KEY).seal(0x30, TITLE, 3, plain)
    receiver.take(bytes((0xCA, len(sealed))) + sealed, caller())
    assert sink.values == {"0-0:97.98.20": (5, None)}
    assert sink.readings[0].ts_ms == NOON_MS


def test_blocks_of_a_ciphered_push(sink: Collected) -> None:
    receiver = receiver_of(device_of(CIPHERED), sink=sink)
    who = caller()
    parts = blocks(general_glo(data_notification(NAMED), TITLE, 1), 20)
    taken = [receiver.take(part, who) for part in parts]
    assert all(one.waits for one in taken[:-1])
    assert sink.values == ENERGY
    assert not who.blocks


# What


def test_short_names(sink: Collected) -> None:
    item = {"key": "energy", "obis": "1-0:1.8.0", "baseName": "0x2BC0", "scaler": 0, "unit": "Wh"}
    device = device_of(
        {"push": {"peer": "10.0.0.9"}, "dlms": {"referencing": "SN"}, "timeseries": [item]}
    )
    receiver = receiver_of(device, sink=sink)
    receiver.take(b"\x18\x00\x01\x02\x2b\xc8\x01" + encode(u32(42)), caller())
    assert sink.values == {"energy": (42, "Wh")}


def test_the_order_of_a_push_setup_that_was_read(sink: Collected) -> None:
    asked: list[str] = []
    device = device_of({"connection": {"type": "tcp", "host": "10.0.0.9"}})
    receiver = receiver_of(device, sink=sink, unlisted=asked.append)
    push = data_notification(structure(octets(NOON), u32(5), u16(230)))
    receiver.take(push, caller())
    assert (asked, sink.values) == (["Meter"], {})
    places = definitions(
        array(definition(8, "0-0:1.0.0"), definition(3, "1-0:1.8.0"), definition(3, "1-0:32.7.0"))
    )
    assert places
    receiver.listed("Meter", places)
    receiver.take(push, caller())
    assert asked == ["Meter"]
    assert sink.values.keys() == {"0-0:1.0.0", "1-0:1.8.0:raw", "1-0:32.7.0:raw"}


def test_scalers_that_polls_have_read(sink: Collected) -> None:
    from dlms_connector.interpret import ScalerUnit

    device = device_of(
        {
            "connection": {"type": "tcp", "host": "10.0.0.9"},
            "timeseries": [{"key": "voltage", "obis": "1-0:32.7.0"}],
        }
    )
    receiver = receiver_of(device, sink=sink, known_scaler=lambda name, ref: ScalerUnit(-1, "V"))
    receiver.take(data_notification(structure(obis("1-0:32.7.0"), u16(2301))), caller())
    assert sink.values == {"voltage": (Decimal("230.1"), "V")}


def test_scalers_that_are_pushed_as_attributes(sink: Collected) -> None:
    objects = array(
        definition(40, "0-0:25.9.0"),
        definition(3, "1-0:32.7.0"),
        definition(3, "1-0:32.7.0", 3),
        definition(3, "1-0:1.8.0", 3),
        definition(3, "1-0:1.8.0"),
    )
    body = structure(objects, u16(2301), scale(-1, 35), scale(1, 30), u32(7123))
    item = {"key": "voltage", "obis": "1-0:32.7.0"}
    device = device_of({"push": {"peer": "10.0.0.9"}, "timeseries": [item]})
    receiver_of(device, sink=sink).take(data_notification(body), caller())
    assert sink.values["voltage"] == (Decimal("230.1"), "V")
    assert sink.values["1-0:1.8.0"] == (71230, "Wh")


def test_an_item_without_a_scaler_is_told_not_guessed(
    sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"push": {"peer": "10.0.0.9"}, "timeseries": [{"key": "u", "obis": "1-0:32.7.0"}]}
    receiver = receiver_of(device_of(keys), sink=sink)
    for _ in range(3):
        receiver.take(data_notification(structure(obis("1-0:32.7.0"), u16(2301))), caller())
    assert sink.values == {}
    assert caplog.text.count("set `scaler` and `unit`") == 1


def test_values_without_names_are_told_once(
    sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receiver_of(device_of({"push": {"peer": "10.0.0.9"}}), sink=sink)
    for _ in range(3):
        assert receiver.take(data_notification(structure(u32(5), u16(230))), caller()).device
    assert sink.values == {}
    assert caplog.text.count("nothing tells what its 2 values are") == 1
    assert "push.layouts" in caplog.text


@pytest.mark.parametrize(
    ("moment", "sure", "ts_ms"),
    [
        (NOON, "good", NOON_MS),
        (b"", "good", NOW_MS),
        (bytes.fromhex("07d00101060000000000003c00"), "suspect", NOW_MS),
        (bytes.fromhex("07ea0601010c000fff800000"), "good", NOW_MS),
    ],
    ids=["told", "not told", "in 2000", "without a zone"],
)
def test_the_instant(sink: Collected, moment: bytes, sure: str, ts_ms: int) -> None:
    receiver = receiver_of(device_of({"push": {"peer": "10.0.0.9"}}), sink=sink)
    moment = moment[:8] + moment[9:] if len(moment) == 13 else moment
    receiver.take(data_notification(NAMED, moment), caller())
    assert [(one.ts_ms, one.quality) for one in sink.readings] == [(ts_ms, sure)]


def test_no_value(sink: Collected) -> None:
    item = {"key": "p", "obis": "1-0:1.8.0", "noValue": [7123]}
    keys = {"push": {"peer": "10.0.0.9"}, "timeseries": [item]}
    receiver = receiver_of(device_of(keys), sink=sink)
    receiver.take(data_notification(NAMED), caller())
    assert sink.values == {}


# Answers and states


@pytest.mark.parametrize("answers", [True, False])
def test_a_confirmation_where_it_is_asked_for(sink: Collected, answers: bool) -> None:
    receiver = receiver_of(device_of({"push": {"peer": "10.0.0.9"}}), sink=sink)
    apdu = data_notification(NAMED, invoke=b"\x40\0\0\7")
    taken = receiver.take(apdu, caller(answers=answers))
    assert taken.answer == (bytes.fromhex("104000000700") if answers else b"")
    assert receiver.take(data_notification(NAMED), caller(answers=True)).answer == b""


def test_a_meter_that_falls_silent(sink: Collected) -> None:
    clock = Clock()
    device = device_of({"push": {"peer": "10.0.0.9", "silentAfter": 60_000}})
    receiver = receiver_of(device, sink=sink, clock=clock)
    receiver.silent(100.0)
    assert sink.states == []
    receiver.take(data_notification(NAMED), caller())
    receiver.silent(59.0)
    assert sink.states == [("Meter", "online")]
    receiver.silent(60.0)
    receiver.silent(120.0)
    assert sink.states[1:] == [("Meter", "offline")]
    assert receiver.state("Meter") == "offline"
    clock.now = 130.0
    receiver.take(data_notification(NAMED), caller())
    assert sink.states[2:] == [("Meter", "online")]


# Made by rule


def rule_of(name: str, template: dict[str, Any], **more: Any) -> AutoCreate:
    listener = {
        "type": "tcp",
        "allow": ["10.0.0.0/8"],
        "autoCreate": {"template": "t", "deviceName": name, **more},
    }
    loaded = load({"devices": [], "templates": {"t": template}, "push": [listener]}, base=Path())
    assert not loaded.every_problem, loaded.every_problem
    rule = loaded.configuration.push[0].auto_create
    assert rule is not None
    return rule


def _adopting(made: list[Device]) -> Callable[[Device], bool]:
    def adopt(device: Device) -> bool:
        made.append(device)
        return True

    return adopt


def test_a_device_is_made_for_a_meter_that_has_the_key(sink: Collected) -> None:
    made: list[Device] = []
    receiver = receiver_of(sink=sink, adopt=_adopting(made))
    who = caller(rule=rule_of("Meter {systemTitle}", {"dlms": KEYS, "deviceType": "House"}))
    wrong = general_glo(data_notification(NAMED), TITLE, 1, key=bytes(16))
    assert receiver.take(wrong, who) == Taken()
    assert receiver.take(data_notification(NAMED), who) == Taken()
    assert made == []
    for counter in (1, 2, 2):
        receiver.take(general_glo(data_notification(NAMED), TITLE, counter), who)
    assert [(one.device_name, one.device_type) for one in made] == [
        ("Meter 4D4D4D0000000001", "House")
    ]
    assert len(sink.readings) == 2
    assert sink.states == [("Meter 4D4D4D0000000001", "online")]


def test_a_device_is_made_by_name_or_address(sink: Collected) -> None:
    made: list[Device] = []
    receiver = receiver_of(sink=sink, adopt=_adopting(made))
    body = structure(obis("0-0:42.0.0"), text("MMM77"), *NAMED.value)
    by_name = caller(rule=rule_of("{logicalDeviceName}", {}))
    by_peer = caller(rule=rule_of("at {peer}", {}))
    for who in (by_name, by_name, by_peer):
        receiver.take(data_notification(body), who)
    receiver.take(data_notification(NAMED), by_peer)
    receiver.take(data_notification(NAMED), by_name)
    assert [one.device_name for one in made] == ["MMM77", "at 10.0.0.9"]


def test_as_many_devices_as_the_rule_allows(
    sink: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Device] = []
    receiver = receiver_of(sink=sink, adopt=_adopting(made))
    who = caller(rule=rule_of("{logicalDeviceName}", {}, most=3))
    for number in range(10):
        body = structure(obis("0-0:42.0.0"), text(f"MMM{number}"), *NAMED.value)
        receiver.take(data_notification(body), who)
    assert [one.device_name for one in made] == ["MMM0", "MMM1", "MMM2"]
    assert "may be made" in caplog.text


def test_a_name_that_is_taken(sink: Collected) -> None:
    receiver = receiver_of(sink=sink, adopt=lambda one: False)
    who = caller(rule=rule_of("{peer}", {}))
    assert receiver.take(data_notification(NAMED), who) == Taken()


def test_a_fault_of_the_sink_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Collected):
        def polled(self, device: Any, poll: Any) -> None:
            raise RuntimeError("broken")

    receiver = receiver_of(device_of({"push": {"peer": "10.0.0.9"}}), sink=Broken())
    assert receiver.take(data_notification(NAMED), caller()) == Taken()
    assert "a fault of the connector" in caplog.text


def test_data_of_any_shape_is_taken_or_refused(sink: Collected) -> None:
    receiver = receiver_of(device_of({"push": {"peer": "10.0.0.9"}}), sink=sink)
    bodies = [
        Data(DataType.NULL),
        array(),
        structure(structure()),
        u32(1),
        structure(obis("1-0:1.8.0")),
    ]
    for body in bodies:
        receiver.take(data_notification(body), caller())
    assert sink.values == {}


# Other devices


def test_devices_are_exchanged(sink: Collected) -> None:
    """Who is as before stays known; who has left, or has other keys, is not taken any more."""
    other = {"deviceName": "B", "push": {"peer": "10.0.0.9"}}
    first, second = device_of(CIPHERED), device_of(other)
    receiver = receiver_of(first, second, sink=sink)
    receiver.take(general_glo(data_notification(NAMED), TITLE, 1), Caller("x", "10.9.9.9"))
    receiver.take(data_notification(NAMED), caller())
    assert sink.states == [("Meter", "online"), ("B", "online")]
    receiver.change([first.model_copy(deep=True)])
    assert receiver.state("Meter") == "online"
    assert receiver.state("B") is None
    assert not receiver.knows("B")
    assert receiver.take(data_notification(NAMED), caller()) == Taken()
    receiver.take(general_glo(data_notification(NAMED), TITLE, 2), Caller("x", "10.9.9.9"))
    keys = {**KEYS, "blockCipherKey": "00" * 15 + "01"}
    receiver.change([device_of({**CIPHERED, "dlms": keys})])
    sealed = general_glo(data_notification(NAMED), TITLE, 3)
    assert receiver.take(sealed, Caller("x", "10.9.9.9")) == Taken()
    assert sink.states == [("Meter", "online"), ("B", "online")]
    # A counter that was taken stays taken.
    receiver.change([first, second])
    before = len(sink.readings)
    for counter in (1, 2):
        receiver.take(general_glo(data_notification(NAMED), TITLE, counter), caller())
    assert len(sink.readings) == before
    receiver.take(general_glo(data_notification(NAMED), TITLE, 4), Caller("x", "10.9.9.9"))
    receiver.take(data_notification(NAMED), caller())
    assert sink.states[2:] == [("Meter", "online"), ("B", "online")]


def test_what_was_made_by_rule_stays_until_the_configuration_has_it(sink: Collected) -> None:
    made: list[Device] = []
    receiver = receiver_of(sink=sink, adopt=_adopting(made))
    who = caller(rule=rule_of("Meter {systemTitle}", {"dlms": KEYS}, most=1))
    receiver.take(general_glo(data_notification(NAMED), TITLE, 1), who)
    (device,) = made
    receiver.change([device_of({"deviceName": "B", "push": {"peer": "10.0.0.8"}})])
    receiver.take(general_glo(data_notification(NAMED), TITLE, 2), who)
    assert len(made) == 1
    assert sink.states == [(device.device_name, "online")]
    # Under a name of its own: the one that was made does not stay online.
    receiver.change([device_of(CIPHERED)])
    receiver.take(general_glo(data_notification(NAMED), TITLE, 3), who)
    assert sink.states[1:] == [(device.device_name, "offline"), ("Meter", "online")]
    assert not receiver.knows(device.device_name)
    # Under the same name: that one's state is told from now on.
    receiver.change([])
    receiver.take(general_glo(data_notification(NAMED), TITLE, 4), who)
    assert len(made) == 2, "there is room again for one that is made"
    same = device_of({**CIPHERED, "deviceName": device.device_name, "deviceType": "House"})
    receiver.change([same])
    assert len(sink.states) == 4
    receiver.take(general_glo(data_notification(NAMED), TITLE, 5), who)
    assert sink.states[4:] == [(device.device_name, "online")]
