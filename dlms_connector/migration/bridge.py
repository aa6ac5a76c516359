"""What the old bridge knew of its meters, and what it did whatever its database said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlms_connector.config import Secret
from dlms_connector.errors import ConfigError

#: What the bridge took where its database held nothing.
PORT, CLIENT, SERVER, SAMPLING_S = 3333, 1, 1, 1.0
#: Its time for one reply, and how often it asked once more.
TIMEOUT_MS, RETRIES = 7000, 3

#: The objects that the bridge read for the names of measurements, as a table in its program. The
#: column `obis_code` was for people to see.
OBJECTS: Mapping[str, str] = {
    "voltage_l1": "1-1:32.7.0",
    "voltage_l2": "1-1:52.7.0",
    "voltage_l3": "1-1:72.7.0",
    "current_l1": "1-1:31.7.0",
    "current_l2": "1-1:51.7.0",
    "current_l3": "1-1:71.7.0",
    "frequency": "1-1:14.7.0",
    "active_power": "1-1:1.7.0",
    "active_energy": "1-1:1.8.0",
}


class MigrationError(ConfigError):
    """The old bridge's files cannot be used, or something is in the way of the new ones."""

    symptoms = ()


@dataclass(frozen=True, kw_only=True)
class OldMeasurement:
    """A row of `meter_configs`; None is what the row or the table does not hold."""

    name: str
    obis: str | None = None
    enabled: bool = True
    sampling_s: float | None = None
    tb_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class OldMeter:
    """A row of `meters` with its measurements; None is what the row or the table does not hold."""

    id: int
    name: str
    host: str | None = None
    port: int | None = None
    client_id: int | None = None
    server_id: int | None = None
    status: str | None = None
    model: str | None = None
    password: Secret | None = None
    tb_enabled: bool = True
    tb_host: str | None = None
    tb_port: int | None = None
    tb_token: Secret | None = None
    tb_device_name: str | None = None
    measurements: tuple[OldMeasurement, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """All meters of the bridge, and what its database lacks, a sentence each."""

    meters: tuple[OldMeter, ...]
    notes: tuple[str, ...] = ()
