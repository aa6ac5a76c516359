"""A stand-in for ThingsBoard: the server of its MQTT device and gateway API.

It serves the demo and the tests; every packet it saw is in its journal.
Topics and payloads: ThingsBoard's MQTT device API and gateway API reference.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from time import time
from typing import Any, TypeVar

import simplejson

from dlms_connector.demo.journal import Journal
from dlms_connector.demo.mqtt_server import MqttServer, Session
from dlms_connector.demo.platform_store import Point, Store

T = TypeVar("T")

#: What ThingsBoard answers to `getSessionLimits`; empty limits are no limits.
SESSION_LIMITS = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 100,
    "payloadType": "JSON",
    "rateLimits": {},
    "gatewayRateLimits": {},
}

_ME = "v1/devices/me/"
_GATEWAY = "v1/gateway/"


class RpcError(Exception):
    """A remote call that was not answered, or could not be sent."""


class Platform:
    """The stand-in, as an asynchronous context manager.

    `tokens` maps access tokens to the names of the gateways they belong to.
    """

    def __init__(
        self, tokens: Mapping[str, str], *, port: int = 0, database: str = ":memory:"
    ) -> None:
        self.tokens = dict(tokens)
        self.journal = Journal()
        self.store = Store(database)
        self.server = MqttServer(self.tokens, self.journal, self._published, self._went)
        #: The name of each device whose gateway says it is connected, and which session said so.
        self.connected: dict[str, Session] = {}
        self._port = port
        self._ids = itertools.count(1)
        self._calls: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._topics: Mapping[str, Callable[[Session, Any], None]] = {
            f"{_ME}telemetry": self._own_telemetry,
            f"{_ME}attributes": self._own_attributes,
            f"{_GATEWAY}connect": self._connect_device,
            f"{_GATEWAY}disconnect": self._disconnect_device,
            f"{_GATEWAY}telemetry": self._device_telemetry,
            f"{_GATEWAY}attributes": self._device_attributes,
            f"{_GATEWAY}attributes/request": self._device_attributes_request,
            f"{_GATEWAY}rpc": self._device_rpc_reply,
        }
        self._numbered: Mapping[str, Callable[[Session, int, Any], None]] = {
            f"{_ME}attributes/request/": self._own_attributes_request,
            f"{_ME}rpc/request/": self._own_rpc_request,
            f"{_ME}rpc/response/": self._own_rpc_reply,
        }

    async def __aenter__(self) -> Platform:
        await self.server.start(port=self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.server.close()
        self.store.close()

    @property
    def port(self) -> int:
        """The port that gateways connect to."""
        return self.server.port

    # What a user of the platform does

    async def rpc(
        self, device: str, method: str, params: Any = None, *, timeout_s: float = 10.0
    ) -> Any:
        """Call a device behind a gateway and return its answer; raises RpcError."""
        number = next(self._ids)
        content = {"device": device, "data": {"id": number, "method": method, "params": params}}
        session = self.connected.get(device)
        if session is None:
            raise RpcError(f"no gateway says that {device} is connected")
        return await self._call(session, device, number, f"{_GATEWAY}rpc", content, timeout_s)

    async def gateway_rpc(self, method: str, params: Any = None, *, timeout_s: float = 10.0) -> Any:
        """Call the only gateway that is connected and return its answer; raises RpcError."""
        number = next(self._ids)
        content = {"method": method, "params": params}
        topic = f"{_ME}rpc/request/{number}"
        return await self._call(self.session, "", number, topic, content, timeout_s)

    def set_shared_attributes(self, device: str, values: Mapping[str, Any]) -> bool:
        """Set shared attributes of a device; true if its gateway was told."""
        self.store.set_attributes(device, "shared", values)
        return self._tell_device(device, values)

    def delete_shared_attributes(self, device: str, *keys: str) -> bool:
        """Delete shared attributes of a device; true if its gateway was told."""
        self.store.delete_attributes(device, "shared", keys)
        return self._tell_device(device, {"deleted": list(keys)})

    def set_gateway_attributes(self, values: Mapping[str, Any]) -> bool:
        """Set shared attributes of the only gateway connected: remote configuration."""
        session = self.session
        self.store.set_attributes(self.tokens[session.token], "shared", values)
        return session.deliver(f"{_ME}attributes", _octets(values))

    @property
    def session(self) -> Session:
        """The only session there is; raises RpcError if there is none."""
        for session in self.server.sessions.values():
            return session
        raise RpcError("no gateway is connected")

    def telemetry(self, device: str, key: str) -> list[Point]:
        """Return a time series."""
        return self.store.telemetry(device, key)

    async def wait_for(self, look: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Call `look` after every packet until it returns something true, and return that."""
        return await self.journal.wait_for(look, timeout_s)

    # Messages from gateways

    def _published(self, session: Session, topic: str, payload: bytes) -> None:
        try:
            content = simplejson.loads(payload, use_decimal=True)
        except ValueError:
            session.note("out", "Invalid", topic, payload, "no JSON")
            return
        try:
            self._handle(session, topic, content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            session.note("out", "Invalid", topic, payload, f"{type(error).__name__}: {error}")

    def _handle(self, session: Session, topic: str, content: Any) -> None:
        if handle := self._topics.get(topic):
            handle(session, content)
            return
        prefix, _, number = topic.rpartition("/")
        numbered = self._numbered.get(f"{prefix}/")
        if numbered and number.isdigit():
            numbered(session, int(number), content)

    def _went(self, session: Session) -> None:
        """Forget the devices of a session that ended, as the platform does."""
        for device in [name for name, at in self.connected.items() if at is session]:
            del self.connected[device]

    def _name(self, session: Session) -> str:
        return self.tokens[session.token]

    def _own_telemetry(self, session: Session, content: Any) -> None:
        self._keep(self._name(session), content if isinstance(content, list) else [content])

    def _own_attributes(self, session: Session, content: Any) -> None:
        self.store.set_attributes(self._name(session), "client", content)

    def _connect_device(self, session: Session, content: Any) -> None:
        self.store.add_device(content["device"], content.get("type", "default"))
        self.connected[content["device"]] = session

    def _disconnect_device(self, session: Session, content: Any) -> None:
        self.connected.pop(content["device"], None)

    def _device_telemetry(self, session: Session, content: Any) -> None:
        for device, entries in content.items():
            # ThingsBoard connects a device whose data arrives unannounced.
            self.store.add_device(device, "default")
            self.connected.setdefault(device, session)
            self._keep(device, entries)

    def _keep(self, device: str, entries: Any) -> None:
        for entry in entries:
            stamped = isinstance(entry, dict) and "values" in entry
            ts = entry.get("ts") if stamped else None
            values = entry["values"] if stamped else entry
            self.store.add_telemetry(device, ts or int(time() * 1000), values)

    def _device_attributes(self, session: Session, content: Any) -> None:
        for device, values in content.items():
            self.store.add_device(device, "default")
            self.store.set_attributes(device, "client", values)

    def _own_attributes_request(self, session: Session, number: int, content: Any) -> None:
        name, answer = self._name(session), {}
        for scope, key in (("shared", "sharedKeys"), ("client", "clientKeys")):
            if key in content or not content:
                wanted = [part for part in content.get(key, "").split(",") if part]
                kept = self.store.attributes(name, scope)  # type: ignore[arg-type]
                answer[scope] = {k: v for k, v in kept.items() if k in wanted or not wanted}
        session.deliver(f"{_ME}attributes/response/{number}", _octets(answer))

    def _device_attributes_request(self, session: Session, content: Any) -> None:
        kept = self.store.attributes(
            content["device"], "client" if content.get("client") else "shared"
        )
        answer = {"id": content["id"], "device": content["device"]}
        if "key" in content:
            answer["value"] = kept.get(content["key"])
        else:
            answer["values"] = {k: v for k, v in kept.items() if k in content.get("keys", ())}
        session.deliver(f"{_GATEWAY}attributes/response", _octets(answer))

    def _own_rpc_request(self, session: Session, number: int, content: Any) -> None:
        known = content.get("method") == "getSessionLimits"
        answer = SESSION_LIMITS if known else {"error": "unsupported method"}
        session.deliver(f"{_ME}rpc/response/{number}", _octets(answer))

    def _own_rpc_reply(self, session: Session, number: int, content: Any) -> None:
        self._answered("", number, content)

    def _device_rpc_reply(self, session: Session, content: Any) -> None:
        self._answered(content["device"], content["id"], content.get("data"))

    # Messages to gateways

    async def _call(
        self, session: Session, device: str, number: int, topic: str, content: Any, timeout_s: float
    ) -> Any:
        future = asyncio.get_running_loop().create_future()
        self._calls[device, number] = future
        try:
            if not session.deliver(topic, _octets(content)):
                raise RpcError(f"the gateway is not subscribed to {topic}")
            return await asyncio.wait_for(future, timeout_s)
        except asyncio.TimeoutError:
            raise RpcError(f"{content} was not answered within {timeout_s:g} s") from None
        finally:
            del self._calls[device, number]

    def _answered(self, device: str, number: int, content: Any) -> None:
        future = self._calls.get((device, number))
        if future and not future.done():
            future.set_result(content)

    def _tell_device(self, device: str, values: Mapping[str, Any]) -> bool:
        session = self.connected.get(device)
        content = {"device": device, "data": dict(values)}
        return session is not None and session.deliver(f"{_GATEWAY}attributes", _octets(content))


def _octets(content: Any) -> bytes:
    text: str = simplejson.dumps(content, use_decimal=True)
    return text.encode()
