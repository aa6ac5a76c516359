"""The bridge's database in all its versions: each column may be missing, and is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dlms_connector.migration import MigrationError, read_bridge
from dlms_connector.migration.database import WITHOUT
from tests.support.old_bridge import (
    MEASUREMENTS,
    METERS,
    PASSWORD,
    make_database,
    measurement,
    meter,
)


def test_all_columns(tmp_path: Path) -> None:
    path = make_database(tmp_path / "admin.db", [meter()], [measurement("voltage_l1", tb_key="u")])
    bridge = read_bridge(path)
    assert bridge.notes == ()
    (one,) = bridge.meters
    assert (one.id, one.name, one.host, one.port) == (1, "medidor_principal", "192.168.1.127", 3333)
    assert (one.tb_port, one.tb_token, one.tb_device_name) == (1884, None, "DLMS-Meter-01")
    assert one.password == PASSWORD.encode()
    (measured,) = one.measurements
    assert (measured.name, measured.obis, measured.sampling_s) == ("voltage_l1", "1-1:32.7.0", 5.0)
    assert measured.tb_key == "u"


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    path = make_database(tmp_path / "admin.db", [meter(tb_token="t0ken")], [])
    shown = repr(read_bridge(path))
    assert PASSWORD not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize(
    "column", [f"{table}.{column}" for table, columns in WITHOUT.items() for column in columns]
)
def test_a_missing_column_is_told_with_its_consequence(tmp_path: Path, column: str) -> None:
    path = make_database(
        tmp_path / "admin.db", [meter()], [measurement("voltage_l1")], without=[column]
    )
    bridge = read_bridge(path)
    table, _, name = column.partition(".")
    assert [note for note in bridge.notes if f"`{column}` is missing" in note] != []
    assert any(WITHOUT[table][name] in note for note in bridge.notes)


def test_the_columns_of_the_tables_are_those_of_the_bridge() -> None:
    assert WITHOUT["meters"].keys() <= METERS.keys()
    assert WITHOUT["meter_configs"].keys() <= MEASUREMENTS.keys()


def test_a_missing_table_of_measurements_is_told(tmp_path: Path) -> None:
    gone = [f"meter_configs.{column}" for column in MEASUREMENTS]
    bridge = read_bridge(make_database(tmp_path / "admin.db", [meter()], [], without=gone))
    assert bridge.notes == ("the table `meter_configs` is missing: no measurement is known",)


def test_without_a_column_of_names_the_name_on_the_platform_is_taken(tmp_path: Path) -> None:
    path = make_database(tmp_path / "admin.db", [meter()], [], without=["meters.name"])
    assert read_bridge(path).meters[0].name == "DLMS-Meter-01"


def test_values_of_other_types_are_read(tmp_path: Path) -> None:
    # SQLite keeps any type in any column.
    rows = [meter(port="3333", client_id=16.0, server_id="?", password=12345678, tb_enabled="true")]
    (one,) = read_bridge(make_database(tmp_path / "admin.db", rows, [])).meters
    assert (one.port, one.client_id, one.server_id) == (3333, 16, None)
    assert one.password == b"12345678"
    assert one.tb_enabled


def test_rows_of_no_meter_are_told(tmp_path: Path) -> None:
    rows = [measurement("voltage_l1", meter_id=9), measurement("", meter_id=1)]
    bridge = read_bridge(make_database(tmp_path / "admin.db", [meter()], rows))
    assert len(bridge.notes) == 2
    assert any("meter 9" in note for note in bridge.notes)


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(MigrationError, match="no table `meters`"):
        read_bridge(path)


def test_a_database_that_the_bridge_has_open_is_read(tmp_path: Path) -> None:
    path = make_database(tmp_path / "admin.db", [meter()], [])
    with closing(sqlite3.connect(path)) as bridge:
        bridge.execute("PRAGMA journal_mode = WAL")
        bridge.execute("UPDATE meters SET status = 'error'")
        bridge.commit()
        assert read_bridge(path).meters[0].status == "error"
