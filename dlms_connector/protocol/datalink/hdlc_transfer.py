"""Exchange of one APDU in each direction over numbered HDLC frames, IEC 62056-46 clause 6.4.4.

Our frames carry N(S) and, as N(R), the number expected next. The meter's N(R) tells how many
of our frames have arrived. Only a frame that fits both numbers advances a transfer.
"""

from __future__ import annotations

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.datalink.hdlc_frame import (
    Frame,
    information_control,
    is_not_ready,
    is_ready,
    ready_control,
)
from dlms_connector.protocol.octets import is_text, shown

#: The LLC sublayer's octets before the first segment, IEC 62056-46 clause 5.3.2.
LLC_COMMAND = b"\xe6\xe6\x00"
LLC_RESPONSE = b"\xe6\xe7\x00"
#: Tags of the APDUs that some meters send without LLC octets: ConfirmedServiceError and
#: exception-response, which refuse a request as a whole.
BARE = (b"\x0e", b"\xd8")

EXCHANGING = "exchanging HDLC frames"

#: Control octet, information, and whether more segments follow.
Command = tuple[int, bytes, bool]

# An APDU has at most 65535 octets; ciphering adds some tens.
_LONGEST_APDU = 0x10000 + 256


class Transfer:
    """The state of one APDU to send and one to receive, by sequence numbers."""

    def __init__(
        self, segments: list[bytes], sent: int, expected: int, window: int, *,
        counted: bool = True, one_by_one: bool = False,
    ) -> None:  # fmt: skip
        """With `counted` the numbers of the meter's frames are used.

        `one_by_one` says that the meter sends one frame and waits, with the final bit or without.
        """
        self._one_by_one = one_by_one
        self._counted = counted
        #: The numbers of the last frame that did not fit, and of the one that was due.
        self.misnumbered = ""
        self.sent = sent  # V(S): the number of the first segment not acknowledged
        self.expected = expected  # V(R): the number of the frame to come
        self.complete = False
        self.polls = self.repeats = 0
        self.wants_pause = False
        self._segments = segments
        self._window = window
        self._outstanding = 0
        self._polled = False
        self._gap = False
        self._arrived = bytearray()

    def batch(self) -> list[Command]:
        """Return control, information and segmented bit of the segments to send now."""
        segments = self._segments[: self._window]
        self._outstanding = len(segments)
        self._polled = False
        commands = []
        for index, segment in enumerate(segments):
            number = (self.sent + index) & 7
            control = information_control(number, self.expected, poll=index + 1 == len(segments))
            commands.append((control, segment, index + 1 < len(self._segments)))
        return commands

    def again(self, *, repeatable: bool) -> list[Command]:
        """Return the frames to send after a timeout."""
        self.wants_pause = False
        return self.batch() if self._segments and repeatable else self._poll()

    def take(self, frame: Frame) -> list[Command]:
        """Process a frame of the meter; return the frames to send next."""
        self.wants_pause = False
        if not self._counted:
            frame = self._renumbered(frame)
        due = self.expected, (self.sent + self._outstanding) & 7
        commands = self._take(frame)
        if frame.is_information and self.expected == due[0]:
            self.misnumbered = (
                f"N(S) {frame.send_number}, N(R) {frame.receive_number} where "
                f"N(S) {due[0]}, N(R) {due[1]} was due"
            )
        return commands

    def _renumbered(self, frame: Frame) -> Frame:
        """Return a frame with the numbers that are due, for a meter that does not count."""
        acknowledging = (self.sent + self._outstanding) & 7
        if frame.is_information:
            control = information_control(self.expected, acknowledging, poll=frame.final)
        else:
            control = frame.control & 0x1F | acknowledging << 5
        is_numbered = frame.is_information or frame.control & 3 == 1
        return frame._replace(control=control) if is_numbered else frame

    def _take(self, frame: Frame) -> list[Command]:
        acknowledged = (frame.receive_number - self.sent) & 7
        if acknowledged > self._outstanding:
            return []
        if frame.is_information:
            # An answer acknowledges the whole request: other I frames are late, or echoes.
            if acknowledged < len(self._segments):
                return []
            self._acknowledge(acknowledged)
            return self._take_information(frame)
        if is_ready(frame.control) or is_not_ready(frame.control):
            return self._take_ready(frame, acknowledged)
        return []

    def add(self, information: bytes) -> None:
        """Add the next part of the reply; raises ProtocolError if it grows too long."""
        self._arrived += information
        if len(self._arrived) > _LONGEST_APDU:
            raise ProtocolError(EXCHANGING, f"a reply of more than {_LONGEST_APDU} octets")

    @property
    def beginning(self) -> bytes:
        """What has arrived of the APDU, without the LLC octets."""
        whole = self._arrived.startswith((LLC_RESPONSE, LLC_COMMAND))
        return bytes(self._arrived[len(LLC_RESPONSE) :]) if whole else b""

    def apdu(self) -> bytes:
        """Return the received APDU, without the LLC octets. Raises ProtocolError."""
        if self._arrived[:1] in BARE:
            return bytes(self._arrived)
        if not self._arrived.startswith((LLC_RESPONSE, LLC_COMMAND)):  # some write a command's
            raise ProtocolError(
                EXCHANGING,
                f"the reply begins {_beginning(bytes(self._arrived))} instead of e6 e7 00",
            )
        return bytes(self._arrived[len(LLC_RESPONSE) :])

    def _take_information(self, frame: Frame) -> list[Command]:
        ahead = (frame.send_number - self.expected) & 7
        if ahead == 0:
            self._gap = False
            self.expected = (self.expected + 1) & 7
            self.add(frame.information)
            self.complete = not frame.segmented
        elif ahead < 4:
            self._gap = True  # a frame of the window was lost
        elif not self._gap:
            return []  # a repetition of what has arrived
        if self.complete or not (frame.final or self._one_by_one):
            return []
        self.repeats += self._gap
        return self._poll()

    def _take_ready(self, frame: Frame, acknowledged: int) -> list[Command]:
        if not frame.final:
            return []
        # Without a poll before it, this is the late answer to a request sent twice.
        if self._segments and not acknowledged and not self._polled:
            return []
        self._acknowledge(acknowledged)
        if is_ready(frame.control) and self._segments:
            return self.batch()
        self.polls += 1
        self.wants_pause = True
        return self._poll()

    def _acknowledge(self, count: int) -> None:
        del self._segments[:count]
        self.sent = (self.sent + count) & 7
        self._outstanding -= count

    def _poll(self) -> list[Command]:
        """Poll for the next frame by RR; IEC 62056-46 has no REJ."""
        self._polled = True
        self._gap = False
        return [(ready_control(self.expected), b"", False)]


def _beginning(reply: bytes) -> str:
    return shown(reply) if is_text(reply) else reply[: len(LLC_RESPONSE)].hex(" ")
