"""Sends the meters' polls, states and diagnostics to the gateway, in order.

The fleet calls in its loop's thread; the work is done in the threads of two queues. Connecting
and disconnecting meters waits for the platform, also for its rate limits. Data must not wait
behind that, because the gateway's storage takes it at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from logging import Logger
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from dlms_connector.config import Device, Profile
from dlms_connector.errors import DlmsError
from dlms_connector.gateway.announcer import Announcer
from dlms_connector.gateway.states import ONLINE, State, States
from dlms_connector.gateway.uplink_queue import UplinkQueue
from dlms_connector.platform_keys import LAST_ERROR, STATE
from dlms_connector.reading import Poll, Reading
from dlms_connector.records import Entry, Slice
from dlms_converters import diagnostics
from dlms_converters.acceptance import accepted
from dlms_converters.json_value import json_size
from dlms_converters.kept import instants
from dlms_converters.message_size import LARGEST_VALUE
from dlms_converters.stored_value import NumericTexts, stored_value

if TYPE_CHECKING:
    from dlms_connector.fleet import MeterState
    from dlms_connector.meter import Statistics


#: Called with whether a slice is kept, and why not.
Kept = Callable[[bool, str], None]

#: Characters of a name in the log.
_SHOWN = 80

#: Names of users' converters that are logged: they may be new in each poll.
_MOST_RENAMED = 1000


class Converter(Protocol):
    """The gateway's interface of an uplink converter."""

    def convert(self, config: Any, data: Any) -> Any:
        """Return the data in the gateway's form."""


class Keeper(Protocol):
    """Keeps entries until the platform has stored them. Called in the uplink's thread."""

    def history(self, part: Slice, entries: Sequence[Entry], done: Kept) -> None:
        """Keep the rows of a slice and send them; `done` is called once."""

    def journal(self, data: Any) -> Any:
        """Take what is to be kept of a poll; return the rest, which is sent at once."""

    def unconfirmed(self, device: str) -> Mapping[str, int]:
        """Return how much of a device is not confirmed, as telemetry. Called in any thread."""


