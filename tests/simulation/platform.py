"""The platform, and the gateway before it, as a connector can tell them.

The gateway is as `tests.support.gateway` has it, with a storage in memory and a connection that
loses what is on its way when it breaks. The platform keeps telemetry by device, key and instant.
What is sent to the connector from there comes in threads of the hub, as it does in the gateway.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from thingsboard_gateway.gateway.constant_enums import Status

from dlms_connector.delivery import RECEIPT_KEY
from dlms_connector.delivery.receipts import PROBE_KEY
from tests.simulation.hub import Process, Timer
from tests.simulation.journal import Journal
from tests.simulation.substitutes import World

#: Values of one key that are remembered: quarter hours of eight days, which nothing is late by.
_REMEMBERED = 800
#: What the gateway keeps in its storage.
_STORAGE = 100_000


class Series:
    """The newest values of one key of one device."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}

    def put(self, ts_ms: int, value: Any) -> Any:
        """Store a value; return the one that was there, None if there was none."""
        before = self.values.get(ts_ms)
        self.values[ts_ms] = value
        if len(self.values) > 2 * _REMEMBERED:
            for old in sorted(self.values)[:_REMEMBERED]:
                del self.values[old]
        return before

    def __contains__(self, ts_ms: int) -> bool:
        return ts_ms in self.values


class There:
    """A device on the platform."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.attributes: dict[str, Any] = {}
        self.connected = False


class Platform:
    """Takes what the gateway publishes, and stores it some time later."""

    def __init__(self, journal: Journal, seed: str, *, receipts: bool) -> None:
        self.journal, self.receipts = journal, receipts
        self.random = random.Random(seed)
        self.devices: dict[str, There] = {}
        self.away = False
        #: How long it takes until something is stored, and how often a receipt is lost.
        self.saves_s, self.forgets_receipts = 0.2, 0.0
        self.gateway: Gateway | None = None
        #: Devices of whose deletion the gateway was not told.
        self._deleted: list[str] = []

    def device(self, name: str) -> There:
        return self.devices.setdefault(name, There())

    # What comes

    def telemetry(self, device: str, ts_ms: int, values: dict[str, Any]) -> None:
        """Take the values of one instant."""
        self._later(self.saves_s, self._save, device, ts_ms, values)

    def attributes(self, device: str, values: dict[str, Any]) -> None:
        """Take client attributes."""
        self._later(self.saves_s / 2, self._save_attributes, device, values)

    def _later(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        World.hub.call_later(seconds * (0.5 + self.random.random()), self._unless_lost,
                             self._generation, call, args)  # fmt: skip

    #: Counts restarts: what was not stored before one is lost.
    _generation = 0

    def _unless_lost(
        self, generation: int, call: Callable[..., None], args: tuple[Any, ...]
    ) -> None:
        if generation == self._generation:
            call(*args)

    def restart(self) -> None:
        """Lose what is not stored."""
        self._generation += 1

    def _save(self, device: str, ts_ms: int, values: dict[str, Any]) -> None:
        number = values.pop(RECEIPT_KEY, None) if self.receipts else None
        there = self.device(device)
        for key, value in values.items():
            before = None
            if not key.startswith("dlms"):  # the connector's own, of which nothing is asked
                before = there.series.setdefault(key, Series()).put(ts_ms, value)
            self.journal.note("stored", device, ts_ms, key, value, before)
        if number is not None:
            self._receipt(device, number)

    def _save_attributes(self, device: str, values: dict[str, Any]) -> None:
        number = values.pop(PROBE_KEY, None) if self.receipts else None
        self.device(device).attributes.update(values)
        for key, value in values.items():
            self.journal.note("attribute", device, key, value)
        if number is not None:
            self._receipt(device, number)

    def _receipt(self, device: str, number: Any) -> None:
        if self.random.random() >= self.forgets_receipts:
            self.tell(device, {RECEIPT_KEY: number})

    # What goes

    def tell(self, device: str, values: dict[str, Any]) -> None:
        """Send shared attributes."""
        if self.gateway is not None:
            self.gateway.hear("on_attributes_update", {"device": device, "data": values})

    def call(self, device: str, number: int, method: str, params: Any) -> bool:
        """Call a method of a device; false if the platform does not know it as connected."""
        if self.gateway is None or self.away or not self.device(device).connected:
            return False
        content = {"device": device, "data": {"id": number, "method": method, "params": params}}
        self.gateway.hear("call", content)
        return True

    def delete(self, device: str) -> None:
        """Delete a device with all that was stored of it."""
        self.devices.pop(device, None)
        if device not in self._deleted:
            self._deleted.append(device)
        if self.gateway is not None:
            self.gateway.hear("deleted", device)

    def told(self, device: str) -> None:
        """Note that the gateway was told of a deleted device."""
        if device in self._deleted:
            self._deleted.remove(device)

    def begin(self, gateway: Gateway) -> None:
        """Begin a session: the gateway is told which devices were deleted meanwhile."""
        self.gateway = gateway
        for device in self._deleted:
            gateway.hear("deleted", device)


class Client:
    """The gateway's MQTT client."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.client = self
        self.session: object | None = None
        self._client = SimpleNamespace(socket=lambda: self.session)
        self._TBGatewayMqttClient__connected_devices: set[str] = set()
        self.devices_server_side_rpc_request_handler: Any = None
        self._TBDeviceMqttClient__device_on_server_side_rpc_response: Any = None

    def is_connected(self) -> bool:
        return self.session is not None

    def set_server_side_rpc_request_handler(self, handler: Any) -> None:
        self._TBDeviceMqttClient__device_on_server_side_rpc_response = handler

    def gw_set_server_side_rpc_request_handler(self, handler: Any) -> None:
        self.devices_server_side_rpc_request_handler = handler

    def gw_connect_device(self, name: str, device_type: str) -> None:
        self._TBGatewayMqttClient__connected_devices.add(name)
        self._gateway.publish("connect", name, None)

    def gw_disconnect_device(self, name: str) -> None:
        self._TBGatewayMqttClient__connected_devices.discard(name)
        self._gateway.publish("disconnect", name, None)


