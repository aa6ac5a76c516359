"""The connector class that the gateway loads: its life cycle, without any DLMS code.

The work is done by the parts (`gateway.Parts`), which go on with other devices when their table
changes, and are made anew when the gateway's role does. Nothing here raises into the gateway: after
an exception in a constructor or handler, the gateway has no connectors, remote calls or attribute
updates until it restarts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from time import time as unix_time
from typing import Any
from uuid import uuid4

from thingsboard_gateway.connectors.connector import Connector
from thingsboard_gateway.gateway.constant_enums import Status
from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.tb_utility.tb_logger import init_logger

from dlms_connector.fleet import Fleet
from dlms_connector.gateway import (
    Logs,
    Measuring,
    Parts,
    end_in_order,
    id_of,
    name_of,
    put_directly,
    shorten,
)
from dlms_converters.device_data import DeviceData
from dlms_converters.message_size import messages
from dlms_converters.statistics import count_message

_CLOSED = "the connector is closed"
_AS_BEFORE = "the devices could not be loaded again: polling goes on as before"
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
        #: Held while what works changes: by one change after the other, also while it is prepared,
        #: and by whoever begins or ends.
        self._changing, self._lock = Lock(), Lock()
        self._opened = self._stopped = False
        logs = Logs(self._log, self._converter_log)
        self._make = partial(Parts, gateway, self, config, logs)
        #: What works at present; None once closed: the gateway holds a closed connector for a
        #: while, and thousands of meters are not to stay in memory with it.
        self._parts: Parts | None = self._make()
        #: Messages that the gateway's storage has taken and refused.
        self.messages = {"taken": 0, "refused": 0}
        metrics = self.parts.prepared.configuration.metrics
        self._measuring = Measuring(metrics, gateway, self, self._log)

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
        return self._opened and (parts := self._parts) is not None and bool(parts.uplink.online)

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
            try:
                end_in_order(self._gateway)
            except Exception:  # then SIGTERM ends the process at once, as before
                self._log.debug("SIGTERM is left as it is", exc_info=True)
            self.parts.begin()
            self._measure()

    @property
    def parts(self) -> Parts:
        """What works at present; raises RuntimeError once the connector is closed."""
        if (parts := self._parts) is None:
            raise RuntimeError(_CLOSED)
        return parts

    def _measure(self) -> None:
        try:
            self._measuring.open(self.name)
        except Exception:
            self._log.exception("metrics cannot be served")

    def _follow_table(self) -> None:
        """Serve the devices that the table has now."""
        with self._changing:
            if not self._go_on():
                self._begin_anew()

    def _go_on(self) -> bool:
        """Let the parts go on with the devices that there are now; false if they cannot."""
        if (parts := self._parts) is None:
            return True
        try:
            said = parts.table.news()  # without the lock: to close does not wait for a large table
        except Exception:
            self._log.exception(_AS_BEFORE)
            return True
        with self._lock:
            return said is None or self._stopped or parts.change(said)

    def _begin_anew(self) -> None:
        with self._lock:
            if self._stopped:
                return
            try:
                parts = self._make()
            except Exception:
                self._log.exception(_AS_BEFORE)
                return
            self._replace_by(parts)

    def _change_role(self) -> None:
        """Serve the meters, or let go of them, as the gateway's role has changed."""
        with self._changing, self._lock:
            if self._stopped:
                return
            try:
                parts = self._make(like=self.parts)
            except Exception:
                self._log.exception("the role could not be changed; it is tried again")
                return
            self._replace_by(parts)

    def _replace_by(self, parts: Parts) -> None:
        # First, what the platform sends meanwhile goes to the new parts, where it waits. They
        # begin when the meters and the files of the state are free, and nobody holds what was
        # before: they have it searched for.
        self._hand_over_to(parts)
        parts.begin()

    def _hand_over_to(self, parts: Parts) -> None:
        before, self._parts = self.parts, parts
        try:
            before.end(for_good=False)
        except Exception:
            self._log.exception("the devices of before did not end cleanly")
        parts.inherit(before)

    def close(self) -> None:
        """Stop polling and release the meters; return when done, in less than the gateway's 5 s."""
        with self._lock:
            if self._stopped:
                return
            try:
                self.parts.end()
            except Exception:  # else the gateway would repeat the call for 5 s, in vain
                self._log.exception("the connector did not end cleanly")
            try:
                self._measuring.close()
            except Exception:
                self._log.exception("metrics did not end cleanly")
            self._stopped = True
            self._parts = None
            for log in (self._converter_log, self._log):
                _stop_logger(log)

    # Downlink

    def on_attributes_update(self, content: Any) -> None:
        """Handle shared attributes; the platform also sends them again without a request."""
        try:
            if (parts := self._parts) is None:
                return  # its successor gets them, too
            if (others := parts.delivering.take_receipts(content)) is not None:
                parts.downlink.attributes(others)
        except Exception:
            self._log.exception("shared attributes could not be taken")

    def get_device_shared_attributes_keys(self, device_name: str) -> list[str]:
        """Return the shared attributes that the gateway requests when a device connects."""
        parts = self._parts
        return parts.downlink.shared_keys(device_name) if parts is not None else []

    def server_side_rpc_handler(self, content: Any) -> Any:
        """Handle a remote call; the reply to a device's call is sent separately.

        The reply to a call to the connector is the returned value.
        """
        try:
            parts = self._parts
            if content.get("device"):
                if parts is None:
                    self._refuse(content)
                else:
                    parts.downlink.device_call(content)
                return None
            return {"error": _CLOSED} if parts is None else parts.downlink.connector_call(content)
        except Exception:
            self._log.exception("a remote call could not be taken")
            return {"error": "a fault of the connector"}

    def gateway_rpc_handler(self, number: int, content: Any) -> bool:
        """Take a call to the connector whose reply is sent separately; false if it is none."""
        try:
            parts = self._parts
            return parts is not None and parts.downlink.gateway_call(number, content)
        except Exception:
            self._log.exception("a remote call could not be taken")
            return False

    def device_deleted(self, name_there: str) -> None:
        """Note that the platform has deleted a device, by its name there."""
        if (parts := self._parts) is not None:
            parts.device_deleted(name_there)

    def _refuse(self, content: Any) -> None:
        """Answer a device's call that comes after the end."""
        number = content.get("data", {}).get("id")
        self._gateway.send_rpc_reply(
            device=content["device"], req_id=number, content={"error": _CLOSED}
        )

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

    def make_fleet(self, *args: Any, **keys: Any) -> Fleet:
        """Make the fleet for the parts."""
        return type(self).fleet_factory(*args, **keys)

    def table_changed(self) -> None:
        """Serve the devices that the table has now, soon: it has changed."""
        # Not in this thread, which has other work, and may end with the parts.
        Thread(target=self._follow_table, name=f"{self.name} loading", daemon=True).start()

    def role_changed(self) -> None:
        """Serve the meters, or let go of them, soon."""
        # Not in this thread: it ends with the parts.
        Thread(target=self._change_role, name=f"{self.name} role", daemon=True).start()

    def send(self, data: Any) -> bool:
        """Hand converted data to the gateway, in messages that it can take.

        Returns whether the gateway has taken all of it, in its memory.
        """
        taken = True
        parts = messages(DeviceData.of(data)) if isinstance(data, ConvertedData) else (data,)
        for part in parts:
            if self._gateway.is_latency_metrics_enabled() and isinstance(part, ConvertedData):
                now_ms = int(unix_time() * 1000)
                received_ms = max((entry.ts for entry in part.telemetry), default=now_ms)
                part.add_to_metadata({"receivedTs": received_ms, "convertedTs": now_ms})
            to = self._gateway
            stored = put_directly(to, self.get_name(), self.get_id(), part) or (
                to.send_to_storage(self.get_name(), self.get_id(), part) == Status.SUCCESS
            )
            self.statistics["MessagesSent"] += stored
            self.messages["taken" if stored else "refused"] += 1
            taken = taken and stored
        return taken

    def count(self, name: str, count: int) -> None:
        """Add to the gateway's statistics of this connector."""
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
