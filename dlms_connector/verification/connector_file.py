"""The connector's configuration as the gateway's own process reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlms_connector.config import Configuration, Loaded
from dlms_connector.errors import ConfigError
from dlms_connector.sharing import RoleFile
from dlms_connector.verification.processes import Process
from dlms_connector.verification.snapshot import ConfigFile


def read_configuration(
    path: Path | None,
    problems: list[str] | None,
    gateway: Process | None,
    load: Callable[..., Loaded],
) -> tuple[Configuration | None, ConfigFile | None]:
    """Return the connector's configuration; problems are those that the gateway's Python sees.

    The gateway's own environment tells its share and its role.
    """
    if path is None:
        return None, None
    environment = gateway.environment if gateway is not None else None
    try:
        loaded = load(path, environment=environment)
    except ConfigError as error:
        return None, ConfigFile(path=path, problems=tuple(problems or error.problems))
    devices = loaded.configuration.devices
    polled = [device for device in devices if device.is_polled]
    told = loaded.every_problem if problems is None else tuple(problems)
    file = ConfigFile(
        path=path,
        problems=told,
        devices=tuple(device.device_name for device in devices),
        polled=tuple(device.device_name for device in polled),
        lines=len({device.connection.endpoint for device in polled}),
        periods_s={
            device.device_name: max(
                (each.poll_period_ms or device.poll_period_ms for each in device.timeseries),
                default=device.poll_period_ms,
            )
            / 1000
            for device in polled
        },
        has_journal=bool(loaded.configuration.journal),
        share=str(loaded.share) if loaded.share is not None else "",
        standby=_standby(loaded.configuration),
        metrics=_metrics(loaded.configuration),
    )
    return loaded.configuration, file


def _metrics(configuration: Configuration) -> str:
    """Return where the connector serves its metrics; empty if it does not."""
    if (metrics := configuration.metrics) is None:
        return ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(metrics.host, metrics.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{metrics.port}/metrics"


def _standby(configuration: Configuration) -> str:
    """Return the file by which the gateway would be active, if it is not there."""
    standby = configuration.standby
    if standby is None or RoleFile(Path(standby.active_file)).is_active():
        return ""
    return standby.active_file