class Gateway:
    """The gateway's service in one process."""

    def __init__(self, process: Process, platform: Platform, folder: Path) -> None:
        self.process, self.platform, self.folder = process, platform, folder
        self.config = {"storage": {"data_folder_path": f"{folder}/data/"}}
        self.connectors_configs: dict[str, Any] = {}
        self.stopped = False
        self.client = Client(self)
        self.tb_client: Client | None = None
        self.connector: Any = None
        self.devices: dict[str, dict[str, Any]] = {}
        self.full = False
        self._storage: deque[Any] = deque()
        self._pumping = False
        self._TBGatewayService__renamed_devices: dict[str, str] = {}
        self._way: dict[int, Timer] = {}
        self._sent = 0
        process.at_death.append(self._died)

    # The connection

    def connect(self) -> None:
        """Connect to the platform, if it is there."""
        if not self.process.alive or self.client.session is not None:
            return
        self.tb_client = self.client
        if self.platform.away:
            World.hub.call_later(1 + 9 * self.platform.random.random(), self.connect)
            return
        self.client.session = object()
        self.platform.begin(self)
        self.platform.journal.note("session")
        self._pump()

    def disconnect(self) -> None:
        """Lose the connection, and some of what is on its way."""
        if self.client.session is None:
            return
        self.client.session = None
        self.platform.gateway = None
        for there in self.platform.devices.values():
            there.connected = False
        for timer in self._way.values():
            if self.platform.random.random() < 0.5:
                timer.cancel()
        self._way.clear()
        self.platform.journal.note("session lost")
        World.hub.call_later(1 + 9 * self.platform.random.random(), self.connect)

    def _died(self) -> None:
        if self.client.session is not None:
            self.disconnect()

    def hear(self, what: str, content: Any) -> None:
        """Let the platform's word arrive in a thread of this process."""
        session, delay_s = self.client.session, 0.01 + 0.1 * self.platform.random.random()
        if session is not None:
            World.hub.call_later(delay_s, self._heard, session, what, content)

    def _heard(self, session: object, what: str, content: Any) -> None:
        if self.process.alive and self.client.session is session and self.connector is not None:
            World.hub.spawn(self.process, "mqtt", partial(self._handle, what, content), 0.0)

    def _handle(self, what: str, content: Any) -> None:
        match what:
            case "call":
                handler = self.client.devices_server_side_rpc_request_handler
                if handler is not None:
                    handler(self.client, content)
            case "deleted":
                self.platform.told(content)
                self.platform.journal.note("told", content)
                self.connector.device_deleted(content)
            case "answer":
                callback, values = content
                callback(values, None)
            case _:
                self.connector.on_attributes_update(content)

    def publish(self, what: str, device: str, content: Any) -> None:
        """Send something at once; it may be lost on its way."""
        if self.client.session is None or not self.process.alive:
            return
        self._sent += 1
        number = self._sent
        delay_s = 0.01 + 0.05 * self.platform.random.random()
        self._way[number] = World.hub.call_later(
            delay_s, self._arrive, number, what, device, content
        )

    def _arrive(self, number: int, what: str, device: str, content: Any) -> None:
        self._way.pop(number, None)
        platform = self.platform
        match what:
            case "connect" | "disconnect":
                platform.device(device).connected = what == "connect"
                platform.journal.note(what, device)
            case "reply":
                platform.journal.note("reply", device, *content)
            case "data":
                known = self.client._TBGatewayMqttClient__connected_devices
                known.add(device)
                platform.device(device).connected = True  # data connects a device
                for ts_ms, values in content[0]:
                    platform.telemetry(device, ts_ms, values)
                if content[1]:
                    platform.attributes(device, content[1])
            case "ask":
                key, callback = content
                value = platform.device(device).attributes.get(key)
                self.hear("answer", (callback, {"device": device, "value": value}))

    def _pump(self) -> None:
        self._pumping = False
        while self._storage and self.client.session is not None:
            device, telemetry, attributes = self._storage.popleft()
            self.publish("data", device, (telemetry, attributes))

    # What connectors call

    def _rpc_request_handler(self, client: Any, content: Any) -> None:
        """Take a call that is not the connector's, as the gateway's own handler does."""
        self.platform.journal.note("call of another", content)

    def get_config_path(self) -> str:
        return f"{self.folder}/config/"

    def get_devices(self) -> dict[str, dict[str, Any]]:
        return self.devices

    def add_device(self, name: str, content: dict[str, Any], device_type: str) -> bool:
        World.hub.sleep(0.02)  # it waits for the broker
        if not self.client.is_connected():
            return False
        if name not in self.devices:
            self.devices[name] = {**content, "deviceType": device_type}
            self.client.gw_connect_device(name, device_type)
        return True

    def send_to_storage(self, name: str, connector_id: str, data: Any) -> Status:
        if self.full or len(self._storage) >= _STORAGE:
            return Status.FAILURE
        telemetry = [(entry.ts, entry.to_dict()["values"]) for entry in data.telemetry]
        self._storage.append((data.device_name, telemetry, data.attributes.to_dict()))
        if not self._pumping and self.client.session is not None:
            self._pumping = True
            World.hub.call_later(0.1, self._pump)
        return Status.SUCCESS

    def send_rpc_reply(self, **reply: Any) -> None:
        self.publish("reply", str(reply["device"]), (reply["req_id"], reply["content"]))

    def request_device_attributes(
        self, device: str, shared: Any, client: list[str], callback: Any
    ) -> None:
        self.publish("ask", device, (client[0], callback))

    def get_max_payload_size_bytes(self) -> int:
        return 65_536

    def is_latency_metrics_enabled(self) -> bool:
        return False

    def get_report_strategy_service(self) -> None:
        return None
