"""Takes calls to our meters where the gateway's MQTT client delivers them.

The gateway's own handling (3.8.5) has four faults. It subscribes to calls some time before
it sets its handler, so calls that waited at the platform for a device are acknowledged and
lost. It puts calls in a queue that it checks ten times per second. The thread that reads this
queue ends for good when the handler of any connector raises an exception. And it replies to a
call to a connector at once, with what the connector returns, in the thread of the MQTT client:
an answer of a meter cannot be waited for there.

The entries are called before the gateway's handlers. They take the calls to our meters, and
the calls to our connector that name one of them, and pass everything else on, so other
connectors are not affected. What comes before the gateway has set its handler is passed on too:
the platform tells as soon as it can that a device was renamed or deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService

from dlms_connector.gateway.renames import our_name

Handler = Callable[[Any, Any], None]

#: The attributes of the client that hold its handlers: of calls to devices, and of calls to the
#: gateway itself, which has no public name.
_HANDLER = "devices_server_side_rpc_request_handler"
_OWN_HANDLER = "_TBDeviceMqttClient__device_on_server_side_rpc_response"
#: The platform's word that a device was deleted there.
DELETED = "gateway_device_deleted"


class CallEntry:
    """Takes the calls to `devices` for `connector`, in the thread of the MQTT client."""

    def __init__(self, gateway: Any, connector: Any, devices: Collection[str]) -> None:
        self._gateway, self._connector = gateway, connector
        self._devices = frozenset(devices)
        self._own = OwnCallEntry(gateway, connector)
        #: The next handler, which gets all other calls.
        self.behind: Handler | None = None

    def serve(self, devices: Collection[str]) -> None:
        """Take the calls to these devices from now on."""
        self._devices = frozenset(devices)

    def stand(self, client: Any) -> None:
        """Install the entries before a client's handlers; the gateway sets its own per session."""
        first = getattr(client, _HANDLER, self)  # without the attribute: change nothing
        if not self._devices:
            return
        self._own.stand(client)
        if any(handler is self for handler in _chain(first)):
            return
        self.behind = first or getattr(self._gateway, "_rpc_request_handler", None)
        if self.behind is not None:
            client.gw_set_server_side_rpc_request_handler(self)

    def hear(self, client: Any) -> None:
        """Install the entry for calls to the gateway itself, also before there is a session."""
        if self._devices:
            self._own.stand(client)

    def leave(self, client: Any) -> None:
        """Remove the entries from a client."""
        self._devices = frozenset()  # later calls are passed on
        self._own.leave(client)
        first = getattr(client, _HANDLER, None)
        if first is self:
            client.gw_set_server_side_rpc_request_handler(self.behind)
        _close_gap(first, self)

    def __call__(self, client: Any, content: Any) -> None:
        """Take a call or pass it on."""
        name = self._ours(content)
        if name is None:
            if self.behind is not None:
                self.behind(client, content)
            return
        _count()
        fault = self._connector.server_side_rpc_handler({**content, "device": name})
        if fault is not None:  # otherwise the answer is sent separately
            with suppress(KeyError, TypeError):
                number = content["data"]["id"]
                self._gateway.send_rpc_reply(device=name, req_id=number, content=fault)

    def _ours(self, content: Any) -> str | None:
        """Return our name of the called device; None if the call is not for us."""
        called = content.get("device") if isinstance(content, Mapping) else None
        if not isinstance(called, str):
            return None
        name = our_name(self._gateway, called)
        if name not in self._devices:
            return None
        owner = self._gateway.get_devices().get(name, {}).get("connector")
        return name if owner in (None, self._connector) else None


class OwnCallEntry:
    """Takes the calls to `connector` itself that can be replied to later.

    The connector is told of each device that was deleted on the platform.
    """

    def __init__(self, gateway: Any, connector: Any) -> None:
        self._gateway, self._connector = gateway, connector
        self._left = False
        #: The next handler, which gets all other calls.
        self.behind: Handler | None = None

    def stand(self, client: Any) -> None:
        """Install the entry before a client's handler."""
        first = getattr(client, _OWN_HANDLER, self)  # without the attribute: change nothing
        if self._left or first is self or any(handler is self for handler in _chain(first)):
            return
        self.behind = first or getattr(self._gateway, "_rpc_request_handler", None)
        client.set_server_side_rpc_request_handler(self)

    def leave(self, client: Any) -> None:
        """Remove the entry from a client."""
        self._left = True  # later calls are passed on
        first = getattr(client, _OWN_HANDLER, None)
        if first is self:
            client.set_server_side_rpc_request_handler(self.behind)
        _close_gap(first, self)

    def __call__(self, number: Any, content: Any) -> None:
        """Take a call or pass it on."""
        self._look_for_deleted(content)
        if not self._takes(number, content) and self.behind is not None:
            self.behind(number, content)

    def _look_for_deleted(self, content: Any) -> None:
        match content:
            case {"method": str(method), "params": str(name)} if method == DELETED:
                if not self._left:
                    self._connector.device_deleted(name)

    def _takes(self, number: Any, content: Any) -> bool:
        if self._left or not isinstance(content, Mapping) or not str(number).isdecimal():
            return False
        if not self._connector.gateway_rpc_handler(int(number), content):
            return False
        _count()
        return True


def _count() -> None:
    with suppress(Exception):  # a count may be lost, but not a call
        StatisticsService.add_count("msgsReceivedFromPlatform")


def _chain(handler: Any) -> Iterator[Any]:
    """Yield the chain of entries from a handler on: each DLMS connector has one."""
    while isinstance(handler, CallEntry | OwnCallEntry):
        yield handler
        handler = handler.behind


def _close_gap(first: Any, left: CallEntry | OwnCallEntry) -> None:
    """Let the entry before one that has left pass on to the next."""
    for before in _chain(first):
        if before.behind is left:  # else each restart would leave one more entry
            before.behind = left.behind
