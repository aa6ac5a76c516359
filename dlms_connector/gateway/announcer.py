"""Which meters the platform believes to be connected.

The gateway connects a device to the platform once in its own life. The platform forgets
that with every MQTT session, and the gateway does not repeat it, so this does. A device
that is connected is sent the calls that wait for it, so they must be taken by then.

Everything but `close`, which comes when that is over, is called from one thread: the
gateway's `add_device` waits for the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from logging import Logger
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

from dlms_connector.gateway.call_entry import CallEntry
from dlms_connector.gateway.gateway_names import renamed_devices

#: A meter that falls silent is disconnected after this: what is said last about it travels
#: through the gateway's storage, and whatever arrives later would connect it again.
DISCONNECT_AFTER_S = 3.0


class Announcer:
    """Tells the platform which meters are there, in every MQTT session anew.

    `gateway` is the gateway's service, `connector` what it is to route a device's
    downlink to, and `calls` where its calls come in.
    """

    def __init__(
        self,
        gateway: Any,
        connector: Any,
        calls: CallEntry,
        log: Logger,
        clock: Callable[[], float],
    ) -> None:
        self._gateway, self._connector, self._calls = gateway, connector, calls
        self._log, self._clock = log, clock
        self._present: dict[str, str] = {}
        self._told: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._earlier: frozenset[str] = frozenset()
        self._session: object = None

    def present(self, name: str, device_type: str) -> None:
        """Note that a meter answers; announce it if the platform does not know that yet."""
        self._leaving.pop(name, None)
        self._present[name] = device_type
        if self._connected() and name not in self._told:
            self._announce(name, device_type)

    def absent(self, name: str) -> None:
        """Note that a meter no longer answers; unless it comes back it is disconnected soon."""
        self._present.pop(name, None)
        self._leaving.setdefault(name, self._clock() + DISCONNECT_AFTER_S)

    def close(self) -> None:
        """Leave the calls to others."""
        if (client := self._gateway.tb_client) is not None:
            self._calls.leave(client.client)

    def reconcile(self) -> None:
        """Tell the platform what it does not know: called a few times per second."""
        if not self._connected():
            return
        for name, device_type in list(self._present.items()):
            if name not in self._told:
                self._announce(name, device_type)
        now = self._clock()
        for name in [name for name, due in self._leaving.items() if due <= now]:
            del self._leaving[name]
            self._disconnect(name)

    def _connected(self) -> bool:
        """Whether there is a session; when one begins or ends, nobody is told of anything."""
        session = self._session_now()
        connected = session is not None
        if session is not self._session:
            self._session, ended = session, self._session
            self._told.clear()
            later = self._clock() + DISCONNECT_AFTER_S
            self._leaving = dict.fromkeys(self._leaving, later)
            if ended is not None:
                self._earlier = self._ever_connected()
            _send_at_once(session)
        if connected:
            self._calls.stand(self._client)
        else:
            self._earlier = self._ever_connected()
        return connected

    def _session_now(self) -> object:
        """Return what tells one session from the next, or None.

        An outage may begin and end while an announcement waits for the platform: then there
        is a connection before and after it, but over another socket.
        """
        if not self._is_connected():
            return None
        client = getattr(self._client, "_client", None)
        return (client and client.socket()) or True

    def _is_connected(self) -> bool:
        client = self._gateway.tb_client  # None until the gateway has made its connectors
        return client is not None and bool(client.is_connected())

    def _announce(self, name: str, device_type: str) -> None:
        self._told.add(name)  # first: if it fails, the next session is soon enough
        self._gateway.add_device(name, {"connector": self._connector}, device_type=device_type)
        if not self._is_connected():
            self._told.discard(name)
            return
        # The gateway takes a device that it knows, also from an earlier run, for connected.
        known_as = self._platform_name(name)
        if known_as not in self._ever_connected() - self._earlier:
            self._client.gw_connect_device(known_as, device_type)
        self._log.debug("%s: announced to the platform", name)

    def _ever_connected(self) -> frozenset[str]:
        """Return whom the gateway's client has connected so far, in whatever session.

        The gateway itself connects a device whose data comes first. There is no public
        way to ask; without an answer a device is connected twice, which does no harm.
        """
        client = getattr(self._gateway.tb_client, "client", None)
        return frozenset(getattr(client, "_TBGatewayMqttClient__connected_devices", ()))

    def _disconnect(self, name: str) -> None:
        self._told.discard(name)
        # Not del_device: the gateway would forget whose device it is, and calls to it
        # would spin in the gateway's queue instead of being answered here.
        if name in self._gateway.get_devices():
            self._client.gw_disconnect_device(self._platform_name(name))
            self._log.debug("%s: disconnected from the platform", name)

    @property
    def _client(self) -> Any:
        return self._gateway.tb_client.client

    def _platform_name(self, name: str) -> str:
        """Return what a device is called there: connecting the old name would create another."""
        return renamed_devices(self._gateway).get(name) or name


def _send_at_once(connection: object) -> None:
    """Let no answer wait until the platform has confirmed the packet before it.

    The gateway's client confirms a call just before its answer goes out. Small packets are
    held back until the one before is acknowledged, and that takes up to 40 ms (RFC 1122,
    4.2.3.2 and 4.2.3.4).
    """
    with suppress(AttributeError, OSError):  # no socket, or gone already
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # type: ignore[attr-defined]
