"""Metrics of a running connector: what a scrape finds, and the server, where it is configured."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from logging import Logger
from typing import TYPE_CHECKING, Any, Protocol

import dlms_connector
from dlms_connector.config import Metrics
from dlms_connector.errors import DlmsError
from dlms_connector.hints import Symptom
from dlms_connector.metrics import STATES, Metric, description

if TYPE_CHECKING:
    from dlms_connector.fleet import Fleet
    from dlms_connector.gateway.parts import Parts
    from dlms_connector.meter import Statistics
    from dlms_connector.metrics.exposition import Measured
    from dlms_connector.metrics.server import MetricsServer

_UNKNOWN = "unknown"


class Owner(Protocol):
    """What is measured of the connector itself."""

    #: Messages that the gateway's storage has taken and refused.
    messages: dict[str, int]

    @property
    def parts(self) -> Parts:
        """What works at present."""


class Measuring:
    """Serves metrics between `open` and `close`; without `settings`, nothing.

    What goes wrong with it is logged once and stops nothing else.
    """

    def __init__(self, settings: Metrics | None, gateway: Any, owner: Owner, log: Logger) -> None:
        self._settings, self._gateway, self._owner, self._log = settings, gateway, owner, log
        self._server: MetricsServer | None = None

    def open(self, name: str) -> None:
        """Begin to serve."""
        if (settings := self._settings) is None:
            return
        try:
            from dlms_connector.metrics.exposition import registry_of
            from dlms_connector.metrics.server import MetricsServer
        except ImportError:
            self._tell(_missing())
            return
        where = f"{settings.host}:{settings.port}"
        try:
            registry = registry_of(self.measure)
            self._server = MetricsServer(settings.host, settings.port, registry, f"{name} metrics")
        except OSError as error:
            self._tell(_unserved(where, error))
            return
        self._log.info("metrics are served at http://%s/metrics", where)

    def close(self) -> None:
        """Stop serving; the port is free afterwards."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def measure(self) -> Iterator[Measured]:
        """Yield what there is now; called in the server's threads."""
        from dlms_connector.metrics.exposition import Measured

        for metric, values in self._values():
            yield Measured(metric, values)
        parts = self._owner.parts
        yield Measured(description.LATENESS, histogram=parts.lateness)
        if (fleet := parts.fleet) is not None:
            yield Measured(description.DURATION, histogram=fleet.tally.duration)
            if self._settings is not None and self._settings.per_meter:
                for metric, values in _of_meters(fleet):
                    yield Measured(metric, values)

    def _tell(self, error: DlmsError) -> None:
        self._log.error("%s; %s", error, error.hint)

    def _values(self) -> Iterator[tuple[Metric, dict[tuple[str, ...], float]]]:
        parts, fleet = self._owner.parts, self._owner.parts.fleet
        version = (dlms_connector.__version__, platform.python_version())
        yield description.BUILD, {version: 1}
        yield description.METERS, _by(parts.states(), *STATES)
        yield description.READINGS, {(): parts.uplink.readings}
        yield description.CALLS, _by(parts.downlink.calls)
        yield description.MESSAGES, _by(self._owner.messages)
        yield description.WAITING, {(): parts.waiting}
        yield description.DROPPED, {(): parts.dropped}
        if (stored := self._stored()) is not None:
            yield description.STORED, {(): stored}
        yield description.CONNECTED, {(): self._is_connected()}
        yield from _of_delivery(parts.delivering.status())
        if fleet is not None:
            yield description.POLLS, _by(fleet.tally.polls)
            yield description.PUSHES, _by(fleet.pushing.push.receiver.counts)
            yield from _sums([*(one for _, one in fleet.counters()), fleet.departed])

    def _stored(self) -> int | None:
        """Return what waits in a storage in memory; to count others reads the disk."""
        with suppress(Exception):
            if self._gateway.config["storage"].get("type", "memory") == "memory":
                return int(self._gateway.get_storage_events_count())
        return None

    def _is_connected(self) -> bool:
        with suppress(Exception):
            return bool(self._gateway.tb_client.is_connected())
        return False


def _by(counts: dict[str, int] | Counter[str], *names: str) -> dict[tuple[str, ...], float]:
    known = {**dict.fromkeys(names, 0), **counts}
    return {(name,): value for name, value in known.items()}


def _of_delivery(status: Any) -> Iterator[tuple[Metric, dict[tuple[str, ...], float]]]:
    if "unconfirmed" not in status:  # nothing is kept
        return
    yield description.UNCONFIRMED, {(): status["unconfirmed"]}
    yield description.FLYING, {(): status["handedOver"]}
    yield description.CONFIRMED, {(): status["confirmed"]}
    yield description.LOST, {(one,): status[one] for one in ("refused", "dropped")}


def _sums(
    statistics: list[Statistics],
) -> Iterator[tuple[Metric, dict[tuple[str, ...], float]]]:
    yield description.RETRIES, {(): sum(one.retries for one in statistics)}
    yield description.RECONNECTS, {(): sum(one.reconnects for one in statistics)}
    yield description.RECEIVED, {(): sum(one.bytes_in for one in statistics)}
    yield description.SENT, {(): sum(one.bytes_out for one in statistics)}
    yield description.UNASKED, {(): sum(one.unasked for one in statistics)}
    yield description.FORGED, {(): sum(one.forged for one in statistics)}
    yield description.UNREAD, {(): sum(one.history_unread or 0 for one in statistics)}


def _of_meters(fleet: Fleet) -> Iterator[tuple[Metric, dict[tuple[str, ...], float]]]:
    meters = dict(fleet.counters())
    yield description.UP, {(name,): fleet.state(name) == "online" for name in meters}
    polls: dict[tuple[str, ...], float] = {}
    for name, one in meters.items():
        polls[name, "ok"], polls[name, "failed"] = one.polls_ok, one.polls_failed
    yield description.METER_POLLS, polls
    yield (
        description.METER_DURATION,
        {(name,): one.poll_ms / 1000 for name, one in meters.items() if one.poll_ms is not None},
    )
    yield (
        description.METER_DRIFT,
        {
            (name,): float(one.clock_drift_s)
            for name, one in meters.items()
            if one.clock_drift_s is not None
        },
    )


def _missing() -> DlmsError:
    problem = "metrics are not served: the library prometheus-client is not installed"
    return DlmsError(problem).showing(Symptom.EXTRA_MISSING, extra="metrics")


def _unserved(where: str, error: OSError) -> DlmsError:
    problem = f"metrics cannot be served at {where}: {error.strerror or error}"
    return DlmsError(problem).showing(Symptom.METRICS_PORT)
