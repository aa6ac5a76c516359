"""Takes pushed APDUs: opens them, finds their device, and hands over what they say.

A value is taken only from a push that is whole and, where keys are agreed, verified and new. What
cannot be taken is told once, and costs nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, ProtocolError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.interpret import ScalerUnit
from dlms_connector.protocol.notifications import (
    GENERAL_BLOCK_TRANSFER,
    Blocks,
    Envelope,
    Notification,
    confirmation,
    envelope,
    parse,
)
from dlms_connector.push.caller import DOING, Caller, Taken, UnknownMeterError
from dlms_connector.push.directory import Directory, Opened, Pusher
from dlms_connector.push.layout import UnmappedError, found_in
from dlms_connector.push.made import Made
from dlms_connector.push.mapping import Found, Place, texts_of
from dlms_connector.push.moments import moment_of_push
from dlms_connector.push.news import News
from dlms_connector.push.readings import readings_of
from dlms_connector.reading import Poll
from dlms_connector.state import PushedCounters

#: Senders behind one caller whose blocks are joined at the same time.
_MOST_SENDERS = 64
#: Octets that those blocks may have together.
_MOST_HELD = 1 << 18
#: The logical device name (IEC 62056-6-2).
_LOGICAL_DEVICE_NAME = b"\x2a\x00\x00"

State = Literal["online", "offline"]


class Sink(Protocol):
    """Receiver of readings and states. Called in the loop's thread; must not block or raise."""

    def polled(self, device: Device, poll: Poll) -> None:
        """Take what a meter said."""
        ...

    def state(self, device: Device, state: State, error: DlmsError | None) -> None:
        """Take the state of a meter that only pushes."""
        ...


