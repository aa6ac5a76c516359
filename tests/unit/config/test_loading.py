import copy
import functools
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.config.loading import Loaded, load, load_file
from dlms_connector.errors import ConfigError

GOOD = {"deviceName": "good", "connection": {"host": "h"}}


@pytest.mark.parametrize("raw", [None, [], [GOOD], 5, True, "", "[]", "null", '"x"', "{", b"{}"])
def test_nothing_can_be_made_of_it(raw: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(raw, base=tmp_path)


def test_a_text_is_as_good_as_an_object(tmp_path: Path) -> None:
    text = "{id_var_start}abc{id_var_end}" + json.dumps({"devices": [GOOD]})
    assert load(text, base=tmp_path) == load({"devices": [GOOD]}, base=tmp_path)


def test_what_the_gateway_injects(tmp_path: Path) -> None:
    injected = {
        "id": "3c", "name": "DLMS", "type": "custom", "class": "DLMSConnector", "logLevel": "DEBUG",
        "enableRemoteLogging": True, "configVersion": "3.8.5", "configuration": "dlms.json",
        "ts": 1760000000000, "reportStrategy": {"type": "ON_RECEIVED"}, "mode": "advanced",
    }  # fmt: skip
    loaded = load({**injected, "devices": [GOOD]}, base=tmp_path)
    assert loaded.every_problem == ()
    assert loaded.configuration.report_strategy == {"type": "ON_RECEIVED"}


def test_keys_of_the_connector(tmp_path: Path) -> None:
    loaded = load(
        {
            "devices": [],
            "stateDirectory": "state",
            "diagnosticsPeriod": 0,
            "journal": {"maxAge": "PT12H"},
            "push": [{"port": 4060, "allow": ["10.0.0.0/8"]}],
        },
        base=tmp_path,
    )
    made = loaded.configuration
    assert loaded.every_problem == ()
    assert (made.state_directory, made.diagnostics_period_ms) == ("state", 0)
    assert made.journal
    assert (made.journal.max_age, made.journal.max_megabytes) == ("PT12H", 100)
    assert made.push[0].allow == ("10.0.0.0/8",)


def test_a_wrong_key_of_the_connector_stops_no_device(tmp_path: Path) -> None:
    raw = {"devices": [GOOD], "diagnosticsPeriod": "never", "jurnal": 1, "templates": 7}
    loaded = load(raw, base=tmp_path)
    assert len(loaded.configuration.devices) == 1
    assert loaded.configuration.diagnostics_period_ms == 60_000
    assert sorted(loaded.problems) == [
        "diagnosticsPeriod: expected a whole number, got 'never'",
        "jurnal: unknown key; did you mean journal?",
        "templates: expected an object, got 7",
    ]


def test_a_bad_device_is_refused_by_name(tmp_path: Path) -> None:
    bad = {"deviceName": "bad", "connection": {"host": "h", "port": 0}}
    loaded = load({"devices": [bad, GOOD, {"connection": {}}]}, base=tmp_path)
    assert [device.device_name for device in loaded.configuration.devices] == ["good"]
    assert [(one.name, one.path) for one in loaded.refused] == [
        ("bad", "devices[0]"),
        ("devices[2]", "devices[2]"),
    ]
    assert loaded.refused[0].problems == ("devices[0].connection.port: 0 is not in 1..65535",)


def test_no_devices_at_all(tmp_path: Path) -> None:
    assert load({"auditTelemetry": True}, base=tmp_path).problems == (
        "devices: required, or a devicesFile",
    )
    assert load({"devices": []}, base=tmp_path).problems == ()
    assert load({"devices": {}}, base=tmp_path).problems == (
        "devices: expected a list, got an object",
    )


def test_a_problem_of_a_template_is_said_once(tmp_path: Path) -> None:
    raw = {
        "templates": {"t": {"dlms": {"clientAddress": 0}}},
        "devices": [{**GOOD, "deviceName": f"m{n}", "template": "t"} for n in range(3)],
    }
    loaded = load(raw, base=tmp_path)
    assert loaded.problems == ("templates.t.dlms.clientAddress: 0 is not in 1..127",)
    assert [one.problems for one in loaded.refused] == [
        (f"devices[{n}]: not usable as long as templates.t has problems",) for n in range(3)
    ]


def test_a_templates_secret_that_is_missing_refuses_its_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METER_NOT_SET", raising=False)
    raw = {
        "templates": {"t": {"dlms": {"password": "${env:METER_NOT_SET}"}}},
        "devices": [{**GOOD, "template": "t"}],
    }
    loaded = load(raw, base=tmp_path)
    assert loaded.problems[0].startswith("templates.t.dlms.password: ")
    assert [one.name for one in loaded.refused] == ["good"]
    assert load({**raw, "devices": [GOOD]}, base=tmp_path).every_problem == ()


def test_a_template_of_defaults(tmp_path: Path) -> None:
    raw = {"defaults": {"template": "landisgyr-e350"}, "devices": [{**GOOD, "template": None}]}
    (device,) = load(raw, base=tmp_path).configuration.devices
    assert device.timeseries == ()
    wrong = load({"defaults": {"template": "none"}, "devices": [GOOD]}, base=tmp_path)
    assert len(wrong.problems) == 1
    assert wrong.refused[0].problems == ("devices[0]: not usable as long as defaults has problems",)


def test_a_template_may_share_keys_of_any_connection(tmp_path: Path) -> None:
    raw = {
        "defaults": {"connection": {"port": "/dev/ttyUSB0", "baudrate": 300}},
        "devices": [{"deviceName": "s", "connection": {"type": "serial"}}],
    }
    loaded = load(raw, base=tmp_path)
    assert loaded.every_problem == ()
    assert loaded.configuration.devices[0].connection.endpoint == "serial:/dev/ttyUSB0"


def test_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    text = '{"devices": [{"deviceName": "a", "pollPeriod": NaN, "connection": {"host": "h"}, '
    text += '"serverSideRpc": [{"method": "m", "obis": "1-0:1.8.0", "value": [-Infinity]}]}]}'
    assert load(text, base=tmp_path).every_problem == (
        "devices[0].pollPeriod: expected a whole number, got NaN",
        "devices[0].serverSideRpc[0].value: -inf is not a number that can be written",
    )


def test_problems_of_a_file_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "dlms.json").write_text('{"devices": [}')
    with pytest.raises(ConfigError, match=r"dlms.json: line 1, column 14: not valid JSON"):
        load_file(tmp_path / "dlms.json")


