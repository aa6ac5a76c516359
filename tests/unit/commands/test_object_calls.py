"""Reading, writing and invoking at a simulated meter, as calls of the platform."""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.protocol.data.data import Data, DataType
from dlms_connector.simulator.encoding.data import Data as Theirs
from dlms_connector.simulator.encoding.data import array, octets, u16
from tests.support.commands import Desk, MetersInMemory, device


def integer(value: int) -> Data:
    return Data(DataType.INTEGER, value)


LIMIT = {"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
CALENDAR = {"obis": "0-0:13.0.0", "class": "activityCalendar"}


async def test_an_object_is_read_scaled() -> None:
    desk = Desk()
    volts = await desk.result("readObject", {"obis": "1-0:32.7.0"})
    assert 200 < volts < 260
    assert await desk.result("get", "obis=1-0:32.7.0;class=3;attribute=2;") == volts
    assert await desk.result("get", '{"obis": "1.0.32.7.0.255", "class": "register"}') == volts
    assert desk.events == []


async def test_the_error_is_that_of_the_value_not_of_its_scaler() -> None:
    desk = Desk()
    error = await desk.error("readObject", {"obis": "9-0:1.8.0"})
    assert error.startswith("M1: reading 9-0:1.8.0 attribute 2 (class 3): object-undefined (4)")


async def test_a_scaler_that_makes_no_sense_costs_the_call_and_not_the_line() -> None:
    desk = Desk()
    desk.meter.put(3, "1-0:32.7.0", 3, u16(9))
    sentence = await desk.error("readObject", {"obis": "1-0:32.7.0"})
    assert "1-0:32.7.0 attribute 3 (class 3)" in sentence
    assert "long-unsigned (12 00 09)" in sentence
    assert "is not a scaler with a unit" in sentence
    assert "set `scaler`" in sentence
    assert "Data(" not in sentence


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (None, "readObject: `obis` is missing"),
        ({"obi": "x"}, "readObject: `obis` is missing"),
        ({"obis": "1-0:1.8"}, "readObject: "),
        ({"obis": "1-0:1.8.0", "class": "furlong"}, "readObject: 'furlong' is not a COSEM class"),
        ({"obis": "1-0:1.8.0", "attribute": 0}, "readObject: attribute: 0 is not in 1..127"),
        ({"obis": "1-0:1.8.0", "attribute": 1.5}, "attribute: 1.5 is not a whole number"),
        ({"obis": "1-0:1.8.0", "attribute": 10**400}, "is not a whole number"),
        ({"obis": "1-0:1.8.0", "attribute": "²"}, "attribute: ² is not a whole number"),
        ({"obis": "1-0:1.8.0", "class": "²"}, "'²' is not a COSEM class"),
        ({"obis": "1-0:1.8.0", "class": "9" * 100}, "is not a COSEM class"),
        ({"obis": "1-0:1.8.0", "class": float("nan")}, "is not a COSEM class"),
        ({"obis": "1-0:1.8.0", "attribut": 2}, "readObject: unknown parameter `attribut`"),
        ([1], "readObject: parameters are an object or text such as"),
        ("1-0:1.8.0", "readObject: parameters are an object or text such as"),
        ("{not json", "readObject: not JSON at column 2: Expecting property name"),
        ("{\n1", "readObject: not JSON at line 2: Expecting property name"),
        ('{"obis": ' + "9" * 5000 + "}", "readObject: no JSON that can be read"),
        ("x" * 100_000, "readObject: parameters are an object"),
        (7, "readObject: parameters are an object"),
    ],
)
async def test_what_makes_no_sense_is_said(params: Any, sentence: str) -> None:
    desk = Desk()
    error = await desk.error("readObject", params)
    assert sentence in error
    assert len(error) < 300
    assert desk.events == []


