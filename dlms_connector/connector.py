"""The connector class that the gateway loads: its life cycle, without any DLMS code.

One thread runs all meters (`meters_thread`). One converts their data and passes it to the
gateway, and one does the work that waits for the platform (`uplink_queue`). Nothing here raises
into the gateway: after an exception in a constructor or handler, the gateway has no connectors,
remote calls or attribute updates until it restarts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from time import time as unix_time
from typing import Any
from uuid import uuid4

from thingsboard_gateway.connectors.connector import Connector
from thingsboard_gateway.gateway.constant_enums import Status
from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.tb_utility.tb_logger import init_logger

from dlms_connector.config import Configuration, Device
from dlms_connector.fleet import Fleet
from dlms_connector.gateway import (
    Announcer,
    CallEntry,
    Converter,
    Downlink,
    FileWatch,
    MetersThread,
    Renames,
    Uplink,
    UplinkQueue,
    denied_by,
    devices_file,
    file_name,
    id_of,
    last_good,
    name_of,
    prepare,
    shorten,
    state_directory,
    usable,
)
from dlms_converters.device_data import DeviceData
from dlms_converters.message_size import LARGEST_VALUE, messages
from dlms_converters.own import downlink_converter, uplink_converter
from dlms_converters.statistics import count_message

#: `close` takes at most CLOSE_S: the gateway calls it in a busy loop, for 5 s at most. The time
#: that is left after the release of the meters, at least FLUSH_S, is for data in the queue.
CLOSE_S = 0.9
FLUSH_S = 0.1
#: Pause between two looks at the table of devices; a change counts after two.
LOOK_S = 5.0

#: Bytes that the gateway adds to an attribute: names of up to 255 characters, and metadata.
_ENVELOPE = 2048

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NONE")


class DLMSConnector(Connector):  # type: ignore[misc]
    """Polls DLMS meters for the gateway. Made, opened and closed by the gateway."""

    #: How the fleet is made.
    fleet_factory: Callable[..., Fleet] = Fleet

    def __init__(self, gateway: Any, config: Any, connector_type: str) -> None:
        super().__init__()
        self._gateway, self._config, self._type = gateway, config, connector_type
        section = config if isinstance(config, Mapping) else {}
        self.name = name_of(config, getattr(gateway, "connectors_configs", {}))
        self.statistics = {"MessagesReceived": 0, "MessagesSent": 0}
        self._id = id_of(config) or str(uuid4())
        self._log = self._logger(self.name, section, is_connector_logger=True)
        self._converter_log = self._logger(
            f"{self.name}_converter", section, is_converter_logger=True, attr_name=self.name
        )
        self._lock = Lock()
        self._opened = self._stopped = False
        self._make()

    def _make(self) -> None:
        """Make all parts from the configuration; they are started by `_begin`."""
        gateway, config = self._gateway, self._config
        folder = Path(gateway.get_config_path())
        self._watch = FileWatch(devices_file(config, folder))
        self._look_at = monotonic() + LOOK_S
        self._downlink_converters: dict[str, Any] = {}
        denied = denied_by(gateway, self.name, self._log)
        self._prepared = prepare(config, folder, self._log, self._converter, denied)
        names = [device.device_name for device in self._prepared.devices]
        self._renames = Renames(gateway, names, self._log)
        self._announcer = Announcer(
            gateway,
            self,
            CallEntry(gateway, self, names),
            self._renames,
            self._log,
            monotonic,
        )
        self._announcing = UplinkQueue(self._log, idle=self._reconcile, idle_s=self._idle_s)
        self._queue = UplinkQueue(
            self._log, dropped=lambda count: self._count("convertersMsgDropped", count)
        )
        self._uplink = Uplink(
            self._prepared.converters,
            self._announcer,
            self._queue,
            self._announcing,
            self._log,
            send=self._send,
            count=self._count,
            came_online=lambda name: self._downlink.online(name),
            numeric_texts=self._prepared.configuration.numeric_texts,
            largest_attribute=self._largest_attribute,
        )
        self._meters = MetersThread(
            self._make_fleet,
            self._prepared.devices,
            self._uplink,
            self._log,
            period_s=self._prepared.configuration.diagnostics_period_ms / 1000,
        )
        self._downlink = Downlink(
            gateway,
            self._type,
            self._prepared.devices,
            self._downlink_converters,
            run=self._meters.call,
            tell_attributes=self._uplink.attributes,
            tell_telemetry=self._uplink.event,
            audit_telemetry=self._prepared.configuration.audit_telemetry,
            log=self._log,
            largest_attribute=self._largest_attribute,
            connector_id=self._id,
        )

    # What the gateway asks

    def get_id(self) -> str:
        """Return the id of this connector in the gateway."""
        return self._id

    def get_name(self) -> str:
        """Return the connector's name, which the gateway may set after construction."""
        return self.name

    def get_type(self) -> str:
        """Return the type under which the gateway found the class."""
        return self._type

    def get_config(self) -> Any:
        """Return the configuration as the gateway gave it; secret references are not resolved.

        Returns an empty mapping if it is no JSON object: the gateway looks up keys in it.
        """
        return self._config if isinstance(self._config, Mapping) else {}

    def is_connected(self) -> bool:
        """Whether any meter answers."""
        return self._opened and not self._stopped and bool(self._uplink.online)

    def is_stopped(self) -> bool:
        """Whether `close` has finished."""
        return self._stopped

    # Life cycle

    def open(self) -> None:
        """Start polling and return at once."""
        with self._lock:
            if self._opened or self._stopped:
                return
            self._opened = True
            self._begin()

    def _begin(self) -> None:
        self._queue.start(f"{self.name} uplink")
        self._announcing.start(f"{self.name} announcing")
        for one in self._prepared.misconfigured:
            self._uplink.misconfigured(one.name, one.device_type, one.problems)
        self._meters.start(f"{self.name} meters")

    def _begin_anew(self) -> None:
        """Load the configuration again, after a change of its table of devices."""
        with self._lock:
            if self._stopped:
                return
            if not usable(self._config, Path(self._gateway.get_config_path())):
                told = "%s has changed and gives no usable device: polling goes on as before"
                self._log.error(told, self._watch.path)
                return
            self._log.info("%s has changed: the devices are loaded again", self._watch.path)
            try:
                self._end(for_good=False)
                before = self._uplink.states
                self._make()
                self._uplink.states.inherit(before)
                self._begin()
            except Exception:
                self._log.exception("the devices could not be loaded again")

    def close(self) -> None:
        """Stop polling and release the meters; return when done, in less than a second."""
        with self._lock:
            if self._stopped:
                return
            try:
                self._end()
            except Exception:  # else the gateway would repeat the call for 5 s, in vain
                self._log.exception("the connector did not end cleanly")
            self._stopped = True
            for log in (self._converter_log, self._log):
                _stop_logger(log)

    def _end(self, *, for_good: bool = True) -> None:
        started = monotonic()
        self._announcing.close(0)  # ends in the background
        self._meters.stop()
        self._downlink.close()
        if for_good:
            self._uplink.last_words(lambda: monotonic() - started < CLOSE_S - FLUSH_S)
        if not self._queue.close(max(FLUSH_S, CLOSE_S - FLUSH_S - (monotonic() - started))):
            self._log.warning("not all that was read could be handed to the gateway in time")
        self._announcing.close(FLUSH_S / 2)
        self._announcer.close()
        self._forget_reports()
        self._log.info("closed within %.0f ms", (monotonic() - started) * 1000)

    def _forget_reports(self) -> None:
        """Stop the gateway's periodic reports: it would repeat the last values for ever."""
        with suppress(Exception):
            service = self._gateway.get_report_strategy_service()
            if service is not None:
                service.delete_all_records_for_connector_by_connector_id_and_connector_name(
                    self.get_id(), self.get_name()
                )

    # Downlink

    def on_attributes_update(self, content: Any) -> None:
        """Handle shared attributes; the platform also sends them again without a request."""
        try:
            self._downlink.attributes(content)
        except Exception:
            self._log.exception("shared attributes could not be taken")

    def get_device_shared_attributes_keys(self, device_name: str) -> list[str]:
        """Return the shared attributes that the gateway requests when a device connects."""
        return self._downlink.shared_keys(device_name)

    def server_side_rpc_handler(self, content: Any) -> Any:
        """Handle a remote call; the reply to a device's call is sent separately.

        The reply to a call to the connector is the returned value.
        """
        try:
            if content.get("device"):
                self._downlink.device_call(content)
                return None
            return self._downlink.connector_call(content)
        except Exception:
            self._log.exception("a remote call could not be taken")
            return {"error": "a fault of the connector"}

    def gateway_rpc_handler(self, number: int, content: Any) -> bool:
        """Take a call to the connector whose reply is sent separately; false if it is none."""
        try:
            return self._downlink.gateway_call(number, content)
        except Exception:
            self._log.exception("a remote call could not be taken")
            return False

    def device_deleted(self, name_there: str) -> None:
        """Note that the platform has deleted a device, by its name there."""
        for device in self._prepared.devices:
            if self._renames.name_of(device.device_name) == name_there:
                self._uplink.deleted(device.device_name)

    # What the parts need

    def _logger(self, name: str, section: Mapping[str, Any], **kind: Any) -> logging.Logger:
        level = section.get("logLevel")
        level = level if level in _LEVELS else "INFO"
        try:
            remote = bool(section.get("enableRemoteLogging", False))
            log = init_logger(self._gateway, name, level, enable_remote_logging=remote, **kind)
        except Exception:
            log = logging.getLogger(name)
            log.exception("the gateway could not make this logger")
        log.addFilter(shorten)
        return log  # type: ignore[no-any-return]

    def _converter(self, device: Device, configuration: Configuration) -> Converter:
        log, strategy = self._converter_log, configuration.report_strategy
        texts = configuration.numeric_texts
        downlink = downlink_converter(device, log, self._type)
        self._downlink_converters[device.device_name] = downlink
        made: Converter = uplink_converter(device, log, self._type, strategy, texts)
        return made

    def _make_fleet(self) -> Fleet:
        folder = state_directory(
            self._prepared.configuration.state_directory,
            self._gateway.config.get("storage", {}),
            Path(self._gateway.get_config_path()),
            self._log,
            self.name,
        )
        if folder is not None:
            last_good.keep(self._config, folder, self.name, self._log)
            self._renames.open(folder / f"renamed-{file_name(self.name)}.json")
        path = folder / f"online-{file_name(self.name)}.json" if folder is not None else None
        names = [device.device_name for device in self._prepared.devices]
        names += [one.name for one in self._prepared.misconfigured]
        self._uplink.states.open(path, names, self._is_of_another)
        factory = type(self).fleet_factory
        fleet = factory(self._prepared.devices, self._uplink, self._log, state_dir=folder)
        self._downlink.start(fleet, folder)
        return fleet

    def _idle_s(self) -> float:
        # The gateway makes its client soon after its connectors. What the platform tells as soon
        # as it is connected comes some milliseconds later.
        return 0.1 if self._gateway.tb_client is not None else 0.001

    def _reconcile(self) -> None:
        self._announcer.reconcile()
        self._uplink.states.reconcile()
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_S
            if self._watch.changed():
                # Not in this thread: it ends with the others.
                Thread(target=self._begin_anew, name=f"{self.name} loading", daemon=True).start()

    def _is_of_another(self, name: str) -> bool:
        owner = self._gateway.get_devices().get(name, {}).get("connector")
        return owner is not None and owner.get_name() != self.name

    def _send(self, data: Any) -> None:
        parts = messages(DeviceData.of(data)) if isinstance(data, ConvertedData) else (data,)
        for part in parts:
            if self._gateway.is_latency_metrics_enabled() and isinstance(part, ConvertedData):
                now_ms = int(unix_time() * 1000)
                received_ms = max((entry.ts for entry in part.telemetry), default=now_ms)
                part.add_to_metadata({"receivedTs": received_ms, "convertedTs": now_ms})
            status = self._gateway.send_to_storage(self.get_name(), self.get_id(), part)
            self.statistics["MessagesSent"] += status == Status.SUCCESS

    def _largest_attribute(self) -> int:
        """Return the largest attribute in bytes; it depends on the platform's payload size."""
        most = LARGEST_VALUE["attributes"]
        with suppress(Exception):  # there is no client yet
            most = max(most, self._gateway.get_max_payload_size_bytes() - _ENVELOPE)
        return most

    def _count(self, name: str, count: int) -> None:
        if name == "connectorMsgsReceived":
            self.statistics["MessagesReceived"] += count
        log = self._converter_log if name.startswith("converters") else self._log
        count_message(log.name, name, count)


def _stop_logger(log: logging.Logger) -> None:
    """Stop a logger of the gateway and close its files, which the gateway leaves open."""
    files = [handler for handler in log.handlers if isinstance(handler, logging.FileHandler)]
    with suppress(Exception):
        log.stop()  # type: ignore[attr-defined]  # of the gateway's own class
    for file in files:
        file.close()
