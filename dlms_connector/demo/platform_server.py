"""A stand-in for ThingsBoard: the server of its MQTT device and gateway API.

It serves the demo and the tests. Its journal records every packet.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dlms_connector.demo.journal import Journal
from dlms_connector.demo.mqtt_server import MqttServer
from dlms_connector.demo.mqtt_session import Session
from dlms_connector.demo.platform_api import GATEWAY, ME, PlatformApi, octets
from dlms_connector.demo.platform_rest import PlatformRest
from dlms_connector.demo.platform_rules import Manners, accepts
from dlms_connector.demo.platform_store import Point, Store

T = TypeVar("T")


class RpcError(Exception):
    """A remote call that was not answered, or could not be sent."""


class Platform:
    """The stand-in, as an asynchronous context manager.

    `tokens` maps access tokens to the names of the gateways they belong to; `database` is
    the path of a SQLite file; `packets` is how many packets the journal keeps, None for all;
    `manners` are settings and delays of the server. With `users`, names and passwords, its REST
    API is served too.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        *,
        port: int = 0,
        database: str = ":memory:",
        packets: int | None = None,
        manners: Manners | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.manners = manners or Manners()
        self.tokens = dict(tokens)
        self.journal = Journal(packets)
        self.store = Store(database)
        self._api = PlatformApi(self.tokens, self.store, self.manners, self.journal.wake)
        self.server = MqttServer(self.tokens, self.journal, self._api.published, self._api.went)
        self.rest = PlatformRest(self.store, dict(users or {}))
        self._port = port
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Platform:
        await self.server.start(port=self._port)
        if self.rest.users:
            await self.rest.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.server.close()
        await self.rest.close()
        self._api.saving.lose()
        self.store.close()

    @property
    def port(self) -> int:
        """The port that gateways connect to."""
        return self.server.port

    @property
    def connects(self) -> int:
        """The number of CONNECT packets so far, with a valid token or not."""
        return self.journal.counts["in", "Connect"]

    @property
    def messages(self) -> int:
        """The number of messages published to the platform so far."""
        return self.journal.counts["in", "Publish"]

    @property
    def session(self) -> Session:
        """The session of the only gateway; raises RpcError if no gateway is connected."""
        for session in self.server.sessions.values():
            return session
        raise RpcError("no gateway is connected")

    @property
    def sessions(self) -> int:
        """The number of gateways that are connected now."""
        return len(self.server.sessions)

    @property
    def connected(self) -> frozenset[str]:
        """The devices that their gateways report as connected."""
        return frozenset(self._api.connected)

    def telemetry(self, device: str, key: str) -> list[Point]:
        """Return a time series."""
        return self.store.telemetry(device, key)

    async def wait_for(self, look: Callable[[], T], timeout_s: float = 10.0) -> T:
        """Call `look` after every packet until it returns a true value, and return the value.

        Raises asyncio.TimeoutError.
        """
        return await self.journal.wait_for(look, timeout_s)

    # Faults of the network

    async def go_offline(self) -> None:
        """Stop serving the network; stored data is kept."""
        await self.server.close()

    async def go_online(self) -> None:
        """Serve again at the same port."""
        await self.server.start(port=self.port)

    def cut(self) -> None:
        """Cut every connection; gateways may connect again at once."""
        self.server.cut()

    def stall(self) -> None:
        """Read and acknowledge nothing until `resume`; connections stay open."""
        self.server.stall()

    def resume(self) -> None:
        """Continue after `stall`."""
        self.server.resume()

    async def crash(self) -> int:
        """Stop as a server that is killed: what it has acknowledged and not stored is lost.

        Returns how many messages those were.
        """
        await self.server.close()
        return self._api.saving.lose()

    # Actions of a user of the platform

    async def delete_device(self, device: str) -> None:
        """Delete a device with its data, and tell its gateway."""
        self.store.delete_device(device)
        self._api.connected.pop(device, None)
        await self.gateway_rpc("gateway_device_deleted", device)

    async def rpc(
        self, device: str, method: str, params: Any = None, *, timeout_s: float = 10.0
    ) -> Any:
        """Call a device behind a gateway and return its answer; raises RpcError."""
        session = self._api.connected.get(device)
        if session is None:
            raise RpcError(f"no gateway says that {device} is connected")
        number = next(self._ids)
        content = {"device": device, "data": {"id": number, "method": method, "params": params}}
        return await self._call(session, device, number, f"{GATEWAY}rpc", content, timeout_s)

    async def gateway_rpc(self, method: str, params: Any = None, *, timeout_s: float = 10.0) -> Any:
        """Call the only gateway that is connected and return its answer; raises RpcError."""
        number = next(self._ids)
        content = {"method": method, "params": params}
        topic = f"{ME}rpc/request/{number}"
        return await self._call(self.session, "", number, topic, content, timeout_s)

    def set_shared_attributes(self, device: str, values: Mapping[str, Any]) -> bool:
        """Set shared attributes of a device; return true if they were sent to its gateway.

        Raises ValueError for keys that the platform refuses.
        """
        if bad := [key for key in values if not accepts(key)]:
            raise ValueError(f"Validation error: key is malformed: {bad}")
        self.store.set_attributes(device, "shared", values)
        return self._api.tell(device, values)

    def delete_shared_attributes(self, device: str, *keys: str) -> bool:
        """Delete shared attributes of a device; return true if this was sent to its gateway."""
        self.store.delete_attributes(device, "shared", keys)
        return self._api.tell(device, {"deleted": list(keys)})

    def set_gateway_attributes(self, values: Mapping[str, Any]) -> bool:
        """Set shared attributes of the only gateway connected: remote configuration."""
        session = self.session
        self.store.set_attributes(self.tokens[session.token], "shared", values)
        return session.deliver(f"{ME}attributes", octets(values))

    async def _call(
        self, session: Session, device: str, number: int, topic: str, content: Any, timeout_s: float
    ) -> Any:
        answer = self._api.calls[device, number] = asyncio.get_running_loop().create_future()
        try:
            if not session.deliver(topic, octets(content)):
                raise RpcError(f"the gateway is not subscribed to {topic}")
            return await asyncio.wait_for(answer, max(timeout_s, self.manners.least_call_s))
        except asyncio.TimeoutError:
            raise RpcError(f"{content} was not answered within {timeout_s:g} s") from None
        finally:
            del self._api.calls[device, number]