class Receiver:
    """Takes the pushes of all meters; used in the loop's thread.

    `adopt` gets a device that was made by a rule, and returns whether it may be used.
    `known_scaler` returns what a meter told of an object when it was polled. `unlisted` is called
    with the name of a polled device whose push setup would tell what its pushes mean.
    """

    def __init__(
        self,
        devices: Iterable[Device],
        sink: Sink,
        log: logging.Logger,
        *,
        counters: PushedCounters,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
        adopt: Callable[[Device], bool] = lambda device: False,
        known_scaler: Callable[[str, AttributeRef], ScalerUnit | None] = lambda name, ref: None,
        unlisted: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._directory = Directory(devices)
        self._sink, self._log = sink, log
        self._counters, self._now_ms, self._clock = counters, now_ms, clock
        self._known_scaler, self._unlisted = known_scaler, unlisted
        self._made = Made(self._directory, adopt, log)
        self._news = News(log, clock)
        self._lists: dict[str, Sequence[Place]] = {}
        #: When each meter that only pushes was heard last, in seconds of `clock`.
        self.heard: dict[str, float] = {}
        self._states: dict[str, State] = {}
        #: Notifications that were taken, and that were refused.
        self.counts = {"taken": 0, "refused": 0}

    def change(self, devices: Sequence[Device]) -> None:
        """Take the pushes of these devices from now on, and of those that were made by rule."""
        before = [pusher.device for pusher in self._directory]
        self._directory.change(devices)
        for device in self._made.settle():
            if device.device_name not in self._directory:  # else its state is the other's now
                error = ProtocolError(DOING, "another device of the configuration has its marks")
                self._sink.state(device, "offline", error)
        for device in before:
            now = self._directory.named(name := device.device_name)
            if now is None or (now.device is not device and now.device != device):
                for each in (self._lists, self.heard, self._states):
                    each.pop(name, None)

    def take(self, apdu: bytes, caller: Caller, source: bytes = b"") -> Taken:
        """Take an APDU from a frame with this source address; never raises."""
        try:
            whole = self._joined(apdu, caller, source)
            if whole is None:
                return Taken(waits=True)
            taken = self._take(whole, caller)
            self.counts["taken"] += 1
            return taken
        except DlmsError as error:
            self._refuse(error, caller)
        except Exception as error:
            self._news.tell(caller.name, "fault", f"a fault of the connector: {error!r}")
            self._log.debug("a push could not be taken", exc_info=True)
        self.counts["refused"] += 1
        return Taken()

    def knows(self, device_name: str) -> bool:
        """Whether there is a device of this name."""
        return device_name in self._directory

    def state(self, device_name: str) -> State | None:
        """Return the state of a meter that only pushes; None before its first push."""
        return self._states.get(device_name)

    def listed(self, device_name: str, places: Sequence[Place]) -> None:
        """Note the objects that a meter's push setup lists, read in an association."""
        self._lists[device_name] = places

    def silent(self, now: float) -> None:
        """Tell the meters that only push, and have not for longer than they may."""
        for pusher in self._directory:
            device = pusher.device
            limit_ms, since = device.push.silent_after_ms, self.heard.get(device.device_name)
            if limit_ms is None or since is None or now - since < limit_ms / 1000:
                continue
            del self.heard[device.device_name]
            error = ProtocolError("waiting for a push", f"none came for {limit_ms / 1000:g} s")
            error.showing(Symptom.PUSH_SILENCE)
            self._enter(device, "offline", error)

    def _joined(self, apdu: bytes, caller: Caller, source: bytes) -> bytes | None:
        if apdu[:1] != bytes((GENERAL_BLOCK_TRANSFER,)):
            return apdu
        blocks = caller.blocks.pop(source, None) or Blocks()
        whole = blocks.add(apdu)
        if blocks.begun:
            caller.blocks[source] = blocks
            while len(caller.blocks) > _MOST_SENDERS or caller.held > _MOST_HELD:
                del caller.blocks[next(iter(caller.blocks))]
        return whole

    def _take(self, apdu: bytes, caller: Caller) -> Taken:
        if (sealed := envelope(apdu)) is not None:
            pusher, notification = self._open(sealed, caller)
            answer = b""  # it would have to be ciphered with a counter of ours
        else:
            notification = parse(apdu)
            pusher = self._sender(notification, found_in(notification), caller)
            if pusher.least:
                raise SecurityError(
                    DOING, f"{pusher.device.device_name} pushes in clear where ciphering is agreed"
                )
            answer = confirmation(notification.invoke_id) if notification.invoke_id else b""
        self._deliver(pusher, notification)
        return Taken(pusher.device, answer if caller.answers else b"")

    # Who sent it

    def _open(self, sealed: Envelope, caller: Caller) -> tuple[Pusher, Notification]:
        """Return the sender of a ciphered push and what it says, verified and new."""
        title = sealed.title
        pusher = self._directory.named(caller.device) if caller.device else None
        if pusher is None:
            pusher = self._directory.by_title(title) if title else None
        elif title and pusher.title not in (None, title):
            raise SecurityError(DOING, f"sent by {title.hex()} instead of the meter there")
        if pusher is None and (title is None or not caller.rule):
            pusher = self._directory.by_peer(caller.peer)
            if pusher and title and pusher.title not in (None, title):
                pusher = None
        made = pusher is None
        if pusher is None:
            pusher = self._made.prototype(caller, title)
        if (title := title or pusher.title) is None:
            raise SecurityError(DOING, "it does not tell the sender's system title: "
                                "set push.systemTitle")  # fmt: skip
        opened = pusher.open(sealed, title)
        sender = self._check_new(opened, pusher, title)
        notification = parse(opened.unsealed.plain)
        if made:
            pusher = self._made.by_title(caller, title)
        # Only now: what was not authenticated shows by its meaning that the key was right.
        self._counters.note(sender, opened.unsealed.counter)
        return pusher, notification

    def _check_new(self, opened: Opened, pusher: Pusher, title: bytes) -> str:
        sender, number = self._counters.sender(title, opened.key), opened.unsealed.counter
        last = self._counters.highest(sender)
        if number <= last and not pusher.device.workarounds.server_counter_restarts:
            error = SecurityError(DOING, f"invocation counter {number} after {last}: a repetition")
            raise error.showing(Symptom.PUSH_REPEATED)
        return sender

    def _sender(self, notification: Notification, found: Sequence[Found], caller: Caller) -> Pusher:
        """Return who sent a push in clear."""
        directory = self._directory
        if caller.device and (pusher := directory.named(caller.device)):
            return pusher
        bodies = [notification.body] if notification.body else [data for _, data in
                                                              notification.attributes]  # fmt: skip
        texts = [text for body in bodies for text in texts_of(body)]
        pusher = directory.by_text(texts) or directory.by_peer(caller.peer)
        if pusher is not None:
            return pusher
        name = next((one.data.value for one in found if _is_device_name(one)), None)
        text = name.strip(b"\0 ").decode("ascii", "replace") if isinstance(name, bytes) else ""
        return self._made.in_clear(caller, text)

    # What it says

    def _deliver(self, pusher: Pusher, notification: Notification) -> None:
        device, now_ms = pusher.device, self._now_ms()
        name = device.device_name
        self._is_heard(device)
        try:
            found = found_in(notification, device, self._lists.get(name))
        except UnmappedError as error:
            if device.is_polled and name not in self._lists:
                self._unlisted(name)
            self._news.tell(name, "unmapped", str(error), error.hint)
            return
        ts_ms, sure = moment_of_push(notification, found, device, now_ms)
        poll = readings_of(
            device, found, ts_ms, sure=sure, known=lambda ref: self._known_scaler(name, ref)
        )
        for failure in poll.failures:
            self._news.tell(
                name,
                f"object {failure.obis}",
                f"{failure.key}: {failure.error}",
                failure.error.hint,
            )
        if poll.readings:
            self._sink.polled(device, Poll(readings=poll.readings))

    def _is_heard(self, device: Device) -> None:
        if device.is_polled:
            return
        news = device.device_name not in self.heard
        self.heard[device.device_name] = self._clock()
        if news:
            self._enter(device, "online", None)

    def _enter(self, device: Device, state: State, error: DlmsError | None) -> None:
        self._states[device.device_name] = state
        self._sink.state(device, state, error)

    def _refuse(self, error: DlmsError, caller: Caller) -> None:
        cause = error.told if isinstance(error, UnknownMeterError) else type(error).__name__
        self._news.tell(caller.name, cause, str(error), error.hint)


def _is_device_name(one: Found) -> bool:
    octets = one.place.obis.octets
    return octets[0] == 0 and octets[2:5] == _LOGICAL_DEVICE_NAME and one.place.attribute == 2