@pytest.mark.parametrize(
    "params",
    [
        {"obis": "1-0:32.7.0", "class": 3.0, "attribute": 2.0},
        {"obis": "1-0:32.7.0", "class": "3", "attribute": "2"},
        '{"obis": "1-0:32.7.0", "timeout": "5"}',
    ],
)
async def test_numbers_are_taken_however_they_are_written(params: Any) -> None:
    assert (await Desk().result("readObject", params)) > 200


async def test_a_value_is_written_and_read_back() -> None:
    desk = Desk()
    assert await desk.result("writeObject", {**LIMIT, "value": 3000}) == 3000
    text = "obis=0-0:17.0.0;class=71;attribute=4;value=3500;type=uint32;"
    assert await desk.result("set", text) == 3500
    assert [event.sentence for event in desk.events] == [
        "call 1 writeObject: writing 0-0:17.0.0 attribute 4 (class 71): 9200 -> 3000: done",
        "call 1 set: writing 0-0:17.0.0 attribute 4 (class 71): 3000 -> 3500: done",
    ]
    assert [str(ref) for _, ref in desk.wrote] == ["0-0:17.0.0 attribute 4 (class 71)"] * 2


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (3000.5, "3000.5 cannot be written exactly: the meter counts in steps of 1"),
        (2**32, "is not in 0..4294967295"),
        ("[1", "'[1' is not a number"),
        ("3_000", "'3_000' is not a number"),
        ("many", "'many' is not a number"),
        (None, "None is not a number"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_and_noted(value: Any, sentence: str) -> None:
    desk = Desk()
    assert sentence in await desk.error("writeObject", {**LIMIT, "value": value})
    assert "failed: " in desk.events[0].sentence
    assert await desk.result("readObject", LIMIT) == 9200


async def test_what_the_meter_refuses_is_noted_with_both_values() -> None:
    desk = Desk()
    old = await desk.result("readObject", {"obis": "1-0:32.7.0"})
    await desk.error("writeObject", {"obis": "1-0:32.7.0", "value": 230.5})
    assert f": {old} -> 230.5: failed: writing 1-0:32.7.0" in desk.events[0].sentence
    password = {"obis": "0-0:40.0.0", "class": 15, "attribute": 7}
    await desk.error("writeObject", {**password, "value": "hex:AABBCC"})
    assert "(class 15): failed: " in desk.events[1].sentence


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ({"obis": "0-0:10.0.106", "class": 9, "value": 2, "type": "uint16"}, " with 2: "),
        ({"obis": "0-0:96.3.10", "class": 70, "value": 0}, "(class 70): "),
        ({"obis": "0-0:40.0.0", "class": 15, "value": 7, "type": "uint16"}, "(class 15): "),
        ({"obis": "0-0:96.1.0", "class": 1, "value": "AB", "type": "octet-string"}, "(class 1): "),
    ],
)
async def test_the_audit_tells_a_number_that_a_method_is_given(
    method: dict[str, Any], shown: str
) -> None:
    desk = Desk()
    await desk.ask("invokeMethod", {**method, "method": 1})
    (event,) = desk.events
    assert event.sentence.startswith("call 1 invokeMethod: invoking ")
    assert shown in event.sentence


SCALED = {
    "1-0:32.7.0": {
        "class": "register",
        "attributes": {
            "2": {"type": "long-unsigned", "value": 2300},
            "3": {"type": "structure", "value": [
                {"type": "integer", "value": -1}, {"type": "enum", "value": 35}]},
        },
        "writable": [2],
    }
}  # fmt: skip


async def test_scaling_is_undone_exactly() -> None:
    meters = MetersInMemory()
    meters.add(device(), overrides=SCALED)
    desk = Desk(meters=meters)
    assert await desk.result("writeObject", {"obis": "1-0:32.7.0", "value": 230.5}) == 230.5
    assert desk.meter.value(3, b"\x01\x00\x20\x07\x00\xff", 2) == u16(2305)
    error = await desk.error("writeObject", {"obis": "1-0:32.7.0", "value": 230.55})
    assert "230.55 cannot be written exactly: the meter counts in steps of 0.1" in error


