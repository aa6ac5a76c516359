"""Frames to one server, and the frames from it among all that comes.

On a shared line, behind a converter or with an echo, much comes that is not for us. It changes
nothing, but it is counted and kept in part: if no answer comes, it is all that tells why.
"""

from __future__ import annotations

from dlms_connector.errors import LinkTimeoutError, ProtocolError
from dlms_connector.hints import Symptom, looks_like
from dlms_connector.protocol.datalink.addressing import is_broadcast, split_server_address
from dlms_connector.protocol.datalink.hdlc_frame import DISC, SNRM, Frame, FrameReader
from dlms_connector.protocol.datalink.hdlc_transfer import EXCHANGING
from dlms_connector.protocol.datalink.hdlc_unasked import UnaskedFrames
from dlms_connector.protocol.talk import Talk

# Bounds of one exchange.
_MOST_OCTETS = 1 << 20
_MOST_FRAMES = 4096
_MOST_KEPT = 64  # octets, for the message if no answer comes


class Reception:
    """What comes for one client from one server; addresses are encoded as on the line."""

    def __init__(self, client: bytes, server: bytes, unasked: UnaskedFrames) -> None:
        """With a broadcast address as `server`, frames of any server are for us."""
        self.client, self.server = client, server
        self._unasked = unasked
        self._reader = FrameReader()
        self._commands: list[Frame] = []  # the frames sent last
        self._echoes: list[Frame] = []  # those of them that may still come back
        #: Whether the line echoes what is sent.
        self.echoes = False
        self._octets = self._frames = 0
        self._stranger = ""  # another station that has answered us
        self._seen: Symptom | None = None  # what frames that are not for us were
        self._address = ""  # where they came from
        self._heard, self._came, self._asked = b"", 0, True  # what came after the last sending

    def begin(self, *, keep: bool = False) -> None:
        """Discard the rest of earlier exchanges; `keep` keeps frames that have arrived."""
        if not keep:
            self._reader.reset()
        self._octets = self._frames = 0
        self._stranger, self._seen = "", None
        self._heard, self._came, self._asked = b"", 0, True

    def next(self, commands: list[Frame], heard: bytes | None = None) -> Talk[Frame | None]:
        """Send frames, if any, and return the next frame for us; None is silence.

        With `heard` they were sent already, and this came. Raises ProtocolError on noise without
        an end.
        """
        if commands:
            self._commands, self._asked = commands, True
            self._echoes = list(commands) if self.echoes else []
            if heard is None:
                heard = yield b"".join(command.encode() for command in commands)
            data = heard
        elif (frame := self.waiting()) is not None:
            return frame
        else:
            data = yield b""
        while data:
            self.take(data)
            if (frame := self.waiting()) is not None:
                return frame
            data = yield b""
        self._reader.reset()
        return None

    def take(self, data: bytes) -> None:
        """Take octets that arrived. Raises ProtocolError if there are too many."""
        self._octets += len(data)
        self._keep(data)
        if self._octets > _MOST_OCTETS:
            raise _noise(f"{self._octets} octets without a complete reply")
        self._reader.feed(data)

    def waiting(self) -> Frame | None:
        """Return the next received frame for us, if there is one. Raises ProtocolError."""
        while (frame := self._reader.next()) is not None:
            self._frames += 1
            if self._frames > _MOST_FRAMES:
                raise _noise(f"{self._frames} frames without a complete reply")
            if self._unasked.takes(frame, self.server):
                continue
            if self._is_for_us(frame) and not self._is_echo(frame):
                return frame
            self._see(frame)
        return None

    def timeout(self, tries: int, silence: Symptom) -> LinkTimeoutError:
        """Return the error for no answer; `silence` is what it means if nothing came at all."""
        error = LinkTimeoutError(tries, self._octets, self._stranger)
        return error.showing(self._looked_like() or silence, address=self._address)

    def _keep(self, data: bytes) -> None:
        """Keep the first octets that came after the last sending."""
        if self._asked:
            self._heard, self._came, self._asked = b"", 0, False
        self._came += len(data)
        if (room := _MOST_KEPT - len(self._heard)) > 0:
            self._heard += data[:room]

    def _see(self, frame: Frame) -> None:
        """Note what a frame is that is not for us: it may be all that comes."""
        if frame in self._commands:
            self._seen = self._seen or Symptom.ECHO
        elif frame.destination != self.client:
            self._seen = Symptom.OTHERS_SESSION
        elif self._stranger:
            self._seen = Symptom.OTHER_SENDER

    def _is_for_us(self, frame: Frame) -> bool:
        if frame.destination != self.client:
            return False
        if frame.source == self.server or is_broadcast(self.server):
            return True
        # Some meters answer with another address size: four octets where two were used.
        theirs, ours = split_server_address(frame.source), split_server_address(self.server)
        if theirs != ours:
            self._stranger = "from logical address {} and physical address {}".format(*theirs)
            self._address = "logicalAddress {} and physicalAddress {}".format(*theirs)
        return theirs == ours

    def _is_echo(self, frame: Frame) -> bool:
        """Return whether this is an echo of our frame; needed if both addresses are equal.

        No server sends SNRM or DISC, so an echo of these shows that the line echoes all frames.
        """
        if frame.control in (SNRM, DISC) and frame in self._commands:
            self.echoes = True
            return True
        if frame in self._echoes:
            self._echoes.remove(frame)
            return True
        return False

    def _looked_like(self) -> Symptom | None:
        """Return what all of this exchange looked like; None if nothing came."""
        if self._seen:
            return self._seen
        if self._octets and not self._frames:
            sent = b"".join(command.encode() for command in self._commands)
            return looks_like(self._heard, "HDLC", sent, self._came)
        return Symptom.SLOW if self._octets else None


def _noise(problem: str) -> ProtocolError:
    return ProtocolError(EXCHANGING, problem).showing(Symptom.NOISE)