def test_a_fleet_is_loaded_in_reasonable_time(tmp_path: Path) -> None:
    devices = [
        {"deviceName": f"m{n}", "template": "microstar", "connection": {"host": f"h{n}"}}
        for n in range(1000)
    ]
    assert len(load({"devices": devices}, base=tmp_path).configuration.devices) == 1000


def test_a_fleet_holds_the_items_of_its_template_once(tmp_path: Path) -> None:
    own = {"timeseries": [{"key": "frequency", "decimals": 1}]}
    raw: dict[str, Any] = {
        "templates": {"t": {"template": "microstar", "profiles": [{"obis": "1-0:99.1.0"}]}},
        "devices": [
            {"deviceName": f"m{n}", "template": "t", "connection": {"host": "h"}, **keys}
            for n, keys in enumerate([{}, {}, own, own, {}])
        ],
    }
    loaded = load(raw, base=tmp_path)
    assert loaded.every_problem == ()
    a, b, c, d, e = (device.timeseries for device in loaded.configuration.devices)
    assert a[0] is b[0] is e[0]
    assert [item.decimals for item in (*c, *d)].count(1) == 2
    assert len({id(device.profiles[0]) for device in loaded.configuration.devices}) == 1
    assert (
        a
        == load({"devices": raw["devices"][4:], "templates": raw["templates"]}, base=tmp_path)
        .configuration.devices[0]
        .timeseries
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
TREASURE = "Treasure-4711"


def places(node: Any) -> list[Callable[[Any], None]]:
    """Return a setter for every value within a document."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    found: list[Callable[[Any], None]] = []
    for key in keys:
        found.append(functools.partial(operator.setitem, node, key))
        if isinstance(node[key], dict | list):
            found += places(node[key])
    return found


@given(st.data())
def test_whatever_stands_somewhere_there_is_no_traceback(data: st.DataObject) -> None:
    raw: dict[str, Any] = {
        "defaults": {"pollPeriod": 1000, "template": None, "connection": {"timeoutMs": 1000}},
        "templates": {"t": {"template": "microstar", "attributes": [{"key": "s", "obis": "1.1"}]}},
        "devices": [
            {
                "deviceName": "x",
                "template": "t",
                "connection": {"type": "tcp", "host": "h", "port": 1, "keepOpen": "auto"},
                "dlms": {"password": TREASURE, "authenticationKey": "00" * 16, "addressSize": 4},
                "timeseries": [{"key": "a", "obis": "1-0:1.8.0", "class": 3, "multiplier": 2}],
                "profiles": [{"obis": "1-0:99.1.0", "backfill": "P1D"}],
                "serverSideRpc": [{"method": "m", "obis": "1-0:1.8.0", "value": 1}],
                "allowWrite": ["1-0:1.8.0"],
                "workarounds": {"skipDateTimeFields": ["status"]},
                "reportStrategy": {"type": "ON_CHANGE"},
            },
            copy.deepcopy(GOOD),
        ],
        "journal": {"maxAge": "P1D"},
        "push": [{"allow": ["10.0.0.0/8"]}],
        "devicesFile": None,
        "secretsDirectory": None,
        "reportStrategy": {"type": "ON_RECEIVED"},
    }
    setters = places(raw)
    for setter in data.draw(st.lists(st.sampled_from(setters), min_size=1, max_size=3)):
        setter(data.draw(json_values))
    loaded = load(raw, base=Path(__file__).parent)
    assert not any(TREASURE in problem for problem in loaded.every_problem)
    json.dumps(loaded.every_problem)


def nested(depth: int) -> dict[str, Any]:
    """Return an object in an object in an object …"""
    outermost: dict[str, Any] = {}
    innermost = outermost
    for _ in range(depth):
        innermost["x"] = {}
        innermost = innermost["x"]
    return outermost


@pytest.mark.parametrize("depth", [40, 500, 5000])
def test_what_is_nested_beyond_reason_costs_nobody_else(tmp_path: Path, depth: int) -> None:
    good = {"deviceName": "good", "connection": {"host": "h"}}
    raw = {
        "devices": [{"deviceName": "bad", "connection": nested(depth)}, good],
        "journal": nested(depth),
        "templates": nested(depth),
    }
    loaded = load(raw, base=tmp_path)
    assert [device.device_name for device in loaded.configuration.devices] == ["good"]
    assert loaded.every_problem == (
        "journal: nested too deeply",
        "templates: nested too deeply",
        "devices[0]: nested too deeply",
    )


@pytest.mark.parametrize("name", [5, {"a": 1}, "", "  ", "a\nb"])
def test_what_is_no_name_never_becomes_a_device_of_the_platform(tmp_path: Path, name: Any) -> None:
    raw = {"devices": [{"deviceName": name, "connection": {"host": "h"}}]}
    (refused,) = load(raw, base=tmp_path).refused
    assert refused.name == refused.path == "devices[0]"


def test_names_are_no_longer_than_the_platform_keeps(tmp_path: Path) -> None:
    """The gateway sends them with every value, and stalls for ever on a long message."""
    longest, longer = "n" * 255, "n" * 256
    good = {**GOOD, "deviceName": longest, "timeseries": [{"key": longest, "obis": "1-0:1.8.0"}]}
    item = {"key": longer, "obis": "1-0:1.8.0"}
    bad = {**GOOD, "deviceName": longer, "deviceType": longer, "attributes": [item]}
    loaded = load({"devices": [good, bad]}, base=tmp_path)
    assert [device.device_name for device in loaded.configuration.devices] == [longest]
    (refused,) = loaded.refused
    assert (refused.name, refused.device_type) == ("devices[1]", "DLMS Energy Meter")
    assert refused.problems == tuple(
        f"devices[1].{key}: has more than 255 characters"
        for key in ("deviceName", "deviceType", "attributes[0].key")
    )


def test_a_refused_device_has_the_type_of_its_layers(tmp_path: Path) -> None:
    raw = {
        "defaults": {"deviceType": "D", "pollPeriod": 1},
        "templates": {"t": {"deviceType": "T"}},
        "devices": [
            {"deviceName": "a", "template": "t"},
            {"deviceName": "b"},
            {"deviceName": "c", "template": "unknown"},
            {"deviceName": "d", "deviceType": 3},
        ],
    }
    found = [one.device_type for one in load(raw, base=tmp_path).refused]
    assert found == ["T", "D", "D", "DLMS Energy Meter"]


def test_one_endpoint_written_in_two_ways_is_one_line(tmp_path: Path) -> None:
    devices = [
        {"deviceName": str(n), "connection": {"host": host}}
        for n, host in enumerate(("meter.lan", "Meter.LAN", " meter.lan "))
    ]
    loaded = load({"devices": devices}, base=tmp_path)
    assert {device.connection.endpoint for device in loaded.configuration.devices} == {
        "tcp://meter.lan:4059"
    }


@pytest.mark.parametrize("digits", [12, 400])
def test_periods_end_at_a_year(tmp_path: Path, digits: int) -> None:
    item = {"key": "k", "obis": "1-0:1.8.0", "pollPeriod": 10**digits}
    device = {"deviceName": "a", "connection": {"host": "h"}, "timeseries": [item]}
    raw = {"diagnosticsPeriod": 10**digits, "devices": [{**device, "pollPeriod": 10**digits}]}
    problems = load(raw, base=tmp_path).every_problem
    assert [problem.partition(":")[0] for problem in problems] == [
        "diagnosticsPeriod",
        "devices[0].pollPeriod",
        "devices[0].timeseries[0].pollPeriod",
    ]


def test_a_password_in_the_place_of_an_object_is_not_shown(tmp_path: Path) -> None:
    device = {"deviceName": "a", "connection": {"host": "h"}, "dlms": "password=TOPSECRET"}
    assert load({"devices": [device]}, base=tmp_path).every_problem == (
        "devices[0].dlms: expected an object, got text",
    )


def test_the_gateways_own_files_are_no_secrets(tmp_path: Path) -> None:
    (tmp_path / "tb_gateway.json").write_text("the access token")
    dlms = {"authentication": "LOW", "password": "${file:tb_gateway.json}"}
    device = {"deviceName": "a", "connection": {"host": "h"}, "dlms": dlms}
    for folder in (".", "", str(tmp_path), "x/.."):
        loaded = load({"secretsDirectory": folder, "devices": [device]}, base=tmp_path)
        assert not loaded.configuration.devices
        assert loaded.problems[0].startswith("secretsDirectory: name a folder within")


ODD_KEYS = ["\ud800", "\0", "\n", "timeseries\0", "a\x7f"]


@pytest.mark.parametrize("key", ["pollPeriod", "timeseries", "dlms", "deviceType", "connection"])
def test_keys_of_devices_at_the_top_are_shown_their_place(key: str, tmp_path: Path) -> None:
    loaded = load({"devices": [GOOD], key: 1}, base=tmp_path)
    assert loaded.problems == (
        f"{key}: belongs to a device, or as `defaults.{key}` to all of them",
    )


def test_a_configuration_that_the_platform_cannot_be_told(tmp_path: Path) -> None:
    def many(count: int) -> Any:
        devices = [{**GOOD, "deviceName": f"DLMS-Meter-{number:04}"} for number in range(count)]
        return load({"devices": devices}, base=tmp_path)

    assert many(10).notes == ()
    loaded = many(1200)
    assert loaded.every_problem == ()
    (note,) = loaded.notes
    assert "bytes and the platform takes 65536" in note
    assert "devicesFile" in note
    (tmp_path / "m.csv").write_text("deviceName,connection.host\n" + "A,h\n" * 1200)
    assert load({"devicesFile": "m.csv"}, base=tmp_path).notes == ()


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_that_are_not_printable_are_problems(key: str, tmp_path: Path) -> None:
    good = {"deviceName": "good", "connection": {"host": "h"}}
    odd = {"deviceName": "odd", "connection": {"host": "h", key: [{key: 1}]}}
    raw = {"devices": [good, odd], key: 1, "templates": {key: {}, "t": {"dlms": {key: 1}}}}
    loaded = load(raw, base=tmp_path)
    assert [device.device_name for device in loaded.configuration.devices] == ["good"]
    assert [one.name for one in loaded.refused] == ["odd"]
    assert loaded.every_problem == (
        f"{key!r}: unknown key: it has characters that are not printable",
        f"templates.{key!r}: unknown key: it has characters that are not printable",
        f"templates.t.dlms.{key!r}: unknown key: it has characters that are not printable",
        f"devices[1].connection.{key!r}: unknown key: it has characters that are not printable",
    )


_KEY = st.one_of(
    st.sampled_from(["dlms", "connection", "timeseries", "host", "key", "obis", "tcp", "type", ""]),
    st.sampled_from(ODD_KEYS),
    st.text(max_size=4),
)
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEY, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(_KEY, _VALUE, max_size=4), st.dictionaries(_KEY, _VALUE, max_size=4))
def test_no_document_raises_anything_else(top: dict[str, Any], own: dict[str, Any]) -> None:
    good = {"deviceName": "good", "connection": {"host": "h"}}
    loaded = load({**top, "devices": [good, {**good, "deviceName": "a", **own}]}, base=Path())
    assert loaded.configuration.devices[0].device_name == "good"
    "\n".join(loaded.every_problem).encode()


def grouped(folder: Path, *devices: tuple[str, str, str | None], **groups: Any) -> Loaded:
    entries = [
        {"deviceName": name, "connection": {"host": host, "group": group}}
        for name, host, group in devices
    ]
    return load({"devices": entries, "groups": groups}, base=folder)


def test_connections_join_a_group(tmp_path: Path) -> None:
    loaded = grouped(
        tmp_path,
        ("A", "h", "pool"),
        ("B", "h", "pool"),
        ("C", "i", None),
        pool={"maxConcurrent": 4},
    )
    assert loaded.every_problem == ()
    assert loaded.configuration.groups["pool"].max_concurrent == 4
    assert [one.connection.group for one in loaded.configuration.devices] == ["pool", "pool", None]


def test_a_group_must_exist_and_is_one_per_endpoint(tmp_path: Path) -> None:
    loaded = grouped(
        tmp_path, ("A", "h", "pol"), ("B", "i", "pool"), ("C", "i", None), pool={"maxConcurrent": 4}
    )
    assert loaded.every_problem == (
        "devices[0].connection.group: there is no such group in `groups`; did you mean pool?",
        "devices[2].connection.group: B, of the same endpoint, is in another group, or in none",
    )


def test_a_group_that_is_none(tmp_path: Path) -> None:
    loaded = grouped(tmp_path, ("A", "h", None), pool={"maxConcurrent": 0})
    assert loaded.problems == ("groups.pool.maxConcurrent: 0 is not in 1..10000",)
    loaded = grouped(tmp_path, ("A", "h", None), pool={"most": 1})
    assert "groups.pool.most: unknown key" in loaded.problems
