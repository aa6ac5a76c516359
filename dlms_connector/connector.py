"""The gateway's connector: its life cycle, and nothing of DLMS.

One thread runs one asyncio loop with all meters; one more does what may block on the
gateway (`uplink_queue`). Nothing here raises into the gateway: an exception in a constructor
or handler costs it connectors, remote calls or attribute updates until its restart.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
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
from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader
from thingsboard_gateway.tb_utility.tb_logger import init_logger

from dlms_connector.announcer import Announcer
from dlms_connector.config.loading import Loaded, Refused, load
from dlms_connector.config.model import Configuration, Device
from dlms_connector.errors import ConfigError
from dlms_connector.fleet import Fleet
from dlms_connector.uplink import Converter, Uplink
from dlms_connector.uplink_queue import UplinkQueue
from dlms_converters.message_size import messages
from dlms_converters.uplink import DLMSUplinkConverter

#: The gateway's loop closes a connector again and again for 5 s at most; the fleet says
#: goodbye within 0.5 s. All of it together stays under a second.
GOODBYE_S = 0.6
JOIN_S = 0.75
FLUSH_S = 0.15

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NONE")

#: The type of a device whose section could not be read.
_DEVICE_TYPE: str = Device.model_fields["device_type"].default

#: How the gateway marks the id in a configuration that is no JSON.
_ID_MARK = re.compile(r"^\{id_var_start\}(.*?)\{id_var_end\}", re.DOTALL)


class DLMSConnector(Connector):  # type: ignore[misc]
    """Polls DLMS meters for the gateway. Made, opened and closed by the gateway."""

    #: How the fleet is made.
    fleet_factory: Callable[..., Fleet] = Fleet

    def __init__(self, gateway: Any, config: Any, connector_type: str) -> None:
        super().__init__()
        self._gateway, self._config, self._type = gateway, config, connector_type
        section = config if isinstance(config, Mapping) else {}
        self.name = str(section.get("name") or "DLMS")
        self.statistics = {"MessagesReceived": 0, "MessagesSent": 0}
        self._id = _id_of(config)
        self._log = self._logger(self.name, section, is_connector_logger=True)
        self._converter_log = self._logger(
            f"{self.name}_converter", section, is_converter_logger=True, attr_name=self.name
        )
        self._lock = Lock()
        self._stopped = False
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._loaded = self._load()
        self._misconfigured = [*self._loaded.refused]
        self._devices, self._converters = self._prepare(self._loaded.configuration)
        announcer = Announcer(gateway, self, self._log, monotonic)
        self._queue = UplinkQueue(
            announcer.reconcile, self._log, dropped=lambda n: self._count("convertersMsgDropped", n)
        )
        self._uplink = Uplink(
            self._converters, announcer, self._queue, self._log, send=self._send, count=self._count
        )

    # What the gateway asks

    def get_id(self) -> str:
        """Return the id the gateway knows this connector by."""
        return self._id

    def get_name(self) -> str:
        """Return the connector's name, which the gateway may set after construction."""
        return self.name

    def get_type(self) -> str:
        """Return the type under which the gateway found the class."""
        return self._type

    def get_config(self) -> Any:
        """Return the configuration as the gateway gave it: references to secrets unresolved."""
        return self._config

    def is_connected(self) -> bool:
        """Whether any meter answers."""
        return self._thread is not None and not self._stopped and bool(self._uplink.online)

    def is_stopped(self) -> bool:
        """Whether `close` has done its work."""
        return self._stopped

    # Life cycle

    def open(self) -> None:
        """Start polling and return at once."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._run, name=f"{self.name} meters", daemon=True)
        self._queue.start(f"{self.name} uplink")
        self._thread.start()

    def close(self) -> None:
        """Stop polling, say goodbye to the meters; returns when done, in under a second."""
        with self._lock:
            if self._stopped:
                return
            started = monotonic()
            self._stop_loop()
            self._queue.close(FLUSH_S)
            self._forget_reports()
            self._log.info("closed within %.0f ms", (monotonic() - started) * 1000)
            self._stopped = True
            for log in (self._converter_log, self._log):
                _stop_logger(log)

    def _stop_loop(self) -> None:
        if self._thread is None or self._loop is None:
            return
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            self._log.warning("the meters' thread did not end within %g s: left behind", JOIN_S)

    def _forget_reports(self) -> None:
        """End the gateway's periodic reports: it would repeat last values for ever."""
        with suppress(Exception):
            service = self._gateway.get_report_strategy_service()
            if service is not None:
                service.delete_all_records_for_connector_by_connector_id_and_connector_name(
                    self.get_id(), self.get_name()
                )

    # Downlink

    def on_attributes_update(self, content: Any) -> None:
        """Take shared attributes; the platform repeats them, also unasked."""
        with suppress(Exception):
            self._log.debug("shared attributes are not supported yet: %s", content.get("device"))

    def server_side_rpc_handler(self, content: Any) -> Any:
        """Take a remote call; the answer to a device's call goes out by itself.

        A call to the connector is answered by what is returned here.
        """
        try:
            answer = {"error": "not supported"}
            if not content.get("device"):
                return answer
            self._gateway.send_rpc_reply(
                device=content["device"], req_id=content["data"]["id"], content=answer
            )
        except Exception:
            self._log.exception("a remote call could not be answered")
        return None

    # The configuration

    def _logger(self, name: str, section: Mapping[str, Any], **kind: Any) -> logging.Logger:
        level = section.get("logLevel")
        level = level if level in _LEVELS else "INFO"
        try:
            remote = bool(section.get("enableRemoteLogging", False))
            log = init_logger(self._gateway, name, level, enable_remote_logging=remote, **kind)
        except Exception:
            log = logging.getLogger(name)
            log.exception("the gateway could not make this logger")
        return log  # type: ignore[no-any-return]

    def _load(self) -> Loaded:
        raw = self._config
        if isinstance(raw, str):
            raw = _ID_MARK.sub("", raw)
        try:
            folder = Path(self._gateway.get_config_path())
            loaded = load(raw, base=folder, config_dir=folder)
        except ConfigError as error:
            loaded = Loaded(Configuration(), (), error.problems)
        except Exception as error:
            self._log.exception("the configuration could not be read")
            return Loaded(Configuration(), (), (f"{type(error).__name__}: {error}",))
        for problem in loaded.problems:
            self._log.error("configuration: %s", problem)
        for refused in loaded.refused:
            for problem in refused.problems:
                self._log.error("%s is not polled: %s", refused.name, problem)
        return loaded

    def _prepare(
        self, configuration: Configuration
    ) -> tuple[tuple[Device, ...], dict[str, Converter]]:
        """Return the devices that can be polled, and their converters."""
        devices, converters = [], {}
        for device in configuration.devices:
            try:
                converters[device.device_name] = self._converter(device, configuration)
            except Exception as error:  # the class may be the user's own
                path = f"device {device.device_name}"
                refused = Refused(device.device_name, path, (str(error),))
                self._misconfigured.append(refused)
                self._log.error("%s is not polled: %s", device.device_name, error)
            else:
                devices.append(device)
        return tuple(devices), converters

    def _converter(self, device: Device, configuration: Configuration) -> Converter:
        name = device.uplink_converter
        if name is None or name == DLMSUplinkConverter.__name__:
            return DLMSUplinkConverter(device, self._converter_log, configuration.report_strategy)
        found = TBModuleLoader.import_module(self._type, name)
        if not isinstance(found, type):
            causes = "; ".join(str(cause) for cause in found or ()) or "no file there defines it"
            raise ConfigError(
                f"uplinkConverter: the gateway finds no class {name} in its extensions folder "
                f"{self._type}: {causes}"
            )
        try:
            return found(device, self._converter_log)  # type: ignore[no-any-return]
        except Exception as error:
            raise ConfigError(
                f"uplinkConverter: {name} cannot be made: {type(error).__name__}: {error}"
            ) from error

    def _state_directory(self) -> Path | None:
        """Return where cursors and counters are kept; None if nothing can be kept."""
        configured = self._loaded.configuration.state_directory
        try:
            folder = Path(configured) if configured else self._data_folder() / "dlms"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            self._log.warning(
                "state is not kept over a restart: %s; set stateDirectory to a folder that the "
                "gateway may write",
                error,
            )
            return None
        return folder

    def _data_folder(self) -> Path:
        """Return the gateway's data folder: where its storage lies, else beside its config."""
        storage = self._gateway.config.get("storage", {})
        if path := storage.get("data_folder_path") or storage.get("data_file_path"):
            return Path(os.path.dirname(path))  # noqa: PTH120 (both end in "/" as a folder)
        return Path(self._gateway.get_config_path()).parent / "data"

    # The meters' thread

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._main())
        except Exception:
            self._log.exception("the meters' loop failed: nothing is polled until a restart")
        finally:
            # Not asyncio.run: it would wait for name look-ups that hang.
            loop.close()

    async def _main(self) -> None:
        """Poll until `close` says stop."""
        self._tell_misconfigured()
        fleet = type(self).fleet_factory(
            self._devices, self._uplink, self._log, state_dir=self._state_directory()
        )
        stopped = asyncio.create_task(self._stop.wait())
        polling = asyncio.create_task(fleet.run())
        diagnosing = asyncio.create_task(self._diagnose(fleet))
        await asyncio.wait({polling, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if polling.done() and not polling.cancelled() and (error := polling.exception()):
            self._log.error("polling failed: nothing is polled until a restart", exc_info=error)
        await stopped
        diagnosing.cancel()
        polling.cancel()
        await asyncio.wait({polling, diagnosing}, timeout=GOODBYE_S)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=0.05)

    def _tell_misconfigured(self) -> None:
        polled = {device.device_name for device in self._devices}
        for refused in self._misconfigured:
            # One without a name goes by its path; one with another's name is not its device.
            if refused.name != refused.path and refused.name not in polled:
                device_type = self._configured_type(refused.name)
                self._uplink.misconfigured(refused.name, device_type, refused.problems)

    def _configured_type(self, name: str) -> str:
        devices = self._config.get("devices") if isinstance(self._config, Mapping) else ()
        for device in devices if isinstance(devices, list) else ():
            if isinstance(device, Mapping) and device.get("deviceName") == name:
                return str(device.get("deviceType") or _DEVICE_TYPE)
        return _DEVICE_TYPE

    async def _diagnose(self, fleet: Fleet) -> None:
        period_s = self._loaded.configuration.diagnostics_period_ms / 1000
        while period_s:
            await asyncio.sleep(period_s)
            for device in self._devices:
                try:
                    self._uplink.statistics(device, fleet.statistics(device.device_name))
                except Exception:
                    self._log.exception("%s: no diagnostics", device.device_name)

    # The uplink queue's thread

    def _send(self, data: Any) -> None:
        parts = messages(data) if isinstance(data, ConvertedData) else (data,)
        for part in parts:
            if self._gateway.is_latency_metrics_enabled() and isinstance(part, ConvertedData):
                now_ms = int(unix_time() * 1000)
                received_ms = max((entry.ts for entry in part.telemetry), default=now_ms)
                part.add_to_metadata({"receivedTs": received_ms, "convertedTs": now_ms})
            status = self._gateway.send_to_storage(self.get_name(), self.get_id(), part)
            self.statistics["MessagesSent"] += status == Status.SUCCESS

    def _count(self, name: str, count: int) -> None:
        if name == "connectorMsgsReceived":
            self.statistics["MessagesReceived"] += count
        log = self._converter_log if name.startswith("converters") else self._log
        StatisticsService.count_connector_message(log.name, name, count=count)


def _id_of(config: Any) -> str:
    if isinstance(config, str) and (mark := _ID_MARK.match(config)):
        return mark.group(1)
    given = config.get("id") if isinstance(config, Mapping) else None
    return str(given or uuid4())


def _stop_logger(log: logging.Logger) -> None:
    """Stop a logger of the gateway's, and close its files: the gateway leaves them open."""
    files = [handler for handler in log.handlers if isinstance(handler, logging.FileHandler)]
    with suppress(Exception):
        log.stop()  # type: ignore[attr-defined]  # of the gateway's own class
    for file in files:
        file.close()
