"""A database and a gateway configuration as the old bridge made them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

#: The tables as the bridge's last version made them, but for the columns that are of no use here.
METERS: Mapping[str, str] = {
    "id": "INTEGER NOT NULL PRIMARY KEY",
    "name": "VARCHAR(100) NOT NULL",
    "ip_address": "VARCHAR(45) NOT NULL",
    "port": "INTEGER",
    "client_id": "INTEGER",
    "server_id": "INTEGER",
    "status": "VARCHAR(20)",
    "last_seen": "DATETIME",
    "process_id": "INTEGER",
    "tb_enabled": "BOOLEAN",
    "tb_host": "VARCHAR(255)",
    "tb_port": "INTEGER",
    "tb_token": "VARCHAR(100)",
    "tb_device_name": "VARCHAR(100)",
    "model": "VARCHAR(100)",
    "password": "VARCHAR(100)",
}
MEASUREMENTS: Mapping[str, str] = {
    "id": "INTEGER NOT NULL PRIMARY KEY",
    "meter_id": "INTEGER NOT NULL",
    "measurement_name": "VARCHAR(50) NOT NULL",
    "obis_code": "VARCHAR(20) NOT NULL",
    "enabled": "BOOLEAN",
    "sampling_interval": "FLOAT",
    "tb_key": "VARCHAR(50)",
}

PASSWORD = "2222222222"
#: The five that the bridge read of each meter at the first site.
FIVE: Mapping[str, str] = {
    "voltage_l1": "1-1:32.7.0",
    "current_l1": "1-1:31.7.0",
    "frequency": "1-1:14.7.0",
    "active_power": "1-1:1.7.0",
    "active_energy": "1-1:1.8.0",
}


def meter(**columns: Any) -> dict[str, Any]:
    """Return a row of a meter as at the first site."""
    return {
        "id": 1,
        "name": "medidor_principal",
        "ip_address": "192.168.1.127",
        "port": 3333,
        "client_id": 1,
        "server_id": 1,
        "status": "active",
        "tb_enabled": 1,
        "tb_host": "localhost",
        "tb_port": 1884,
        "tb_token": None,
        "tb_device_name": "DLMS-Meter-01",
        "password": PASSWORD,
    } | columns


def measurement(name: str, meter_id: int = 1, **columns: Any) -> dict[str, Any]:
    """Return a row of a measurement."""
    return {
        "meter_id": meter_id,
        "measurement_name": name,
        "obis_code": FIVE.get(name, "1-1:2.8.0"),
        "enabled": 1,
        "sampling_interval": 5.0,
    } | columns


def make_database(
    path: Path,
    meters: Sequence[Mapping[str, Any]],
    measurements: Sequence[Mapping[str, Any]],
    without: Sequence[str] = (),
) -> Path:
    """Write a bridge's database, without some columns (`table.column`)."""
    tables = (("meters", METERS, meters), ("meter_configs", MEASUREMENTS, measurements))
    with closing(sqlite3.connect(path)) as database, database:
        for table, columns, rows in tables:
            there = [column for column in columns if f"{table}.{column}" not in without]
            if not there:
                continue
            declared = ", ".join(f"{column} {columns[column]}" for column in there)
            database.execute(f"CREATE TABLE {table} ({declared})")
            for row in rows:
                given = [column for column in there if column in row]
                marks = ", ".join("?" * len(given))
                database.execute(
                    f"INSERT INTO {table} ({', '.join(given)}) VALUES ({marks})",
                    [row[column] for column in given],
                )
    return path


def mapping_entry(name: str, keys: Mapping[str, str], **converter: Any) -> dict[str, Any]:
    """Return an entry of the gateway's MQTT mapping; `keys` is by what the bridge published."""
    return {
        "topicFilter": "v1/devices/me/telemetry",
        "converter": {
            "type": "json",
            "deviceNameJsonExpression": name,
            "deviceTypeJsonExpression": "DLMS Energy Meter",
            "sendDataOnlyOnChange": False,
            "timeout": 60000,
            "attributes": [],
            "timeseries": [
                {"type": "double", "key": key, "value": f"${{values.{published}}}"}
                for published, key in keys.items()
            ],
            **converter,
        },
    }


def make_mapping(path: Path, *entries: Mapping[str, Any]) -> Path:
    """Write the file of the gateway's MQTT connector."""
    document = {
        "broker": {
            "host": "127.0.0.1",
            "port": 1884,
            "version": 3,
            "clientId": "dlms-connector",
            "security": {"type": "anonymous"},
        },
        "mapping": list(entries),
    }
    path.write_text(json.dumps(document))
    return path
