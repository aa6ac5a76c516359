"""Handling of the messages of ThingsBoard's MQTT device and gateway API.

Topics and payloads are those of ThingsBoard's MQTT device API and gateway API references.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Any

import simplejson

from dlms_connector.demo.mqtt_session import Receipt, Session
from dlms_connector.demo.platform_rules import MalformedError, Manners, accepts, stored
from dlms_connector.demo.platform_saving import Saving
from dlms_connector.demo.platform_store import Scope, Store

ME = "v1/devices/me/"
GATEWAY = "v1/gateway/"

_NO_LIMITS = {"messages": None, "telemetryMessages": None, "telemetryDataPoints": None}

#: ThingsBoard's answer to `getSessionLimits` where the tenant's profile sets no limits.
SESSION_LIMITS = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 100,
    "rateLimits": _NO_LIMITS,
    "gatewayRateLimits": _NO_LIMITS,
}

_DEFAULT_TYPE = "default"

#: A message is acknowledged when the server has queued it: that proves nothing about storage.
QUEUED = Receipt()
MALFORMED = Receipt(0x99)


class PlatformApi:
    """Takes the messages of sessions, stores their data and answers their requests.

    `tokens` maps access tokens to the names of gateways. `connected` has the session of each
    device that its gateway reports as connected. `calls` has the remote calls that wait for
    an answer, by device (empty for the gateway itself) and number. `saving` stores what was
    accepted, and `stored` is called when it has stored something later.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        store: Store,
        manners: Manners | None = None,
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        self.connected: dict[str, Session] = {}
        self.calls: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._tokens, self._store = tokens, store
        self._manners = manners or Manners()
        self.saving = Saving(store, self._manners, self.tell, stored)
        self._topics: Mapping[str, Callable[[Session, Any], Receipt | None]] = {
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

    def published(self, session: Session, topic: str, payload: bytes) -> Receipt:
        """Take a message and return how it is acknowledged.

        One that is not valid is recorded as `Invalid`, and one whose values the rule chain drops
        as `Dropped`: that is acknowledged like a good one.
        """
        try:
            return self._handle(session, topic, simplejson.loads(payload, use_decimal=True))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            session.note("out", "Invalid", topic, payload, problem)
            return MALFORMED

    def went(self, session: Session) -> None:
        """Forget the devices of a session that ended, as the platform does."""
        for device in [name for name, at in self.connected.items() if at is session]:
            del self.connected[device]

    def tell(self, device: str, values: Mapping[str, Any]) -> bool:
        """Send shared attributes of a device to its gateway; false if it has none now."""
        session = self.connected.get(device)
        content = {"device": device, "data": dict(values)}
        return session is not None and session.deliver(f"{GATEWAY}attributes", octets(content))

    def _handle(self, session: Session, topic: str, content: Any) -> Receipt:
        if handle := self._topics.get(topic):
            return handle(session, content) or QUEUED
        prefix, _, number = topic.rpartition("/")
        self._numbered[prefix](session, int(number), content)
        return QUEUED

    def _name(self, session: Session) -> str:
        return self._tokens[session.token]

    # Messages of the gateway itself

    def _own_telemetry(self, session: Session, content: Any) -> None:
        entries = content if isinstance(content, list) else [content]
        self._keep(session, self._name(session), [*self._entries(entries)])

    def _own_attributes(self, session: Session, content: Any) -> None:
        self._keep_attributes(session, self._name(session), self._stored(content))

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

    def _connect(self, session: Session, content: Any) -> Receipt:
        device, kind = content["device"], content.get("type", _DEFAULT_TYPE)
        if not accepts(device):
            return self._refusal
        if self._store.has_device(device) or accepts(kind):
            self._present(session, device, kind)
            return QUEUED
        # The device profile cannot be created: the device gets the default one, after a while.
        return Receipt(
            after_s=self._manners.default_s,
            then=lambda: self._present(session, device, _DEFAULT_TYPE),
        )

    @property
    def _refusal(self) -> Receipt:
        """How a device is refused: the transport waits for its creation in vain."""
        return Receipt(0x80, after_s=self._manners.refusal_s)

    def _present(self, session: Session, device: str, kind: str) -> None:
        self._store.add_device(device, kind)
        if not session.over:
            self.connected[device] = session

    def _disconnect(self, session: Session, content: Any) -> None:
        # Another gateway may have connected the device since: that one's session goes on.
        if self.connected.get(content["device"]) is session:
            del self.connected[content["device"]]

    def _telemetry(self, session: Session, content: Any) -> Receipt:
        told = {device: [*self._entries(entries)] for device, entries in content.items()}
        for device in filter(accepts, told):
            # ThingsBoard connects a device whose data arrives without a connect message.
            self._store.add_device(device, _DEFAULT_TYPE)
            self.connected.setdefault(device, session)
            self._keep(session, device, told[device])
        return QUEUED if all(map(accepts, told)) else self._refusal

    def _entries(self, entries: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
        """Yield instants and values; raises MalformedError for the whole message."""
        for entry in entries:
            stamped = isinstance(entry, dict) and "ts" in entry and "values" in entry
            ts = int(entry["ts"]) if stamped else int(time() * 1000)
            yield ts, self._stored(entry["values"] if stamped else entry)

    def _stored(self, values: Any) -> Mapping[str, Any]:
        if not isinstance(values, dict):
            raise MalformedError(f"Can't parse value: {values}")
        return stored(values, cast=self._manners.cast)

    def _keep(
        self, session: Session, device: str, entries: Iterable[tuple[int, Mapping[str, Any]]]
    ) -> None:
        """Store telemetry: the rule chain gets one message per device and instant."""
        for ts, values in entries:
            if not self._dropped(session, device, values):
                self.saving.telemetry(device, ts, values)

    def _attributes(self, session: Session, content: Any) -> Receipt:
        told = {device: self._stored(values) for device, values in content.items()}
        for device in filter(accepts, told):
            self._store.add_device(device, _DEFAULT_TYPE)
            self._keep_attributes(session, device, told[device])
        return QUEUED if all(map(accepts, told)) else self._refusal

    def _keep_attributes(self, session: Session, device: str, values: Mapping[str, Any]) -> None:
        if not self._dropped(session, device, values):
            self.saving.attributes(device, values)

    def _dropped(self, session: Session, device: str, values: Mapping[str, Any]) -> bool:
        """Whether one bad key costs all values of a message; the gateway is not told."""
        bad = [key for key in values if not accepts(key)]
        if bad:
            session.note("out", "Dropped", detail=f"{device}: {bad}")
        return bool(bad)

    def _attributes_request(self, session: Session, content: Any) -> None:
        scope: Scope = "client" if content.get("client") else "shared"
        kept = self._store.attributes(content["device"], scope)
        answer = {"id": content["id"], "device": content["device"]}
        keys = [content["key"]] if "key" in content else content["keys"]
        found = {key: kept[key] for key in keys if key in kept}
        if found and len(keys) == 1:
            (answer["value"],) = found.values()
        elif found:  # the platform leaves out what is not set, even all of it
            answer["values"] = found
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
