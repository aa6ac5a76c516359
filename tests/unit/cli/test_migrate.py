"""The command on files as the bridge made them: what it writes, and what it never does."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlms_connector.cli import main
from tests.support.old_bridge import (
    FIVE,
    PASSWORD,
    make_database,
    make_mapping,
    mapping_entry,
    measurement,
    meter,
)
from tests.support.places import GATEWAY_CONFIG


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "config").mkdir()
    make_database(tmp_path / "data/admin.db", [meter()], [measurement(name) for name in FIVE])
    make_mapping(
        tmp_path / "config/dlmsToMqtt.json",
        mapping_entry("DLMS-Meter-01", {name: name for name in FIVE}),
    )
    return tmp_path


def run(site: Path, *options: str) -> Result:
    arguments = ["--db", str(site / "data/admin.db")]
    if "--mqtt-config" not in options and (site / "config/dlmsToMqtt.json").exists():
        arguments += ["--mqtt-config", str(site / "config/dlmsToMqtt.json")]
    result = CliRunner().invoke(main, ["migrate", *arguments, *options])
    assert PASSWORD not in result.output
    return result


def files(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def document(site: Path) -> Any:
    return json.loads((site / "config/dlms.json").read_text())


def test_the_new_file_has_the_old_names_and_passes_check(site: Path) -> None:
    result = run(site)
    assert result.exit_code == 0, result.output
    (device,) = document(site)["devices"]
    assert device["deviceName"] == "DLMS-Meter-01"
    assert device["connection"]["host"] == "192.168.1.127"
    assert device["dlms"]["password"] == "${file:DLMS-Meter-01.password}"
    assert {row["key"]: row["obis"] for row in device["timeseries"]} == FIVE
    assert device["pollPeriod"] == 5000
    checked = CliRunner().invoke(main, ["check", str(site / "config/dlms.json")])
    assert checked.exit_code == 0, checked.output


def test_energy_keeps_its_unit(site: Path) -> None:
    # The preset of this meter has kWh under the same key: history would jump by a factor of 1000.
    run(site)
    (device,) = document(site)["devices"]
    assert "template" not in device
    assert all("unit" not in row for row in device["timeseries"])


def test_the_password_is_in_a_private_file_only(site: Path) -> None:
    run(site)
    secret = site / "config/secrets/DLMS-Meter-01.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert secret.read_text() == f"{PASSWORD}\ndevice: DLMS-Meter-01\n"
    assert PASSWORD not in (site / "config/dlms.json").read_text()


def test_a_dry_run_shows_the_table_and_writes_nothing(site: Path) -> None:
    before = files(site)
    result = run(site, "--dry-run")
    assert result.exit_code == 0, result.output
    assert files(site) == before
    lines = result.output.splitlines()
    (line,) = [line for line in lines if "voltage_l1" in line]
    assert "voltage_l1, 1-1:32.7.0, every 5 s" in line
    assert "voltage_l1, 1-1:32.7.0, every 5000 ms" in line
    assert any("medidor_principal at 192.168.1.127:3333" in line and "DLMS-Meter-01" in line
               for line in lines)  # fmt: skip


def test_nothing_is_overwritten(site: Path) -> None:
    (site / "config/dlms.json").write_text("{}")
    before = files(site)
    result = run(site)
    assert result.exit_code == 2
    assert "exists already" in result.output
    assert files(site) == before


def test_the_example_of_install_makes_way(site: Path) -> None:
    example = (GATEWAY_CONFIG / "dlms.json").read_text()
    (site / "config/dlms.json").write_text(example)
    result = run(site)
    assert result.exit_code == 0, result.output
    assert (site / "config/dlms.json").read_text() != example


def test_a_password_file_in_the_way_stops_everything(site: Path) -> None:
    (site / "config/secrets").mkdir()
    (site / "config/secrets/DLMS-Meter-01.password").symlink_to(site / "elsewhere")
    before = files(site)
    result = run(site)
    assert result.exit_code == 2
    assert "DLMS-Meter-01.password: exists already" in result.output
    assert files(site) == before


def test_it_only_reads_what_the_bridge_left(site: Path) -> None:
    before = files(site)
    run(site)
    after = files(site)
    assert {name: after[name] for name in before} == before


def test_without_a_password_it_says_where_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make_database(
        tmp_path / "data/admin.db",
        [meter()],
        [measurement("voltage_l1")],
        without=["meters.password"],
    )
    output = tmp_path / "dlms.json"
    result = run(tmp_path, "--output", str(output))
    assert result.exit_code == 0, result.output
    assert "`meters.password` is missing" in result.output
    assert str(tmp_path / "secrets/DLMS-Meter-01.password") in result.output
    assert not (tmp_path / "secrets").exists()


def test_a_password_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    make_database(tmp_path / "data/admin.db", [meter(password=None)], [measurement("voltage_l1")])
    monkeypatch.setenv("METER_PASSWORD", PASSWORD)
    output = tmp_path / "dlms.json"
    result = run(tmp_path, "--output", str(output), "--password-env", "METER_PASSWORD")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "secrets/DLMS-Meter-01.password").read_text().startswith(PASSWORD)


def test_the_default_place_without_a_mapping_is_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    make_database(tmp_path / "data/admin.db", [meter()], [measurement("voltage_l1")])
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path).exit_code == 0
    assert (tmp_path / "dlms.json").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "no such file"), (b"", "no table `meters`"), (b"x" * 5000, "cannot be read as")],
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes | None, told: str) -> None:
    (tmp_path / "data").mkdir()
    if content is not None:
        (tmp_path / "data/admin.db").write_bytes(content)
    result = run(tmp_path)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_mapping_that_is_none(site: Path) -> None:
    (site / "config/dlmsToMqtt.json").write_text("[]")
    result = run(site)
    assert result.exit_code == 2
    assert "no list `mapping`" in result.output


def test_no_meter_to_take_over(site: Path) -> None:
    (site / "data/admin.db").unlink()
    make_database(site / "data/admin.db", [meter(tb_enabled=0)], [measurement("voltage_l1")])
    result = run(site)
    assert result.exit_code == 2
    assert "tb_enabled is off" in result.output
    assert not (site / "config/dlms.json").exists()


def test_what_can_be_removed_is_told_without_tokens(site: Path) -> None:
    token = "an-own-t0ken-of-the-meter"
    (site / "data/admin.db").unlink()
    make_database(
        site / "data/admin.db", [meter(tb_token=token, tb_port=1883)], [measurement("voltage_l1")]
    )
    result = run(site)
    assert result.exit_code == 0, result.output
    assert "sudo systemctl disable --now" in result.output
    assert "device DLMS-Meter-01, Manage credentials" in result.output
    assert token not in result.output
