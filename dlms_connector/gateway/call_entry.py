"""Takes calls to our meters where the gateway's MQTT client delivers them.

The gateway's own handling (3.8.5) has three faults. It subscribes to calls some time before
it sets its handler, so calls that waited at the platform for a device are acknowledged and
lost. It puts calls in a queue that it checks ten times per second. The thread that reads this
queue ends for good when the handler of any connector raises an exception.

This entry is called before the gateway's handler. It takes the calls to our meters and passes
everything else on, so other connectors are not affected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService

from dlms_connector.gateway.gateway_names import renamed_devices

Handler = Callable[[Any, Any], None]

#: The attribute of the client that holds its handler.
_HANDLER = "devices_server_side_rpc_request_handler"


class CallEntry:
    """Takes the calls to `devices` for `connector`, in the thread of the MQTT client."""

    def __init__(self, gateway: Any, connector: Any, devices: Collection[str]) -> None:
        self._gateway, self._connector = gateway, connector
        self._devices = frozenset(devices)
        #: The next handler, which gets all other calls.
        self.behind: Handler | None = None

    def stand(self, client: Any) -> None:
        """Install the entry before a client's handler; the gateway sets its own per session."""
        first = getattr(client, _HANDLER, self)  # without the attribute: change nothing
        if not self._devices or any(handler is self for handler in _chain(first)):
            return
        self.behind = first or getattr(self._gateway, "_rpc_request_handler", None)
        if self.behind is not None:
            client.gw_set_server_side_rpc_request_handler(self)

    def leave(self, client: Any) -> None:
        """Remove the entry from a client."""
        self._devices = frozenset()  # later calls are passed on
        first = getattr(client, _HANDLER, None)
        if first is self:
            client.gw_set_server_side_rpc_request_handler(self.behind)
        for before in _chain(first):
            if before.behind is self:  # else each restart would leave one more entry
                before.behind = self.behind

    def __call__(self, client: Any, content: Any) -> None:
        """Take a call or pass it on."""
        name = self._ours(content)
        if name is None:
            if self.behind is not None:
                self.behind(client, content)
            return
        with suppress(Exception):  # a count may be lost, but not a call
            StatisticsService.add_count("msgsReceivedFromPlatform")
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
        ours = {there: here for here, there in renamed_devices(self._gateway).items()}
        name = ours.get(called, called)
        if name not in self._devices:
            return None
        owner = self._gateway.get_devices().get(name, {}).get("connector")
        return name if owner in (None, self._connector) else None


def _chain(handler: Any) -> list[Any]:
    """Return the chain of entries from a handler on: each DLMS connector has one."""
    found = []
    while isinstance(handler, CallEntry):
        found.append(handler)
        handler = handler.behind
    return found