def identifier(octets: str) -> dict[str, Any]:
    value = {"type": "octet-string", "value": octets}
    return {"0-0:96.1.9": {"class": "data", "attributes": {"2": value}, "writable": [2]}}


@pytest.mark.parametrize(
    ("held", "value", "written"),
    [
        (b"1234", "text:1235", b"1235"),
        (b"1234", "hex:1235", b"\x12\x35"),
        (b"1234", "A-12", b"A-12"),
        (b"12\0\0", "", b""),
        (b"\x12\x34", "1235", b"\x12\x35"),
        (b"", "1235", b"\x12\x35"),
        (
            bytes.fromhex("07EA0601010D0600FF8000FF"),
            "2026-07-01T13:06:00+00:00",
            bytes.fromhex("07EA0701030D060000000000"),
        ),
    ],
)
async def test_octets_are_taken_as_they_are_shown(held: bytes, value: str, written: bytes) -> None:
    meters = MetersInMemory()
    meters.add(device(), overrides=identifier(held.hex()))
    desk = Desk(meters=meters)
    target = {"obis": "0-0:96.1.9", "class": "data"}
    await desk.result("writeObject", {**target, "value": value})
    assert desk.meter.value(1, b"\0\0\x60\1\x09\xff", 2) == octets(written)


async def test_digits_that_may_be_text_or_hexadecimal_are_refused() -> None:
    meters = MetersInMemory()
    meters.add(device(), overrides=identifier(b"1234".hex()))
    desk = Desk(meters=meters)
    target = {"obis": "0-0:96.1.9", "class": "data"}
    error = await desk.error("writeObject", {**target, "value": "1235"})
    assert "'1235' can be text or hexadecimal; write it as `text:1235`" in error
    assert await desk.result("readObject", target) == "1234"
    # The type says that it is hexadecimal.
    await desk.result("writeObject", {**target, "value": "1235", "type": "octet-string"})
    assert desk.meter.value(1, b"\0\0\x60\1\x09\xff", 2) == octets(b"\x12\x35")


async def test_what_is_not_there_is_said_before_what_its_type_is() -> None:
    error = await Desk().error("writeObject", {"obis": "9-0:1.8.0", "value": 1})
    assert "object-undefined (4)" in error


async def test_the_meters_refusal_is_said_and_noted() -> None:
    desk = Desk()
    error = await desk.error("writeObject", {"obis": "1-0:32.7.0", "value": 230})
    assert "read-write-denied (3)" in error
    assert desk.events[0].sentence.startswith("call 1 writeObject: writing 1-0:32.7.0")


@pytest.mark.parametrize(
    ("allowed", "fine"),
    [(True, True), (False, False), (["0-0:17.0.0"], True), (["0-0:17.0.1"], False)],
)
async def test_nothing_is_written_unless_allowed(allowed: Any, fine: bool) -> None:
    desk = Desk((device(allowWrite=allowed),))
    answer = await desk.ask("writeObject", {**LIMIT, "value": 5})
    assert ("result" in answer) is fine
    if not fine:
        assert answer["error"] == (
            "M1: writeObject: M1 does not allow writing to 0-0:17.0.0; configure a serverSideRpc "
            "method for it, or add it to allowWrite"
        )
        assert desk.events[0].sentence.startswith("call 1 writeObject: not carried out: refused: ")
        assert await desk.result("readObject", LIMIT) == 9200


@pytest.mark.parametrize(
    "method", ["set", "invokeMethod", "disconnectRelay", "reconnectRelay", "syncClock"]
)
async def test_whatever_changes_a_meter_needs_leave(method: str) -> None:
    desk = Desk((device(allowWrite=False),))
    params = {**LIMIT, "value": 1, "method": 1} if method in ("set", "invokeMethod") else {}
    assert "does not allow writing" in await desk.error(method, params)
    assert len(desk.events) == 1
    assert desk.meters.jobs == []


