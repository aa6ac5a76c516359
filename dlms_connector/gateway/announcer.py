"""Connects and disconnects meters on the platform.

The gateway connects a device to the platform only once while it runs. The platform forgets
this with every MQTT session and the gateway does not repeat it, so this module does. When a
device is connected, the platform sends the calls that wait for it: the call entry must be
in place by then.

A message about a device that the gateway sends later connects the device again on the platform,
and a message can be delayed by an outage. So a silent meter is disconnected several times, with
growing pauses, until its state there is true.

All methods are called from one thread, because the gateway's `add_device` waits for the broker.
Only `is_connected_there` and `close` are not: they are called last, when that work is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import islice
from logging import Logger
from math import inf
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

from dlms_connector.gateway.call_entry import CallEntry
from dlms_connector.gateway.renames import Renames
from dlms_connector.gateway.session import is_connected, session

#: Seconds until a meter that no longer answers is disconnected. Its last data must pass the
#: gateway's storage first: data that arrives later would connect it again.
DISCONNECT_AFTER_S = 3.0
#: It is repeated: each time after so many times the pause before, and so many times in all.
_LONGER, _TIMES = 4, 4
#: Most messages of one kind per call of `reconcile`: thousands at once would delay values.
_AT_ONCE = 20


class Announcer:
    """Tells the platform in every MQTT session which meters are online.

    `gateway` is the gateway's service, `connector` the target of a device's downlink
    messages, `calls` the entry for its calls, and `renames` knows the devices' names on the
    platform.
    """

    def __init__(
        self,
        gateway: Any,
        connector: Any,
        calls: CallEntry,
        renames: Renames,
        log: Logger,
        clock: Callable[[], float],
    ) -> None:
        self._gateway, self._connector, self._calls = gateway, connector, calls
        self._renames = renames
        self._log, self._clock = log, clock
        self._present: dict[str, str] = {}
        self._told: set[str] = set()
        #: Meters that are present and not told, in order: few of thousands, most of the time.
        self._untold: dict[str, None] = {}
        #: When a silent meter is disconnected next, and how often it was.
        self._leaving: dict[str, tuple[float, int]] = {}
        #: No meter is disconnected before this time.
        self._next_leaving = inf
        self._earlier: frozenset[str] = frozenset()
        self._session: object = None

    def present(self, name: str, device_type: str) -> None:
        """Note that a meter answers; announce it if the platform does not know that yet."""
        self._leaving.pop(name, None)
        self._present[name] = device_type
        if name not in self._told:
            self._untold[name] = None
        if self._connected() and name not in self._told:
            self._announce(name, device_type)

    def absent(self, name: str) -> None:
        """Note that a meter no longer answers; it is disconnected soon unless it comes back."""
        self._present.pop(name, None)
        self._untold.pop(name, None)
        self._leave(name, self._clock() + DISCONNECT_AFTER_S, 0)

    def renew(self, name: str) -> None:
        """Announce a meter again when it answers next: it may want other shared attributes now."""
        self._present.pop(name, None)
        self._untold.pop(name, None)
        self._told.discard(name)

    def leave(self, before: Announcer) -> None:
        """Disconnect at once what was connected before this: it is another gateway's now."""
        self._session = before._session  # no new one begins with this
        for name in (*before._present, *before._leaving):
            self._leave(name, self._clock(), 0)

    def knows(self, name: str) -> bool:
        """Whether the gateway has the device: else a message about it creates it first."""
        return name in self._gateway.get_devices()

    def is_connected_there(self, name: str) -> bool:
        """Whether a meter may be connected on the platform now."""
        return name in self._told or self._leaving.get(name, (0.0, 1))[1] == 0

    def close(self) -> None:
        """Remove the entries from the MQTT client."""
        if (client := self._gateway.tb_client) is not None:
            self._calls.leave(client.client)

    def reconcile(self) -> None:
        """Bring the platform up to date; called a few times per second."""
        self._renames.observe()
        if not self._connected():
            return
        for name in list(self._untold):
            if name in self._untold:
                self._announce(name, self._present[name])
        now = self._clock()
        if now >= self._next_leaving:
            due = (name for name, (at, _) in self._leaving.items() if at <= now)
            for name in list(islice(due, _AT_ONCE)):
                self._disconnect(name)
                self._leave_again(name, now)
            self._next_leaving = min((at for at, _ in self._leaving.values()), default=inf)

    def _leave_again(self, name: str, now: float) -> None:
        """Disconnect a silent meter once more later: delayed data may connect it meanwhile."""
        _, times = self._leaving.pop(name)
        if times + 1 < _TIMES:
            pause_s = DISCONNECT_AFTER_S * _LONGER ** (times + 1)
            self._leave(name, now + pause_s, times + 1)

    def _leave(self, name: str, at: float, times: int) -> None:
        self._leaving[name] = (at, times)
        self._next_leaving = min(self._next_leaving, at)

    def _connected(self) -> bool:
        """Whether there is a session; when it changes, no meter counts as announced."""
        session = self._session_now()
        connected = session is not None
        if session is not self._session:
            self._session, ended = session, self._session
            self._told.clear()
            self._untold = dict.fromkeys(self._present)
            later = self._clock() + DISCONNECT_AFTER_S
            self._leaving = dict.fromkeys(self._leaving, (later, 0))
            self._next_leaving = later if self._leaving else inf
            if ended is not None:
                self._earlier = self._ever_connected()
            _send_at_once(session)
        if self._gateway.tb_client is not None:
            # Before there is a session: the platform tells renamed devices as soon as it begins.
            self._calls.hear(self._client)
        if connected:
            self._calls.stand(self._client)
        else:
            self._earlier = self._ever_connected()
        return connected

    def _session_now(self) -> object:
        return session(self._gateway)

    def _is_connected(self) -> bool:
        return is_connected(self._gateway)

    def _announce(self, name: str, device_type: str) -> None:
        self._told.add(name)  # before the call: if that fails, retry in the next session
        self._untold.pop(name, None)
        self._renames.before_adding(name, device_type, self._connector)
        self._gateway.add_device(name, {"connector": self._connector}, device_type=device_type)
        if not self._is_connected():
            self._told.discard(name)
            self._untold[name] = None
            return
        # The gateway assumes that a device it knows, even from an earlier run, is connected.
        known_as = self._renames.name_of(name)
        if known_as not in self._known_to_client() or known_as in self._earlier:
            self._client.gw_connect_device(known_as, device_type)
        self._log.debug("%s: announced to the platform", name)

    def _ever_connected(self) -> frozenset[str]:
        return frozenset(self._known_to_client())

    def _known_to_client(self) -> Collection[str]:
        """Return the devices that the gateway's client has connected so far, in any session.

        The gateway itself connects a device whose data comes first. There is no public
        interface; without this list a device is connected twice, which does no harm.
        """
        client = getattr(self._gateway.tb_client, "client", None)
        known: Collection[str] = getattr(client, "_TBGatewayMqttClient__connected_devices", ())
        return known

    def _disconnect(self, name: str) -> None:
        self._told.discard(name)
        # Not del_device: the gateway would forget the device's connector. Calls to it would
        # then circulate in the gateway's queue instead of being answered here.
        if self.knows(name):
            self._client.gw_disconnect_device(self._renames.name_of(name))
            self._log.debug("%s: disconnected from the platform", name)

    @property
    def _client(self) -> Any:
        return self._gateway.tb_client.client


def _send_at_once(connection: object) -> None:
    """Set TCP_NODELAY, so that no answer waits for the acknowledgement of an earlier packet.

    The gateway's client confirms a call just before its answer is sent. Without the option a
    small packet waits until the previous one is acknowledged, which takes up to 40 ms
    (RFC 1122, 4.2.3.2 and 4.2.3.4).
    """
    with suppress(AttributeError, OSError):  # no socket, or gone already
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # type: ignore[attr-defined]