class Uplink:
    """Receives the fleet's results; implements the fleet's `Sink`.

    Data goes through `queue`, the announcer's work through `announcing`. `send` hands
    converted data to the gateway, `count` adds to its statistics of this connector.
    `came_online` is called in the loop's thread when a meter answers (again).
    `largest_attribute` returns how many bytes of JSON an attribute may have at present.
    `numeric_texts` is the configuration's `numericTexts`. `keeper` keeps rows of profiles, and
    polled readings if there is a journal, until the platform has stored them.
    """

    def __init__(
        self,
        converters: Mapping[str, Converter],
        announcer: Announcer,
        queue: UplinkQueue,
        announcing: UplinkQueue,
        log: Logger,
        *,
        send: Callable[[Any], bool | None],
        count: Callable[[str, int], None],
        came_online: Callable[[str], None] = lambda name: None,
        numeric_texts: NumericTexts = "quoted",
        largest_attribute: Callable[[], int] = lambda: LARGEST_VALUE["attributes"],
        keeper: Keeper | None = None,
        shared: bool = False,
    ) -> None:
        """`shared`: other gateways serve the same devices before or after this one."""
        self._keeper = keeper
        #: By device; `_adopted` are those of devices that were made at run time.
        self._converters, self._adopted = dict(converters), dict[str, Converter]()
        self._announcer = announcer
        self._queue, self._announcing = queue, announcing
        self._log, self._send, self._count = log, send, count
        self._came_online, self._largest_attribute = came_online, largest_attribute
        self.states = States(self._send_state, announcer.knows, log, shared=shared)
        #: Devices that were deleted on the platform: they come back with their next data.
        self._deleted: set[str] = set()
        self._texts = numeric_texts
        self._bytes: Counter[str] = Counter()
        self._online: set[str] = set()
        #: Values that polls and pushes have brought.
        self.readings = 0
        self._complained: set[tuple[str, type[Exception]]] = set()
        self._renamed: set[tuple[str, str]] = set()

    @property
    def adopted(self) -> frozenset[str]:
        """The names of the devices that were made at run time."""
        return frozenset(self._adopted)

    @property
    def online(self) -> frozenset[str]:
        """The names of the meters that answer."""
        return frozenset(self._online)

    def serve(
        self,
        converters: Mapping[str, Converter],
        named: Collection[str],
        changed: Collection[str],
        of_another: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """Take what these devices say from now on; call in the loop's thread.

        What came before is still converted as it would have been. `named` are the devices of the
        configuration, also refused ones: those that are not any more are told so, but those
        `of_another` connector. The `changed` ones are announced again when they answer next.
        """
        for name in self._converters.keys() - converters.keys():
            self._online.discard(name)
            self._bytes.pop(name, None)
            self._deleted.discard(name)
        self._online -= frozenset(changed)
        self._converters = dict(converters)
        for name in self._adopted.keys() & converters.keys():
            del self._adopted[name]
        names = {*named, *self._adopted}
        self._queue.put(partial(self._serve, names, frozenset(changed), of_another))

    def polled(self, device: Device, poll: Poll) -> None:
        """Take the outcome of a poll."""
        self._count("connectorMsgsReceived", 1)
        self.readings += len(poll.readings)
        if poll.readings:
            self._queue.put(partial(self._forward, self._converter(device), device, poll))

    def history(
        self,
        device: Device,
        profile: Profile,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        """Take the rows of a slice of a profile; `done` is called with whether they are kept."""
        converter = self._converter(device)
        job = partial(self._forward_history, converter, device, part, readings, done)
        self._queue.put(job, lost=partial(done, False, "closed"))

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        """Take a meter's change of state."""
        if state == ONLINE:
            self._online.add(device.device_name)
            self._came_online(device.device_name)
        else:
            self._online.discard(device.device_name)
        name, device_type = device.device_name, device.device_type
        self._queue.put(partial(self._tell_state, name, device_type, state, _sentence(error)))

    def misconfigured(self, name: str, device_type: str, problems: tuple[str, ...]) -> None:
        """Report that a device is refused, and why."""
        sentence = "; ".join(problems)
        self._queue.put(partial(self._tell_state, name, device_type, "misconfigured", sentence))

    def adopt(self, device: Device, converter: Converter) -> None:
        """Take what a device says that was made at run time; call in the loop's thread."""
        self._adopted[device.device_name] = converter

    def statistics(self, device: Device, statistics: Statistics, *, send: bool = True) -> None:
        """Send a meter's counters; not those of an offline meter, which would look active."""
        name, bytes_in = device.device_name, statistics.bytes_in
        before = self._bytes[name] if bytes_in >= self._bytes[name] else 0  # counted anew since
        if (received := bytes_in - before) > 0:
            self._bytes[name] = bytes_in
            self._count("connectorBytesReceived", received)
        if send and name in self._online:
            ts_ms, values = int(time() * 1000), {**statistics.telemetry()}
            if self._keeper is not None:
                values.update(self._keeper.unconfirmed(name))
            data = diagnostics.telemetry(name, device.device_type, ts_ms, values)
            self._queue.put(partial(self._send, data))

    def attributes(self, device: Device, values: Mapping[str, Any]) -> None:
        """Send client attributes of a device; call from any thread."""
        name, device_type = device.device_name, device.device_type
        fitting: dict[str, Any] = {}
        for key, value in values.items():
            if (size := json_size(stored_value(value))) <= self._largest_attribute():
                fitting[key] = value
            else:  # the gateway would lose other waiting data with it
                self._log.error("%s: attribute %s is not sent: it has %d bytes", name, key, size)
        data = diagnostics.attributes(name, device_type, fitting, self._texts)
        if _has_values(data):
            self._queue.put(partial(self._send, data))

    def event(self, device: Device, key: str, value: Any) -> None:
        """Send something that happened just now as telemetry of a device."""
        name, device_type = device.device_name, device.device_type
        now_ms = int(time() * 1000)
        data = diagnostics.telemetry(name, device_type, now_ms, {key: value}, self._texts)
        self._queue.put(partial(self._send, data))

    def deleted(self, name: str) -> None:
        """Note that a device was deleted on the platform; call from any thread."""
        self._deleted.add(name)

    def last_words(self, in_time: Callable[[], bool]) -> None:
        """Tell, as long as there is time, that no meter is polled any more."""
        self._queue.put(partial(self.states.last_words, in_time))

    def _serve(
        self, names: Collection[str], changed: Collection[str], of_another: Callable[[str], bool]
    ) -> None:
        # Here, since what is told before is told in this thread, too.
        for name in changed:
            self._announcing.put(partial(self._announcer.renew, name))
        same = set(names) - set(changed)
        self._complained = {one for one in self._complained if one[0] in same}
        self._renamed = {one for one in self._renamed if one[0] in same}
        self.states.serve(names, of_another)

    def _converter(self, device: Device) -> Converter:
        """Return the converter as it is now: when a job is done, it may be that of a new device."""
        name = device.device_name
        return self._adopted[name] if name in self._adopted else self._converters[name]

    def _forward_history(
        self,
        converter: Converter,
        device: Device,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        name = device.device_name
        if self._keeper is None:
            done(False, "no records are kept")
            return
        try:
            data = self._converted(converter, device, readings) if readings else None
            rows = instants(data)
        except Exception as error:  # the converter may be the user's own
            self._complain(name, error)
            done(False, f"the converter failed: {type(error).__name__}")
            return
        entries = [Entry(part.source, device.device_type, ts_ms, row) for ts_ms, row in rows if row]
        self._keeper.history(part, entries, done)

    def _converted(self, converter: Converter, device: Device, readings: Any) -> Any:
        data, renamed = accepted(converter.convert(device, readings))
        self._tell_renamed(device.device_name, renamed)
        return data

    def _forward(self, converter: Converter, device: Device, poll: Poll) -> None:
        name = device.device_name
        try:
            data = self._converted(converter, device, poll)
        except Exception as error:  # the converter may be the user's own
            self._count("convertersMsgDropped", 1)
            self._complain(name, error)
            return
        if not _has_values(data):
            return
        if self._keeper is not None:
            data = self._keeper.journal(data)
        if _has_values(data):
            self._send(data)
        if name in self._deleted:
            self._deleted.discard(name)
            self.states.again(name)

    def _tell_renamed(self, device: str, renamed: Mapping[str, str]) -> None:
        """Log once per name that the platform would have dropped the data under it."""
        for name, instead in renamed.items():
            if (device, name) not in self._renamed and len(self._renamed) < _MOST_RENAMED:
                self._renamed.add((device, name))
                text = "%s: the converter's name %r is sent as %r: the platform would drop it"
                self._log.warning(text, device, name[:_SHOWN], instead[:_SHOWN])

    def _complain(self, name: str, error: Exception) -> None:
        """Log once per meter and type of error: its text may differ each time."""
        if (name, type(error)) not in self._complained:
            self._complained.add((name, type(error)))
            kind = type(error).__name__
            self._log.exception("%s: the converter failed: %s: %s", name, kind, error)

    def _tell_state(self, name: str, device_type: str, state: str, sentence: str) -> None:
        if state == ONLINE:
            self._announcing.put(partial(self._announcer.present, name, device_type))
        self.states.put(name, State(device_type, state, sentence))

    def _send_state(self, name: str, told: State) -> bool:
        values = {STATE.name: told.state, LAST_ERROR.name: told.sentence}
        taken = self._send(diagnostics.attributes(name, told.device_type, values))
        if told.state != ONLINE:
            self._announcing.put(partial(self._announcer.absent, name))
        return taken is not False


def _has_values(data: Any) -> bool:
    """Whether there is anything to send: the gateway logs an error for empty data."""
    if isinstance(data, dict):
        return bool(data.get("telemetry") or data.get("attributes"))
    return data is not None and bool(data.telemetry or data.attributes)


def _sentence(error: DlmsError | None) -> str:
    """Return an error with its hint; empty if there is none, to clear the last one."""
    if error is None:
        return ""
    return f"{error}; {error.hint}" if error.hint else str(error)