async def test_calendars_come_back_as_they_were_written() -> None:
    desk = Desk()
    names = {
        6: "winter26",
        7: [{"name": "w", "start": "****-10-01 00:00:00", "week": "w1"}],
        8: [
            {"name": "w1", "monday": 1, "tuesday": 1, "wednesday": 1, "thursday": 1,
             "friday": 1, "saturday": 2, "sunday": 2}
        ],
        9: [
            {"id": 1, "schedule": [
                {"start": "06:30:00", "script": "0-0:10.0.100", "selector": 1},
                {"start": "22:00:00", "script": "0-0:10.0.100", "selector": 2}]},
            {"id": 2, "schedule": []},
        ],
    }  # fmt: skip
    for attribute, value in names.items():
        target = {**CALENDAR, "attribute": attribute}
        assert await desk.result("writeObject", {**target, "value": value}) == value
    # activate_passive_calendar
    await desk.result("invokeMethod", {**CALENDAR, "method": 1, "value": 0, "type": "integer"})
    for attribute, value in names.items():
        shown = await desk.result("readObject", {**CALENDAR, "attribute": attribute - 4})
        assert shown == value
    sentence = "call 1 invokeMethod: invoking 0-0:13.0.0 method 1 (class 20): done"
    assert desk.events[-1].sentence == sentence


@pytest.mark.parametrize(
    ("target", "value"),
    [
        (
            {"obis": "0-0:11.0.0", "class": "specialDaysTable"},
            [{"index": 1, "date": "****-12-25", "dayId": 2},
             {"index": 2, "date": "2026-05-01", "dayId": 2}],
        ),
        ({**LIMIT, "attribute": 5}, 1200),
        (
            {**LIMIT, "attribute": 8},
            {"id": 3, "activationTime": "2026-12-24T18:00:00+00:00", "duration": 3600},
        ),
        (
            {**LIMIT, "attribute": 11},
            {"overThreshold": {"script": "0-0:10.0.106", "selector": 1},
             "underThreshold": {"script": "0-0:10.0.106", "selector": 2}},
        ),
        ({"obis": "0-0:16.1.0", "class": "registerMonitor"}, [5000]),
        (
            {"obis": "0-0:16.1.0", "class": "registerMonitor", "attribute": 3},
            {"class": 4, "obis": "1-0:1.6.0", "attribute": 2},
        ),
        ({**LIMIT, "attribute": 2}, {"class": 3, "obis": "1-0:21.7.0", "attribute": 2}),
        ({**LIMIT, "attribute": 8}, {"id": 0, "activationTime": None, "duration": 0}),
        ({**CALENDAR, "attribute": 10}, "2026-10-01T00:00:00+02:00"),
        ({**CALENDAR, "attribute": 10}, None),
        (
            {"obis": "0-0:15.0.0", "class": "singleActionSchedule", "attribute": 4},
            [{"time": "01:00:00", "date": "****-**-01"}],
        ),
    ],
)  # fmt: skip
async def test_limits_and_days_come_back_as_written(target: dict[str, Any], value: Any) -> None:
    desk = Desk()
    assert await desk.result("writeObject", {**target, "value": value}) == value
    assert await desk.result("readObject", target) == value


async def test_a_calendar_that_is_wrong_is_refused_with_its_place() -> None:
    desk = Desk()
    value = [{"id": 1, "schedule": [{"start": "25:00", "script": "0-0:10.0.100", "selector": 1}]}]
    error = await desk.error("writeObject", {**CALENDAR, "attribute": 9, "value": value})
    assert "[0].schedule[0].start: '25:00' is not a time of day" in error


