"""The trace of one meter's conversations: frames of both directions, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from logging import Logger

from dlms_connector.tracing.apdus import described
from dlms_connector.tracing.frames import (
    WRAPPER_HEADER,
    Frame,
    Hdlc,
    Splitter,
    hdlc,
    with_info,
)
from dlms_connector.tracing.redaction import Redactor
from dlms_connector.tracing.writers import Writer

#: Largest size of all files of a trace together.
MOST_OCTETS = 20_000_000
#: Frames that wait for the last segment of an APDU; more are written with fillers.
_MOST_WAITING = 2000
#: Before the APDU in HDLC (IEC 62056-46): command, response.
_LLC = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")


@dataclass(slots=True)
class _Entry:
    at_ms: int
    outgoing: bool
    frame: Frame
    fields: Hdlc | None = None
    told: str = ""
    octets: bytes = b""
    ready: bool = False
    #: A repetition has the content of what it repeats.
    repeats: _Entry | None = None
    info: bytes = b""


@dataclass(slots=True)
class _Side:
    splitter: Splitter = field(default_factory=Splitter)
    segments: list[_Entry] = field(default_factory=list)


class Trace:
    """A tap: give it the octets as they are sent and received, and close it.

    It never raises: a trace that cannot be written ends, and says so in the log. `everything`
    leaves the frames as they are, but for the values in `secrets`.
    """

    def __init__(
        self,
        name: str,
        writers: Sequence[Writer],
        *,
        now_ms: Callable[[], int],
        log: Logger,
        secrets: Iterable[bytes] = (),
        everything: bool = False,
        most: int = MOST_OCTETS,
        apdu: Callable[[bool, bytes], None] = lambda outgoing, octets: None,
    ) -> None:
        """`apdu` gets each whole APDU, redacted, and whether it was sent to the meter."""
        self._name, self._writers, self._now_ms, self._log = name, writers, now_ms, log
        self._redactor = Redactor(secrets, everything=everything)
        self._most, self._written, self._apdu = most, 0, apdu
        self._sides = {True: _Side(), False: _Side()}
        self._queue: deque[_Entry] = deque()
        self.is_open = True
        what = "keys" if everything else "secrets and identities"
        self._guarded(lambda: self._note(f"trace of {name}; {what} are replaced by *"))

    def sent(self, data: bytes) -> None:
        """Note what is sent to the meter."""
        self._guarded(lambda: self._took(True, data))

    def received(self, data: bytes) -> None:
        """Note what has arrived from the meter."""
        self._guarded(lambda: self._took(False, data))

    def close(self) -> None:
        """Write what is waiting and close the files; allowed repeatedly."""
        self._guarded(self._finish)
        self._end()

    def _guarded(self, work: Callable[[], None]) -> None:
        if not self.is_open:
            return
        try:
            work()
        except OSError as error:
            self._log.warning("%s: the trace cannot be written and ends: %s", self._name, error)
            self._end()
        except Exception:  # what is only looked at must not cost a poll
            self._log.exception("%s: a fault of the connector: the trace ends", self._name)
            self._end()

    def _end(self) -> None:
        self.is_open = False
        for writer in self._writers:
            try:
                writer.close()
            except OSError as error:
                self._log.warning("%s: the trace may lack its end: %s", self._name, error)

    def _finish(self) -> None:
        for outgoing in (True, False):
            for frame in self._sides[outgoing].splitter.rest():
                self._frame(outgoing, frame)
        self._give_up()
        self._note("the trace ends")

    def _took(self, outgoing: bool, data: bytes) -> None:
        other = self._sides[not outgoing]
        if outgoing:  # what has not become a frame by now will not
            for frame in other.splitter.rest():
                self._frame(False, frame)
        for frame in self._sides[outgoing].splitter.feed(data):
            self._frame(outgoing, frame)
        if outgoing:
            for frame in self._sides[True].splitter.rest():
                self._frame(True, frame)
        if len(self._queue) > _MOST_WAITING:
            self._give_up()
        self._flush()

    def _frame(self, outgoing: bool, frame: Frame) -> None:
        entry = _Entry(self._now_ms(), outgoing, frame, octets=frame.octets)
        self._queue.append(entry)
        if frame.kind == "hdlc":
            entry.fields = hdlc(frame.octets)
        if entry.fields is not None:
            self._hdlc(entry, entry.fields)
            return
        entry.ready = True
        if frame.kind == "wrapper" and frame.whole:
            head, apdu = frame.octets[:WRAPPER_HEADER], frame.octets[WRAPPER_HEADER:]
            source, destination = (int.from_bytes(head[at : at + 2], "big") for at in (2, 4))
            entry.told = f"wrapper {source} > {destination}, {len(apdu)} octets, {described(apdu)}"
            shown = self._redactor.apdu(apdu)
            entry.octets = head + shown
            self._apdu(outgoing, shown)
        elif frame.kind == "text":
            entry.octets = self._redactor.text(frame.octets)
            entry.told = f"text {_readable(entry.octets)}"
        else:
            part = "" if frame.whole else "part of a frame, "
            entry.told = f"{part}{len(frame.octets)} octets that are no frame"
            entry.octets = self._redactor.unclear(frame.octets)

    def _hdlc(self, entry: _Entry, fields: Hdlc) -> None:
        side = self._sides[entry.outgoing]
        entry.told = fields.described()
        if not fields.check_ok:  # a known secret may begin in what looks like the header
            octets = self._redactor.unclear(entry.frame.octets, len(entry.frame.octets))
            entry.frame = replace(entry.frame, octets=octets)
        entry.info = entry.frame.octets[fields.start : fields.end]
        if not fields.is_information or not entry.info:
            # Parameters of SNRM and UA are no secret; damage may have made such a frame of another.
            keep = len(entry.info) if fields.check_ok else 0
            self._settle(entry, self._redactor.unclear(entry.info, keep))
            return
        if not fields.check_ok:
            self._hide([entry])
            return
        last = side.segments[-1] if side.segments else None
        if last and last.fields and last.fields.sequence == fields.sequence is not None:
            entry.repeats = last
            return
        side.segments.append(entry)
        if not fields.segmented:
            segments, side.segments = side.segments, []
            self._whole(segments)

    def _whole(self, segments: list[_Entry]) -> None:
        """Describe and redact an APDU, and give its segments their parts again."""
        joined = b"".join(entry.info for entry in segments)
        if joined[:3] not in _LLC:
            self._hide(segments)
            return
        apdu = joined[3:]
        segments[-1].told += f", {described(apdu)}"
        shown = joined[:3] + self._redactor.apdu(apdu)
        self._apdu(segments[0].outgoing, shown[3:])
        at = 0
        for entry in segments:
            part, at = shown[at : at + len(entry.info)], at + len(entry.info)
            self._settle(entry, part)

    def _hide(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            entry.told += ", not whole"
            self._settle(entry, self._redactor.unclear(entry.info, 0))

    def _settle(self, entry: _Entry, info: bytes) -> None:
        if entry.fields is not None:
            entry.octets = with_info(entry.frame.octets, entry.fields, info)
        entry.info, entry.ready = info, True

    def _give_up(self) -> None:
        for side in self._sides.values():
            segments, side.segments = side.segments, []
            self._hide(segments)
        self._flush()

    def _flush(self) -> None:
        while self._queue and self.is_open:
            entry = self._queue[0]
            before = entry.repeats
            if before is not None and before.ready and entry.fields:
                same = len(before.info) == len(entry.info)
                entry.told += ", repeated"
                self._settle(entry, before.info if same else b"*" * len(entry.info))
            if not entry.ready:
                return
            self._queue.popleft()
            for writer in self._writers:
                self._written += writer.frame(
                    entry.at_ms, entry.outgoing, entry.frame.kind, entry.octets, entry.told
                )
            if self._written >= self._most:
                self._note(f"the trace ends at its largest size, {self._most} octets")
                self._end()

    def _note(self, text: str) -> None:
        for writer in self._writers:
            writer.note(self._now_ms(), text)


def _readable(octets: bytes) -> str:
    """Return a text with its control characters escaped, without parity bits."""
    text = "".join(chr(octet & 0x7F) for octet in octets)
    return repr(text)
