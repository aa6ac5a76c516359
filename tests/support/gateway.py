"""The gateway's service at the seam to a connector: what is called, it writes down."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Condition
from types import SimpleNamespace
from typing import Any

from thingsboard_gateway.gateway.constant_enums import Status


class RemoteHandler(logging.Handler):
    """Stands for the handler that sends logs to the platform."""

    def __init__(self) -> None:
        super().__init__()
        self.loggers: dict[str, Any] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Send nothing."""

    def add_logger(self, name: str, level: str) -> None:
        self.loggers[name] = level

    def update_logger(self, name: str, level: str) -> None:
        self.loggers[name] = level


class FakeClient:
    """The MQTT client: `calls` are what devices were connected and disconnected."""

    def __init__(self, gateway: FakeGateway) -> None:
        self._gateway = gateway
        self.connected = True
        self.client = self
        self.session = object()
        self._client = SimpleNamespace(socket=lambda: self.session)
        self._TBGatewayMqttClient__connected_devices = {"*"}
        self.devices_server_side_rpc_request_handler: Any = None
        self._TBDeviceMqttClient__device_on_server_side_rpc_response: Any = None

    @property
    def own_handler(self) -> Any:
        """What gets the calls to the gateway itself."""
        return self._TBDeviceMqttClient__device_on_server_side_rpc_response

    def set_server_side_rpc_request_handler(self, handler: Any) -> None:
        self._TBDeviceMqttClient__device_on_server_side_rpc_response = handler

    def is_connected(self) -> bool:
        return self.connected

    def gw_set_server_side_rpc_request_handler(self, handler: Any) -> None:
        self.devices_server_side_rpc_request_handler = handler

    def send_attributes(self, attributes: dict[str, Any]) -> None:
        self._gateway.note("attributes", str(attributes))

    def gw_connect_device(self, name: str, device_type: str) -> None:
        self._TBGatewayMqttClient__connected_devices.add(name)
        self._gateway.note("connect", name, device_type)

    def gw_disconnect_device(self, name: str) -> None:
        self._TBGatewayMqttClient__connected_devices.discard(name)
        self._gateway.note("disconnect", name)


class FakeGateway:
    """Behaves as gateway 3.8.5 does where a connector can tell the difference."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config").mkdir(exist_ok=True)
        self.config: dict[str, Any] = {"storage": {"data_folder_path": f"{folder}/data/"}}
        self.connectors_configs: dict[str, list[dict[str, Any]]] = {}
        self.stopped = False
        self.tb_client: FakeClient | None = None
        self.remote_handler = RemoteHandler()
        self.devices: dict[str, dict[str, Any]] = {}
        self.sent: list[tuple[str, str, Any]] = []
        self.replies: list[dict[str, Any]] = []
        self.calls: list[tuple[str, ...]] = []
        self.passed_on: list[Any] = []
        self.latency = False
        self.saved: dict[str, str] = {}
        self._changed = Condition()
        self._TBGatewayService__renamed_devices: dict[str, str] = {}

    def connect(self) -> None:
        """Let there be a connection to the platform."""
        self.tb_client = self.tb_client or FakeClient(self)
        self.tb_client.connected = True

    def note(self, *call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def wait_for(self, condition: Any, seconds: float = 30.0) -> None:
        """Wait until a condition on what was written down holds."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), (self.calls, self.sent)

    def rename(self, old: str, new: str) -> None:
        self._TBGatewayService__renamed_devices[old] = new

    def save(self) -> None:
        """Write `connected_devices.json`: renamed devices that are not connected are left out."""
        renamed = self._TBGatewayService__renamed_devices
        self.saved = {name: there for name, there in renamed.items() if name in self.devices}

    # What connectors call

    def get_config_path(self) -> str:
        return f"{self.folder}/config/"

    def get_devices(self) -> dict[str, dict[str, Any]]:
        return self.devices

    def add_device(self, name: str, content: dict[str, Any], device_type: str) -> bool:
        if self.tb_client is None or not self.tb_client.is_connected():
            return False
        if name in self._TBGatewayService__renamed_devices:
            self.save()
            return True
        if name not in self.devices:
            self.devices[name] = {**content, "deviceType": device_type}
            self.tb_client.gw_connect_device(name, device_type)
        return True

    def send_to_storage(self, name: str, connector_id: str, data: Any) -> Status:
        with self._changed:
            self.sent.append((name, connector_id, data))
            self._changed.notify_all()
        return Status.SUCCESS

    def _rpc_request_handler(self, client: Any, content: Any) -> None:
        """Take a call of the platform, as the gateway's own handler does."""
        self.passed_on.append(content)

    def send_rpc_reply(self, **reply: Any) -> None:
        self.replies.append(reply)

    def is_latency_metrics_enabled(self) -> bool:
        return self.latency

    def get_report_strategy_service(self) -> None:
        return None

    # What tests ask

    def telemetry(self) -> list[dict[str, Any]]:
        """Return all telemetry sent, a dict per instant."""
        return [
            {"device": data.device_name, "ts": entry.ts, **entry.to_dict()["values"]}
            for _, _, data in self.sent
            for entry in data.telemetry
        ]

    def attributes(self, device: str) -> dict[str, Any]:
        """Return a device's client attributes as they are now."""
        found: dict[str, Any] = {}
        for _, _, data in self.sent:
            if data.device_name == device:
                found.update(data.attributes.to_dict())
        return found