@pytest.mark.parametrize(
    ("rpc", "params", "expected"),
    [
        ({"obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}, None, 9200),
        ({"requestType": "set", "value": 42}, None, 42),
        ({"requestType": "set", "value": 42}, {}, 42),
        ({"requestType": "set"}, 43, 43),
        ({"requestType": "set"}, {"value": 44}, 44),
        ({"requestType": "set"}, {"value": 44, "type": "double-long-unsigned"}, 44),
        ({"requestType": "set"}, "45", 45),
        ({"requestType": "set"}, '{"value": 46}', 46),
        ({"requestType": "set"}, {"type": "uint32", "value": 47, "timeout": 5}, 47),
        (
            {"requestType": "set", "attribute": 8},
            {"id": 1, "activationTime": None, "duration": 0, "timeout": 5},
            {"id": 1, "activationTime": None, "duration": 0},
        ),
    ],
)
async def test_configured_methods(rpc: Any, params: Any, expected: Any) -> None:
    method = {"method": "m", **LIMIT, **rpc}
    desk = Desk((device(allowWrite=False, serverSideRpc=[method]),))
    assert await desk.result("m", params) == expected


@pytest.mark.parametrize(
    ("rpc", "params", "sentence"),
    [
        ({"requestType": "set"}, None, "m: a value to write is missing"),
        ({"requestType": "set"}, {"value": 1, "valeu": 2}, "m: unknown parameter `valeu`"),
        ({"requestType": "set"}, {"valeu": 2}, "is not a number"),
        (
            {
                "requestType": "action",
                "class": "scriptTable",
                "obis": "9-0:1.0.0",
                "type": "uint16",
            },
            1,
            "object-undefined",
        ),
    ],
)
async def test_configured_methods_refuse(rpc: Any, params: Any, sentence: str) -> None:
    desk = Desk((device(serverSideRpc=[{"method": "m", **LIMIT, **rpc}]),))
    assert sentence in await desk.error("m", params)
    assert len(desk.events) == 1


async def test_a_configured_action_with_a_parameter() -> None:
    script = {"method": "cut", "requestType": "action", "class": "scriptTable",
              "obis": "0-0:10.0.106", "type": "uint16", "value": 1}  # fmt: skip
    relay = {"method": "on", "requestType": "action", "class": 70, "obis": "0-0:96.3.10",
             "methodIndex": 2}  # fmt: skip
    desk = Desk((device(allowWrite=False, serverSideRpc=[script, relay]),))
    assert await desk.result("cut") is None
    assert (await desk.result("getRelayState"))["controlState"] == "disconnected"
    assert (await desk.result("on"))["controlState"] == "connected"
    assert await desk.result("cut", 2) is None


@pytest.mark.parametrize(
    ("params", "taken"),
    [
        ({}, integer(0)),
        ({"value": 0}, integer(0)),
        ({"value": None}, None),
        ({"value": 5, "type": "uint16"}, Data(DataType.LONG_UNSIGNED, 5)),
    ],
)
async def test_a_method_without_a_parameter_takes_an_integer_of_0(
    params: dict[str, Any], taken: Data | None
) -> None:
    act = {"method": "act", "requestType": "action", **CALENDAR, "methodIndex": 1}
    desk = Desk((device(serverSideRpc=[act]),))
    client, heard = desk.meters.links["M1"].client, []
    action = client.action

    def noted(method: Any, argument: Any) -> Any:
        heard.append(argument)
        return (yield from action(method, argument))

    client.action = noted  # type: ignore[method-assign]
    await desk.result("invokeMethod", {**CALENDAR, "method": 1, **params})
    assert heard == [taken]
    if "type" not in params:
        for value in (None, {}, 0, {"value": 0}, {"timeout": 4}):
            await desk.result("act", value)
        text = "obis=0-0:13.0.0;class=20;method=1;"
        await desk.result("invokeMethod", text)
        await desk.result("invokeMethod", text + "value=0;")
        assert heard[1:] == [integer(0)] * 7


async def test_the_time_of_a_configured_method() -> None:
    method = {"method": "m", "obis": "1-0:32.7.0", "requestTimeout": 2500}
    desk = Desk((device(serverSideRpc=[method]),))
    await desk.result("m")
    await desk.result("m", {"timeout": 4})
    await desk.result("readObject", {"obis": "1-0:32.7.0"})
    assert [job.timeout_s for job in desk.meters.jobs] == [2.5, 4.0, 9.0]


class Own:
    """A user's own converter that gets things wrong."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def convert(self, config: Any, data: Any) -> Any:
        return self.answer(data)


async def test_a_users_own_converter() -> None:
    desk = Desk(converter=Own(lambda data: Data(DataType.DOUBLE_LONG_UNSIGNED, data * 2)))
    assert await desk.result("writeObject", {**LIMIT, "value": 21}) == 42


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda data: data / 0, "the downlink converter failed: ZeroDivisionError"),
        (lambda data: data, "the downlink converter returned int instead of Data"),
    ],
)
async def test_a_users_own_converter_that_fails(answer: Any, sentence: str) -> None:
    desk = Desk(converter=Own(answer))
    assert sentence in await desk.error("writeObject", {**LIMIT, "value": 21})
    assert await desk.result("readObject", LIMIT) == 9200


async def test_an_attribute_that_is_write_only_takes_the_type_named() -> None:
    desk = Desk()
    desk.meter.put(22, "0-0:15.0.0", 2, array(octets(b"x")))
    assert isinstance(desk.meter.value(22, b"\0\0\x0f\0\0\xff", 2), Theirs)
    unreadable = {"obis": "0-0:40.0.0", "class": 15, "attribute": 7, "value": "text:secret99"}
    answer = await desk.ask("writeObject", {**unreadable, "type": "octet-string"})
    assert "secret99" not in str(answer)
    assert all("secret99" not in event.sentence for event in desk.events)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("writeObject", {"obis": "0-0:40.0.0", "class": 15, "attribute": 7, "value": "hunter2",
                         "type": "octet-string"}),
        ("invokeMethod", {"obis": "0-0:43.0.0", "class": 64, "method": 2, "value": "hunter2",
                          "type": "octet-string"}),
        ("invokeMethod", {"obis": "0-1:24.1.0", "class": 72, "method": 7, "value": "hunter2",
                          "type": "octet-string"}),
    ],
)  # fmt: skip
async def test_secrets_are_not_quoted(method: str, params: Any) -> None:
    desk = Desk()
    error = await desk.error(method, params)
    assert "the value does not fit; it is not shown, as it may be a secret" in error
    assert all("hunter2" not in event.sentence for event in desk.events)
    assert len(desk.events) == 1


@pytest.mark.parametrize(
    "params",
    [
        "hunter2",
        "{hunter2",
        '{"obis": "0-0:40.0.0", "class": 15, "attribute": 7, "value": "hunter2"',
        "obis=0-0:40.0.0;class=15;attribute=7;value=a;hunter2;",
        "obis=0-0:40.0.0;class=15;attribute=7;value=a;hunter2=b;",
        "obis=0-0:40.0.0;class=15;attribute=7;type=octet-string;value={hunter2;",
        {"obis": "0-0:40.0.0", "class": 15, "attribute": 7, "type": "string", "value": "[hunter2"},
        ["hunter2"],
    ],
)
async def test_what_is_not_understood_may_be_a_secret(params: Any) -> None:
    desk = Desk()
    for method in ("writeObject", "set", "invokeMethod"):
        assert "hunter2" not in str(await desk.ask(method, params))
    assert all("hunter2" not in event.sentence for event in desk.events)
    assert len(desk.events) == 3


async def test_a_type_that_there_is_not_is_refused_also_where_the_meter_tells_its_own() -> None:
    error = await Desk().error("writeObject", {**LIMIT, "value": 1, "type": "uint23"})
    assert "'uint23' is not a COSEM type" in error
