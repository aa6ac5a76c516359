"""Each check has facts that make it fail, and healthy facts let all of them pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.verification import (
    CHECKS,
    ConfigFile,
    Entry,
    FileRights,
    Finding,
    GatewayProcess,
    Holder,
    LogNews,
    OnPlatform,
    Probe,
    Snapshot,
    is_healthy,
    judge,
)

FILE = ConfigFile(
    path=Path("/etc/gw/dlms.json"),
    devices=("A", "B"),
    polled=("A", "B"),
    lines=2,
    periods_s={"A": 5.0, "B": 60.0},
)
PROCESS = GatewayProcess(
    pid=7, user="gw", running_s=9999.0, open_files=40, most_files=1024, connected=True, zone=""
)
PROBE = Probe(
    python="/opt/gw/bin/python",
    loaded_from="/opt/gw/dlms_connector/connector.py",
    versions={
        "python": "3.11.2",
        "thingsboard-gateway": "3.8.5",
        "thingsboard-dlms-connector": "1.0.0",
    },
)
HEALTHY = Snapshot(
    config_dir=Path("/etc/gw"),
    main={"storage": {"type": "sqlite"}},
    entry=Entry(name="DLMS", type="custom", class_name="DLMSConnector"),
    file=FILE,
    processes=(PROCESS,),
    probe=PROBE,
    holders=(),
    listening=frozenset({22, 1883}),
    log=LogNews(files=("/var/log/x",)),
    online=frozenset({"A", "B"}),
    secrets=(FileRights(Path("/etc/gw/secrets/a")),),
    state=(FileRights(Path("/var/lib/dlms")),),
    synchronised=True,
    clock_off_s=0.2,
    zones=frozenset({"America/Bogota"}),
    platform={"A": OnPlatform(age_s=4.0, state="online"), "B": OnPlatform(age_s=50.0)},
    version="1.0.0",
)


def file(**fields: Any) -> dict[str, Any]:
    return {"file": replace(FILE, **fields)}


def process(**fields: Any) -> dict[str, Any]:
    return {"processes": (replace(PROCESS, **fields),)}


def probe(**fields: Any) -> dict[str, Any]:
    return {"probe": replace(PROBE, **fields)}


def stored(**settings: Any) -> dict[str, Any]:
    return {"main": {"storage": settings}}


def on_platform(**devices: OnPlatform) -> dict[str, Any]:
    return {"platform": {"A": OnPlatform(age_s=1.0), "B": OnPlatform(age_s=1.0)} | devices}


#: By check: facts that differ from the healthy ones, and a word of what is told.
FAILING: dict[str, list[tuple[dict[str, Any], str]]] = {
    "process": [
        ({"processes": ()}, "no gateway runs"),
        ({"processes": (), "hidden_processes": 9}, "cannot be looked at"),
        ({"processes": (PROCESS, replace(PROCESS, pid=8))}, "2 gateways run"),
    ],
    "entry": [
        ({"entry": None}, "has no entry"),
        ({"main_problem": "tb_gateway.json is no valid JSON"}, "no valid JSON"),
        ({"entry": Entry(name="DLMS", type="dlms", class_name="")}, "has no class"),
    ],
    "loader": [(probe(loaded_from=None, error="No module named x"), "No module named x")],
    "configuration": [
        (file(problems=("devices[0].connection: required", "b")), "required, and 1 more"),
        (file(devices=(), polled=()), "has no devices"),
    ],
    "token": [({"holders": (Holder("process 9, python", "in its environment"),)}, "process 9")],
    "bridge": [({"bridge": ("service dlms-multi-meter",)}, "dlms-multi-meter")],
    "broker": [({"listening": frozenset({1884})}, "port 1884")],
    "session": [
        ({"log": LogNews(disconnects=3)}, "code 7"),
        (process(connected=False), "no connection"),
    ],
    "meters": [
        ({"log": LogNews(silent={"A": "no reply"}), "online": None}, "A: no reply"),
        ({"online": frozenset({"B"})}, "A: not seen online"),
        (on_platform(A=OnPlatform(state="refused")) | {"online": None}, "A: refused"),
    ],
    "data": [
        (on_platform(A=OnPlatform(age_s=900.0)), "A: the newest value is 15 min old"),
        (on_platform(B=OnPlatform()), "B: no value at all"),
        (on_platform(B=OnPlatform(error="no such device")), "B: no such device"),
        ({"platform_problem": "/api/auth/login: the platform answered 401"}, "401"),
    ],
    "storage": [
        (stored(type="file"), "deletes unread readings"),
        (stored(type="memory", max_records_count=100), "is full after 8 minutes"),
    ],
    "secrets": [
        ({"secrets": (FileRights(Path("/s/a"), "all may read"),)}, "/s/a (all may read)"),
        ({"secrets": (FileRights(Path("/s/a"), unreadable=True),)}, "cannot read /s/a"),
    ],
    "state": [({"state": (FileRights(Path("/v/c"), "group may write"),)}, "group may write")],
    "descriptors": [(file(lines=1000), "1000 lines to meters need about 1320")],
    "clock": [
        ({"clock_off_s": 3600.0}, "3600 s ahead of"),
        ({"clock_off_s": -60.0}, "60 s behind"),
    ],
    "zone": [(process(zone="America/Bogotá"), "TZ=America/Bogotá is no time zone")],
    "versions": [
        (probe(versions={"thingsboard-gateway": "3.7.1"}), "older than what the connector"),
    ],
}

#: Facts that make a check doubt, or warn.
DOUBTFUL: dict[str, list[tuple[dict[str, Any], str]]] = {
    "loader": [(probe(of_the_process=False), "unknown"), ({"probe": None}, "unknown")],
    "configuration": [({"file": None}, "unknown")],
    "token": [
        ({"holders": None}, "unknown"),
        ({"hidden_processes": 3}, "unknown"),
        ({"other_clients": ("process 9, python",)}, "warning"),
    ],
    "broker": [({"listening": None}, "unknown")],
    "session": [
        ({"processes": ()}, "unknown"),
        (process(connected=None), "unknown"),
        ({"log": None}, "unknown"),
    ],
    "meters": [
        ({"online": None, "platform": None}, "unknown"),
        (file(polled=()), "unknown"),
        ({"online": frozenset()} | process(running_s=20.0), "unknown"),
    ],
    "data": [({"platform": None}, "unknown"), ({"platform": {}}, "unknown")],
    "storage": [
        (stored(type="memory", max_records_count=100_000), "warning"),
        (stored(), "warning"),
        (stored(type="redis"), "unknown"),
        ({"main_problem": "x"}, "unknown"),
    ],
    "descriptors": [
        (process(open_files=1000), "warning"),
        (process(most_files=None), "unknown"),
    ],
    "clock": [
        ({"synchronised": False}, "warning"),
        ({"synchronised": None, "clock_off_s": None}, "unknown"),
    ],
    "zone": [({"processes": ()}, "unknown")],
    "versions": [
        ({"probe": None}, "unknown"),
        (probe(versions={**PROBE.versions, "python": "3.14.0"}), "warning"),
        ({"version": "1.1.0"}, "warning"),
    ],
}


def look(check: str, facts: dict[str, Any]) -> Finding:
    return judge(replace(HEALTHY, **facts))[check]


def test_healthy_facts() -> None:
    found = judge(HEALTHY)
    assert {name: each.text for name, each in found.items() if each.mark != "ok"} == {}
    assert is_healthy(found.values())


def test_every_check_can_fail() -> None:
    assert FAILING.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    ("check", "facts", "told"),
    [(check, facts, told) for check, cases in FAILING.items() for facts, told in cases],
)
def test_failing(check: str, facts: dict[str, Any], told: str) -> None:
    found = look(check, facts)
    assert found.mark == "failed"
    assert told in found.text
    assert found.remedy
    assert not is_healthy([found])


@pytest.mark.parametrize(
    ("check", "facts", "mark"),
    [(check, facts, mark) for check, cases in DOUBTFUL.items() for facts, mark in cases],
)
def test_doubtful(check: str, facts: dict[str, Any], mark: str) -> None:
    found = look(check, facts)
    assert found.mark == mark
    assert found.remedy
    assert is_healthy([found])


def test_an_old_complaint_of_a_meter_that_is_online_does_not_count() -> None:
    assert look("meters", {"log": LogNews(silent={"A": "no reply"})}).mark == "ok"


def test_a_complaint_of_another_device_does_not_count() -> None:
    assert look("meters", {"log": LogNews(silent={"Z": "no reply"}), "online": None}).mark == "ok"


def test_a_journal_stands_behind_memory() -> None:
    facts = stored(type="memory", max_records_count=1) | file(has_journal=True)
    assert look("storage", facts).mark == "ok"


@pytest.mark.parametrize("zone", [":America/Bogota", "<-05>5", "EST5EDT", "/usr/share/zoneinfo/X"])
def test_zones_that_are_good(zone: str) -> None:
    assert look("zone", process(zone=zone)).mark == "ok"


def test_of_a_large_fleet_some_are_looked_at() -> None:
    found = look("data", {"platform": {"A": OnPlatform(age_s=1.0)}})
    assert found.mark == "ok"
    assert found.text.endswith("of 1 meters; 1 more were not looked at")


def test_only_a_few_are_named() -> None:
    names = tuple(f"M{number}" for number in range(20))
    found = look("meters", file(polled=names) | {"online": frozenset()})
    assert "20 of 20" in found.text
    assert "M0:" in found.text
    assert found.text.endswith("; …")
