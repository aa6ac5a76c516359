"""Facts from a host made of files: a gateway's folders, and a /proc with its processes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dlms_connector.migration import Host
from dlms_connector.verification import Probe, Snapshot, Sources, gather, judge
from dlms_connector.verification.probing import probe

NOW = datetime(2026, 3, 1, 12, 0, 0)
TOKEN = "the-gateways-t0ken"
LISTENER = "0: 0100007F:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 111 1"
CONNECTION = "1: 0100007F:A000 0100007F:075B 01 0:0 00:0 0 0 0 222 1"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for folder in ("config/secrets", "proc/net", "host/etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    main = {
        "thingsboard": {"host": "h", "port": 1883, "security": {"accessToken": TOKEN}},
        "storage": {"type": "sqlite"},
        "connectors": [
            {"type": "custom", "name": "DLMS", "class": "DLMSConnector",
             "configuration": "dlms.json"}
        ],
    }  # fmt: skip
    (tmp_path / "config/tb_gateway.json").write_text(json.dumps(main))
    device = {
        "deviceName": "A",
        "connection": {"host": "10.0.0.1"},
        "timeseries": [{"key": "u", "obis": "1-0:32.7.0", "pollPeriod": 30000}],
    }
    (tmp_path / "config/dlms.json").write_text(json.dumps({"devices": [device]}))
    (tmp_path / "proc/uptime").write_text("1000.0 1.0\n")
    net(tmp_path)
    return tmp_path


def net(place: Path, *rows: str) -> None:
    (place / "proc/net/tcp").write_text("  sl local\n" + "\n".join(rows) + "\n")


def run(place: Path, pid: int, *arguments: str, env: Mapping[str, str] | None = None) -> Path:
    folder = place / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "cmdline").write_text("\0".join(arguments) + "\0")
    (folder / "environ").write_text("\0".join(f"{k}={v}" for k, v in (env or {}).items()))
    (folder / "cwd").symlink_to(place)
    (folder / "stat").write_text(f"{pid} (a) b) S 1 " + "0 " * 17 + "90000 0\n")
    (folder / "limits").write_text("Limit  Soft\nMax open files  1024  4096  files\n")
    return folder


def run_gateway(place: Path, pid: int = 7, **env: str) -> Path:
    return run(
        place, pid, "/gone/python", "/usr/bin/thingsboard-gateway",
        env={"TB_GW_CONFIG_DIR": "config/", "TZ": "America/Bogota", **env},
    )  # fmt: skip


def ask_nobody(*_: object) -> tuple[Probe, None]:
    return Probe(python="python", loaded_from="x.py"), None


def look(place: Path, ask: Any = ask_nobody) -> Snapshot:
    sources = Sources(place / "config", place / "proc", Host(place / "host"), ask)
    facts = gather(sources, NOW)
    assert TOKEN not in repr(facts)
    return facts


def test_the_gateway_of_this_folder(place: Path) -> None:
    folder = run_gateway(place)
    run(place, 8, "/usr/bin/thingsboard-gateway", env={"TB_GW_CONFIG_DIR": "/elsewhere"})
    (folder / "fd/5").symlink_to("socket:[222]")
    net(place, CONNECTION)
    facts = look(place)
    (process,) = facts.processes
    assert (process.pid, process.connected, process.most_files) == (7, True, 1024)
    assert process.zone == "America/Bogota"
    assert process.running_s == pytest.approx(1000 - 90000 / os.sysconf("SC_CLK_TCK"))


def test_a_gateway_that_takes_the_folder_of_its_package(place: Path) -> None:
    (place / "thingsboard_gateway").mkdir()
    (place / "config").rename(place / "thingsboard_gateway/config")
    run(place, 9, "python3", "-m", "thingsboard_gateway.tb_gateway")
    sources = Sources(
        place / "thingsboard_gateway/config", place / "proc", Host(place / "host"), ask_nobody
    )
    assert [each.pid for each in gather(sources, NOW).processes] == [9]


def test_a_gateway_without_a_connection(place: Path) -> None:
    run_gateway(place)
    net(place, CONNECTION)
    assert look(place).processes[0].connected is False


def test_a_gateway_that_is_told_its_platform_by_its_environment(place: Path) -> None:
    """As in a container, where `tb_gateway.json` names another one."""
    folder = run_gateway(place, TB_GW_HOST="other", TB_GW_PORT="2883")
    (folder / "fd/5").symlink_to("socket:[222]")
    net(place, CONNECTION)
    assert look(place).processes[0].connected is False
    net(place, CONNECTION.replace("075B", "0B43"))
    assert look(place).processes[0].connected is True


def test_secrets_that_only_the_gateways_environment_has(place: Path) -> None:
    path = place / "config/dlms.json"
    document = json.loads(path.read_text())
    document["devices"][0]["dlms"] = {
        "authentication": "LOW", "password": "${env:DLMS_ONLY_OF_THE_GATEWAY}",
    }  # fmt: skip
    document["devices"].append(
        {
            "deviceName": "B",
            "connection": {"host": "10.0.0.2"},
            "dlms": {"authentication": "LOW", "password": "${file:b}"},
        }
    )
    path.write_text(json.dumps(document))
    (place / "keys").mkdir(mode=0o700)
    (place / "keys/b").write_text("12345678")
    run_gateway(
        place, DLMS_ONLY_OF_THE_GATEWAY="12345678", DLMS_SECRETS_DIRECTORY=str(place / "keys")
    )
    facts = look(place)
    assert facts.file is not None
    assert facts.file.polled == ("A", "B")
    assert facts.file.problems == ()
    assert place / "keys/b" in {each.path for each in facts.secrets}


def test_the_token_of_a_container_is_in_each_environment_there(place: Path) -> None:
    token = "t0ken-of-the-environment"
    run_gateway(place, TB_GW_ACCESS_TOKEN=token)
    run(place, 9, "/bin/sh", env={"TB_GW_ACCESS_TOKEN": token})
    assert look(place).holders == ()
    run(place, 10, "python", "bridge.py", token)
    (holder,) = look(place).holders or ()
    assert holder.what == "process 10, python"


def test_a_second_gateway_that_has_the_token_from_its_environment(place: Path) -> None:
    run_gateway(place)
    other_gateway(place, security={"accessToken": "another-t0ken"})
    assert look(place).holders == ()
    (place / "proc/9/environ").write_text(
        f"TB_GW_CONFIG_DIR={place / 'other'}\0TB_GW_ACCESS_TOKEN={TOKEN}\0"
    )
    (holder,) = look(place).holders or ()
    assert holder.what == "process 9, thingsboard-gateway"


def test_a_python_that_is_gone(place: Path) -> None:
    run_gateway(place)
    facts = look(place, probe)
    assert facts.probe is not None
    assert facts.probe.loaded_from is None
    assert "cannot be run" in facts.probe.error
    assert judge(facts)["loader"].mark == "failed"


def test_without_a_gateway_this_python_is_asked(place: Path) -> None:
    facts = look(place, probe)
    assert facts.processes == ()
    assert facts.probe is not None
    assert not facts.probe.of_the_process
    assert facts.probe.versions["thingsboard-gateway"].startswith("3.8")


def test_the_entry_and_its_file(place: Path) -> None:
    facts = look(place)
    assert facts.entry is not None
    assert facts.entry.name == "DLMS"
    assert facts.file is not None
    assert (facts.file.polled, facts.file.lines, facts.file.periods_s) == (("A",), 1, {"A": 30.0})
    assert facts.main == {"storage": {"type": "sqlite"}}


@pytest.mark.parametrize("text", ["", "[]", "{", None])
def test_a_main_file_of_no_use(place: Path, text: str | None) -> None:
    path = place / "config/tb_gateway.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    facts = look(place)
    assert str(path) in facts.main_problem
    assert judge(facts)["entry"].mark == "failed"


def test_problems_of_the_configuration(place: Path) -> None:
    (place / "config/dlms.json").write_text('{"devices": [{}]}')
    facts = look(place)
    assert judge(facts)["configuration"].mark == "failed"
    (place / "config/dlms.json").write_text("{")
    assert judge(look(place))["configuration"].mark == "failed"


@pytest.mark.parametrize(
    ("arguments", "env", "where"),
    [
        (("python", "bridge.py", TOKEN), {}, "on its command line"),
        (("python", "bridge.py", f"--token={TOKEN}"), {}, "on its command line"),
        (("python", "bridge.py"), {"TB_TOKEN": TOKEN}, "in its environment"),
    ],
)
def test_other_holders_of_the_token(
    place: Path, arguments: tuple[str, ...], env: dict[str, str], where: str
) -> None:
    run_gateway(place)
    run(place, 9, *arguments, env=env)
    (holder,) = look(place).holders or ()
    assert (holder.what, holder.where) == ("process 9, python", where)


def other_gateway(place: Path, **thingsboard: Any) -> None:
    (place / "other").mkdir()
    main = {"thingsboard": {"host": "h", "port": 1883, "security": {"accessToken": TOKEN}}}
    main["thingsboard"] |= thingsboard
    (place / "other/tb_gateway.json").write_text(json.dumps(main))
    run(place, 9, "thingsboard-gateway", env={"TB_GW_CONFIG_DIR": str(place / "other")})


def test_a_second_gateway_with_the_token(place: Path) -> None:
    other_gateway(place)
    (holder,) = look(place).holders or ()
    assert holder.where == f"in {place / 'other/tb_gateway.json'}"


def test_the_same_token_at_another_platform_is_another(place: Path) -> None:
    other_gateway(place, port=2883)
    assert look(place).holders == ()


def test_a_service_with_the_token(place: Path) -> None:
    unit = place / "host/etc/systemd/system/x.service"
    unit.write_text(f"[Service]\nEnvironment=TOKEN={TOKEN}\n")
    (holder,) = look(place).holders or ()
    assert holder.what == "service x"


def test_another_client_of_the_platform(place: Path) -> None:
    folder = run(place, 9, "/usr/bin/python3", "x.py")
    (folder / "fd/5").symlink_to("socket:[222]")
    net(place, CONNECTION)
    assert look(place).other_clients == ("process 9, python3",)


def test_the_old_bridge(place: Path) -> None:
    run(place, 9, "/opt/b/venv/bin/python", "/opt/b/dlms_multi_meter_bridge.py")
    run(place, 10, "vim", "notes about dlms_multi_meter_bridge.py.txt")
    wanted = place / "host/etc/systemd/system/multi-user.target.wants"
    wanted.mkdir()
    (wanted / "qos-supervisor.service").symlink_to("/etc/systemd/system/qos-supervisor.service")
    assert look(place).bridge == (
        "service qos-supervisor starts with this host",
        "process 9 (dlms_multi_meter_bridge)",
    )


def test_a_listener(place: Path) -> None:
    net(place, LISTENER.format(port=1884), CONNECTION)
    facts = look(place)
    assert facts.listening == frozenset({1884})
    assert judge(facts)["broker"].mark == "failed"


def test_meters_that_are_noted_as_online(place: Path) -> None:
    state = place / "data/dlms"
    state.mkdir(parents=True, mode=0o700)
    note = {"storage ": {"folder": str(state), "id": "x", "users": ["connector DLMS"]}}
    (place / "config/.dlms-state.json").write_text(json.dumps(note))
    (state / "online-DLMS.json").write_text('{"A": "DLMS Energy Meter"}')
    facts = look(place)
    assert facts.online == frozenset({"A"})
    assert judge(facts)["meters"].mark == "ok"


def test_secrets_that_others_can_read(place: Path) -> None:
    secret = place / "config/secrets/a.password"
    secret.write_text("x")
    secret.chmod(0o644)
    (place / "config/secrets").chmod(0o755)
    found = judge(look(place))["secrets"]
    assert found.mark == "failed"
    assert str(secret) in found.text
    (place / "config/secrets").chmod(0o700)
    assert judge(look(place))["secrets"].mark == "ok"


def test_a_process_of_another_user_is_counted(place: Path) -> None:
    (run(place, 8, "nginx") / "environ").unlink()  # it has ended meanwhile
    hidden = run(place, 9, "nginx") / "environ"
    hidden.unlink()
    hidden.mkdir()  # cannot be read, not even by root
    assert look(place).hidden_processes == 1
