"""What the platform is told about the state of each meter, and that it stays true.

A meter that the gateway has never heard of is told without hurry: the gateway creates it on the
platform first, waits for that, and holds up all values meanwhile. A meter that is not polled any
more does not stay online: its last words are sent when the connector stops, or at the next start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from logging import Logger
from math import inf
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import NamedTuple

from dlms_connector.gateway.remembered import Remembered

ONLINE, OFFLINE = "online", "offline"
#: Most meters told per call of `reconcile`, if the gateway does not know them yet.
_NEW_AT_ONCE = 2
#: Seconds until a state is told once more where an older one may come after it: if other gateways
#: serve the same meters, and tell last that they are not polled; and if both waited for the
#: connection and then went out together. So many at once.
_REPEAT_AFTER_S, _REPEATED_AT_ONCE = 60.0, 20
#: What was told in the last seconds of a connection may be lost: the client notices its end after
#: one and a half keep-alive times (60 s) and the time of a reconnection.
_UNSURE_S = 300.0
#: Seconds until the gateway is tried again, where its storage took nothing.
_AGAIN_S = 5.0
#: Calls of `reconcile` between two writes of the file.
_WRITE_EVERY = 20

_STOPPED = "not polled: the connector was stopped"
_REMOVED = "not polled any more: the device is not in the configuration"


class State(NamedTuple):
    """A meter's state as it is shown on the platform, and the reason."""

    device_type: str
    state: str
    sentence: str


class States:
    """Sends states with `send` (device name, state); `knows` tells if the gateway has a device.

    `send` returns whether the gateway took it. `put` may be called in another thread than the
    other methods.
    """

    def __init__(
        self,
        send: Callable[[str, State], bool],
        knows: Callable[[str], bool],
        log: Logger,
        *,
        shared: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._send, self._knows, self._shared = send, knows, shared
        self._clock = clock
        #: Meters that are told once more, in this order, and when.
        self._repeats: deque[tuple[float, str]] = deque()
        #: What was told from then on may still be on its way; and meters of which that is so, and
        #: then something else was told.
        self._unsure_from = -inf
        self._told_twice: set[str] = set()
        self._remembered = Remembered(log)
        self._lock = Lock()
        self._told: dict[str, State] = {}
        #: When, the latest last.
        self._told_at: dict[str, float] = {}
        self._waiting: dict[str, State] = {}
        #: Meters that an earlier run left online.
        self._earlier: dict[str, str] = {}
        self._calls = 0
        #: When the gateway is tried again, after it took nothing.
        self._again_at = 0.0

    def inherit(self, before: States) -> None:
        """Know which meters were online in what is replaced by this; call it before `open`."""
        self._earlier = {name: state.device_type for name, state in before._online().items()}

    def open(
        self,
        path: Path | None,
        devices: Collection[str],
        of_another: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """Read which meters were online last, if there is a path, and `serve` the devices."""
        if path is not None:
            self._earlier = {**self._remembered.open(path), **self._earlier}
        self.serve(devices, of_another)

    def serve(
        self, devices: Collection[str], of_another: Callable[[str], bool] = lambda name: False
    ) -> None:
        """Know these devices from now on; those that were online and leave are told so.

        Not those `of_another` connector: it tells their state.
        """
        names = set(devices)
        online = {name: state.device_type for name, state in self._online().items()}
        with self._lock:
            left = {**self._earlier, **online}
            for each in (self._told, self._told_at, self._waiting, self._earlier):
                for name in each.keys() - names:
                    del each[name]
            self._told_twice &= names
        for name in left.keys() - names:
            if not of_another(name):
                self.put(name, State(left[name], OFFLINE, _REMOVED))

    def put(self, name: str, state: State) -> None:
        """Tell a state: at once if the gateway knows the meter or it is online, else soon."""
        with self._lock:
            self._waiting.pop(name, None)
            self._earlier.pop(name, None)
            if state.state != ONLINE and not self._knows(name):
                self._waiting[name] = state
                return
            self._note(name, state)
            if self._shared and state.state == ONLINE:
                self._repeats.append((self._clock() + _REPEAT_AFTER_S, name))
        self._tell(name, state)

    def again(self, name: str) -> None:
        """Tell a meter's state once more: the platform has forgotten it."""
        with self._lock:
            state = self._told.get(name)
        if state is not None:
            self._tell(name, state)

    def doubt(self) -> None:
        """Tell again, soon, what was told lately: a connection has ended, and it may be lost."""
        since = self._unsure_from = self._clock() - _UNSURE_S
        with self._lock:
            for name, at in reversed(self._told_at.items()):
                if at < since:
                    break
                self._waiting.setdefault(name, self._told[name])

    def connected(self) -> None:
        """Tell once more what changed while there was no connection: old and new go out now."""
        with self._lock:
            at, self._unsure_from = self._clock() + _REPEAT_AFTER_S, inf
            self._repeats.extend((at, name) for name in sorted(self._told_twice))
            self._told_twice = set()

    def reconcile(self) -> None:
        """Tell a few of the meters that wait; called a few times per second."""
        self._calls += 1
        most = _NEW_AT_ONCE if self._clock() >= self._again_at else 0
        with self._lock:
            some = dict(islice(self._waiting.items(), most))
            for name, state in some.items():
                del self._waiting[name]
                self._note(name, state)
        for name, state in some.items():
            self._tell(name, state)
        for _ in range(_REPEATED_AT_ONCE):
            if not self._repeats or self._repeats[0][0] > self._clock():
                break
            self.again(self._repeats.popleft()[1])
        if self._calls % _WRITE_EVERY == 0:
            self.keep()

    def last_words(self, in_time: Callable[[], bool]) -> None:
        """Tell that the meters are not polled any more, as long as there is time."""
        for name, state in self._online().items():
            if not in_time():
                break
            self.put(name, state._replace(state=OFFLINE, sentence=_STOPPED))
        self.keep()

    def keep(self) -> None:
        """Write down which meters are online on the platform."""
        online = {name: state.device_type for name, state in self._online().items()}
        self._remembered.keep({**self._earlier, **online})

    def _tell(self, name: str, state: State) -> None:
        """Send a state; what the gateway does not take waits."""
        if not self._send(name, state):
            self._again_at = self._clock() + _AGAIN_S
            with self._lock:
                if self._told.get(name) == state:
                    self._waiting.setdefault(name, state)

    def _note(self, name: str, state: State) -> None:
        if self._told_at.get(name, -inf) > self._unsure_from and self._told.get(name) != state:
            self._told_twice.add(name)
        self._told[name] = state
        self._told_at.pop(name, None)  # to the end
        self._told_at[name] = self._clock()

    def _online(self) -> dict[str, State]:
        with self._lock:
            return {name: state for name, state in self._told.items() if state.state == ONLINE}
