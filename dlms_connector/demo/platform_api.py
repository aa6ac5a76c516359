"""Handling of the messages of ThingsBoard's MQTT device and gateway API.

Topics and payloads are those of ThingsBoard's MQTT device API and gateway API references.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import time
from typing import Any

import simplejson

from dlms_connector.demo.mqtt_session import Session
from dlms_connector.demo.platform_store import Scope, Store

ME = "v1/devices/me/"
GATEWAY = "v1/gateway/"

#: ThingsBoard's answer to `getSessionLimits`; empty limits mean no limits.
SESSION_LIMITS = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 100,
    "payloadType": "JSON",
    "rateLimits": {},
    "gatewayRateLimits": {},
}


class PlatformApi:
    """Takes the messages of sessions, stores their data and answers their requests.

    `tokens` maps access tokens to the names of gateways. `connected` has the session of each
    device that its gateway reports as connected. `calls` has the remote calls that wait for
    an answer, by device (empty for the gateway itself) and number.
    """

    def __init__(self, tokens: Mapping[str, str], store: Store) -> None:
        self.connected: dict[str, Session] = {}
        self.calls: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._tokens, self._store = tokens, store
        self._topics: Mapping[str, Callable[[Session, Any], None]] = {
            f"{ME}telemetry": self._own_telemetry,
            f"{ME}attributes": self._own_attributes,
            f"{GATEWAY}connect": self._connect,
            f"{GATEWAY}disconnect": self._disconnect,
            f"{GATEWAY}telemetry": self._telemetry,
            f"{GATEWAY}attributes": self._attributes,
            f"{GATEWAY}attributes/request": self._attributes_request,
            f"{GATEWAY}rpc": self._rpc_reply,
        }
        self._numbered: Mapping[str, Callable[[Session, int, Any], None]] = {
            f"{ME}attributes/request": self._own_attributes_request,
            f"{ME}rpc/request": self._own_rpc_request,
            f"{ME}rpc/response": self._own_rpc_reply,
        }

    def published(self, session: Session, topic: str, payload: bytes) -> None:
        """Take a message; one that is not valid is recorded as `Invalid`."""
        try:
            self._handle(session, topic, simplejson.loads(payload, use_decimal=True))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            session.note("out", "Invalid", topic, payload, problem)

    def went(self, session: Session) -> None:
        """Forget the devices of a session that ended, as the platform does."""
        for device in [name for name, at in self.connected.items() if at is session]:
            del self.connected[device]

    def _handle(self, session: Session, topic: str, content: Any) -> None:
        if handle := self._topics.get(topic):
            handle(session, content)
            return
        prefix, _, number = topic.rpartition("/")
        self._numbered[prefix](session, int(number), content)

    def _name(self, session: Session) -> str:
        return self._tokens[session.token]

    # Messages of the gateway itself

    def _own_telemetry(self, session: Session, content: Any) -> None:
        self._keep(self._name(session), content if isinstance(content, list) else [content])

    def _own_attributes(self, session: Session, content: Any) -> None:
        self._store.set_attributes(self._name(session), "client", content)

    def _own_attributes_request(self, session: Session, number: int, content: Any) -> None:
        name, answer = self._name(session), {}
        scopes: tuple[tuple[Scope, str], ...] = (("shared", "sharedKeys"), ("client", "clientKeys"))
        for scope, key in scopes:
            if key in content or not content:
                wanted = [part for part in content.get(key, "").split(",") if part]
                kept = self._store.attributes(name, scope)
                found = {k: v for k, v in kept.items() if k in wanted or not wanted}
                if found:  # the platform leaves out an empty scope, and the gateway relies on it
                    answer[scope] = found
        session.deliver(f"{ME}attributes/response/{number}", octets(answer))

    def _own_rpc_request(self, session: Session, number: int, content: Any) -> None:
        known = content.get("method") == "getSessionLimits"
        answer = SESSION_LIMITS if known else {"error": "unsupported method"}
        session.deliver(f"{ME}rpc/response/{number}", octets(answer))

    def _own_rpc_reply(self, session: Session, number: int, content: Any) -> None:
        self._answered("", number, content)

    # Messages of the devices behind the gateway

    def _connect(self, session: Session, content: Any) -> None:
        self._store.add_device(content["device"], content.get("type", "default"))
        self.connected[content["device"]] = session

    def _disconnect(self, session: Session, content: Any) -> None:
        self.connected.pop(content["device"], None)

    def _telemetry(self, session: Session, content: Any) -> None:
        for device, entries in content.items():
            # ThingsBoard connects a device whose data arrives without a connect message.
            self._store.add_device(device, "default")
            self.connected.setdefault(device, session)
            self._keep(device, entries)

    def _keep(self, device: str, entries: Any) -> None:
        for entry in entries:
            stamped = isinstance(entry, dict) and "values" in entry
            ts = entry.get("ts") if stamped else None
            values = entry["values"] if stamped else entry
            self._store.add_telemetry(device, ts or int(time() * 1000), values)

    def _attributes(self, session: Session, content: Any) -> None:
        for device, values in content.items():
            self._store.add_device(device, "default")
            self._store.set_attributes(device, "client", values)

    def _attributes_request(self, session: Session, content: Any) -> None:
        scope: Scope = "client" if content.get("client") else "shared"
        kept = self._store.attributes(content["device"], scope)
        answer = {"id": content["id"], "device": content["device"]}
        if "key" in content:
            answer["value"] = kept.get(content["key"])
        else:
            answer["values"] = {k: v for k, v in kept.items() if k in content.get("keys", ())}
        session.deliver(f"{GATEWAY}attributes/response", octets(answer))

    def _rpc_reply(self, session: Session, content: Any) -> None:
        self._answered(content["device"], content["id"], content.get("data"))

    def _answered(self, device: str, number: int, content: Any) -> None:
        future = self.calls.get((device, number))
        if future and not future.done():
            future.set_result(content)


def octets(content: Any) -> bytes:
    """Return a value as JSON."""
    text: str = simplejson.dumps(content, use_decimal=True)
    return text.encode()
