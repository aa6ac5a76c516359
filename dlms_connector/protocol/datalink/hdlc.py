"""The HDLC data link of a client, IEC 62056-46: whole APDUs over a stream of octets.

We are the primary station in normal response mode: the meter sends only when polled
and finishes with the final bit. `Transfer` is the state of one request APDU and one
reply APDU. Each received frame advances it and decides the frames to send next, which
may be none. `Reception` gives the frames that are for us. What is not (foreign addresses,
echoes), and late replies, change nothing, so noise can at worst cause a repetition after the
timeout.
"""

from __future__ import annotations

from dataclasses import replace

from dlms_connector.errors import (
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
    OutOfStepError,
    ProtocolError,
    UnreadyError,
)
from dlms_connector.hints import Symptom
from dlms_connector.protocol.datalink.addressing import is_broadcast
from dlms_connector.protocol.datalink.hdlc_frame import (
    DISC,
    DM,
    FRMR,
    POLL_FINAL,
    SNRM,
    UA,
    UI,
    Frame,
    information_control,
)
from dlms_connector.protocol.datalink.hdlc_parameters import HdlcParameters
from dlms_connector.protocol.datalink.hdlc_reception import Reception
from dlms_connector.protocol.datalink.hdlc_refusals import (
    disconnected,
    misnumbered,
    refuse_unnumbered,
    rejection,
)
from dlms_connector.protocol.datalink.hdlc_transfer import (
    EXCHANGING,
    LLC_COMMAND,
    Command,
    Transfer,
)
from dlms_connector.protocol.datalink.hdlc_unasked import UnaskedFrames
from dlms_connector.protocol.datalink.hdlc_usual import apdu_of, frame
from dlms_connector.protocol.directive import Drain, Pause
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.talk import Talk

_MOST_POLLS = 200  # polls of a meter that has no answer yet
_MOST_MORE = 5  # polls for another answer, after a first one
_POLL_PAUSE_S = 0.05
_LONGEST_POLL_PAUSE_S = 0.5


class Hdlc:
    """One client's link to one server; addresses are encoded as on the line."""

    def __init__(
        self,
        client: bytes,
        server: bytes,
        *,
        retries: int = 2,
        proposal: HdlcParameters | None = None,
        skip_snrm: bool = False,
        counted: bool = True,
        unmarked: bool = False,
        remarks: Remarks | None = None,
    ) -> None:
        """Without `counted`, frames are taken in the order in which they come.

        `unmarked` says that only this order tells answers apart.
        """
        self._retries, self._unmarked = retries, unmarked
        self._proposal = proposal
        self._skip_snrm, self._counted = skip_snrm, counted
        self._reception = Reception(client, server, UnaskedFrames(remarks or Remarks()))
        self._usable = False
        self._linked = self._answered = False  # what the meter has done in this session
        self._sent = self._received = 0  # V(S) and V(R)
        self._set_up(HdlcParameters())

    def connect(self) -> Talk[None]:
        """Set the link up by SNRM; the UA decides the sizes.

        Raises RefusedError if the meter answers DM, LinkTimeoutError on silence.
        """
        self._begin()
        if self._skip_snrm:
            self._set_up(self._mirrored_proposal())
            return
        self._linked = self._answered = False
        doing = "opening the HDLC link"
        snrm = self._command(SNRM, self._proposal.encode() if self._proposal else b"")
        refusals = 0
        for _ in range(self._retries + 1):
            frame = yield from self._reply(snrm, (UA, DM), doing)
            if frame and frame.control == UA:
                if is_broadcast(self._reception.server):
                    self._reception.server = frame.source
                self._set_up(HdlcParameters.decode(frame.information))
                self._linked = True
                return
            # A first DM may be the late answer to an earlier DISC.
            refusals += frame is not None
            if refusals == 2:
                break
        if refusals:
            raise disconnected(doing)
        raise self._timeout(self._retries + 1)

    def disconnect(self) -> Talk[bool]:
        """Send DISC; return whether there was a session: UA says so, DM that there was none.

        Raises LinkTimeoutError on silence; DISC is sent only once.
        """
        self._begin()
        frame = yield from self._reply(self._command(DISC), (UA, DM), "closing the HDLC link")
        if frame is None:
            raise self._timeout(1)
        return frame.control == UA

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU, in segments if needed, and return the answer.

        After a timeout the request is repeated. A request that is not `repeatable` is repeated
        only if the meter reports that it did not receive it. Raises LinkTimeoutError and
        ProtocolError, such as OutOfStepError if an answer before this one may have been to another
        request; after any, the link must be set up again.
        """
        size, heard = self._sizes.info_receive, None
        if self._is_usual and len(LLC_COMMAND) + len(apdu) <= size:
            reception, self._usable = self._reception, False
            reception.begin()
            sent, received = self._sent, self._received
            control = information_control(sent, received, poll=True)
            heard = yield frame(reception.server, reception.client, control, apdu)
            sent, received = (sent + 1) & 7, (received + 1) & 7
            due = information_control(self._received, sent, poll=True)
            answer = apdu_of(heard, reception.client, reception.server, due)
            if answer is not None:
                self._sent, self._received = sent, received
                self._usable = self._answered = True
                return answer
            self._usable = True
        data = LLC_COMMAND + apdu
        segments = [data[at : at + size] for at in range(0, len(data), size)]
        return (yield from self._transfer(segments, repeatable=repeatable, heard=heard))

    def receive(self) -> Talk[bytes]:
        """Return the next APDU the meter sends, polling for it after a timeout.

        Raises LinkTimeoutError, also if the meter answers the polls but has no APDU.
        """
        return (yield from self._transfer([], repeatable=True, most_polls=_MOST_MORE))

    def _transfer(
        self,
        segments: list[bytes],
        *,
        repeatable: bool,
        most_polls: int = _MOST_POLLS,
        heard: bytes | None = None,
    ) -> Talk[bytes]:
        """Carry out a transfer; with `heard`, its first frame was sent, and this came."""
        if not self._usable:
            raise ProtocolError(EXCHANGING, "the link is not set up, or failed before")
        if segments:
            yield from self._expect_nothing()
        self._begin()
        window = self._sizes.window_receive
        # A meter that does not count its frames may not set their final bit either: with a window
        # of one, a part of its reply waits to be acknowledged.
        one_by_one = not self._counted and self._sizes.window_transmit == 1
        transfer = Transfer(
            segments, self._sent, self._received, window,
            counted=self._counted, one_by_one=one_by_one,
        )  # fmt: skip
        try:
            yield from self._complete(
                transfer, repeatable=repeatable, most_polls=most_polls, heard=heard
            )
        except LinkError as error:
            error.arrived = transfer.beginning
            if isinstance(error, LinkClosedError) and transfer.misnumbered:
                raise misnumbered(transfer.misnumbered) from error  # it says more
            raise
        apdu = transfer.apdu()
        self._answered = True
        self._sent, self._received = transfer.sent, transfer.expected
        self._usable = True
        return apdu

    def _complete(
        self, transfer: Transfer, *, repeatable: bool, most_polls: int, heard: bytes | None
    ) -> Talk[None]:
        """Exchange frames until the reply is there. Raises LinkError."""
        # Without numbers, the answer to a repetition could not be told from that to what follows.
        retries = self._retries if self._counted else 0
        frame = yield from self._reception.next(self._frames_of(transfer.batch()), heard)
        silences = 0
        while True:
            if frame is None:
                silences += 1
                if silences > retries:
                    numbers = transfer.misnumbered
                    raise misnumbered(numbers) if numbers else self._timeout(silences)
                commands = transfer.again(repeatable=repeatable)
            else:
                before = transfer.sent, transfer.expected
                commands = self._taken(transfer, frame)
                if (transfer.sent, transfer.expected) != before:
                    silences = transfer.repeats = 0  # each segment has its own tries
                    transfer.polls = int(transfer.wants_pause)
            if transfer.complete:
                break
            if transfer.wants_pause:
                yield from self._rest(transfer.polls, most_polls)
            if transfer.repeats > retries:
                raise misnumbered(transfer.misnumbered)
            frame = yield from self._reception.next(self._frames_of(commands))

    def _taken(self, transfer: Transfer, frame: Frame) -> list[Command]:
        """Process a frame, and what came with it; return the frames to send next.

        Some meters set the final bit in each part of a reply and do not wait for us: what we
        would ask for is there. Raises LinkError if it is a refusal.
        """
        refuse_unnumbered(frame)
        commands = transfer.take(frame)
        while frame.is_information and not transfer.complete:
            following = self._reception.waiting()
            if following is None:
                break
            frame = following
            refuse_unnumbered(frame)
            commands = transfer.take(frame) or commands
        return commands

    @property
    def _is_usual(self) -> bool:
        """Whether the next exchange may go as usual: it is counted, and no echo is expected."""
        return self._usable and self._counted and not self._reception.echoes

    def _mirrored_proposal(self) -> HdlcParameters:
        """Return our proposal as seen by the meter, in place of a UA."""
        ours = self._proposal or HdlcParameters()
        return HdlcParameters(
            info_transmit=ours.info_receive,
            info_receive=ours.info_transmit,
            window_transmit=ours.window_receive,
            window_receive=ours.window_transmit,
        )

    def _set_up(self, sizes: HdlcParameters) -> None:
        """Begin a session; where our proposal is smaller than the meter's value, ours is used."""
        self._sizes = sizes  # as the meter sees them: what it receives, we send
        if ours := self._proposal:
            self._sizes = replace(
                sizes,
                info_receive=min(sizes.info_receive, ours.info_transmit),
                window_receive=min(sizes.window_receive, ours.window_transmit),
            )
        self._sent = self._received = 0
        self._usable = True

    def _expect_nothing(self) -> Talk[None]:
        """Raise OutOfStepError if an answer has arrived before its request, and nothing marks it.

        Then the one that was taken before may have been to an earlier request.
        """
        if not self._unmarked:
            return
        self._usable = False
        self._reception.take((yield Drain()))
        while (frame := self._reception.waiting()) is not None:
            if frame.is_information or frame.control | POLL_FINAL == UI:
                raise OutOfStepError(EXCHANGING)

    def _begin(self, *, keep: bool = False) -> None:
        """Begin an exchange; the link is unusable until this one succeeds."""
        self._usable = False
        self._reception.begin(keep=keep)

    def _command(self, control: int, information: bytes = b"") -> Frame:
        return Frame(self._reception.server, self._reception.client, control, information)

    def _frames_of(self, commands: list[Command]) -> list[Frame]:
        server, client = self._reception.server, self._reception.client
        return [Frame(server, client, *command) for command in commands]

    def _reply(self, command: Frame, wanted: tuple[int, ...], doing: str) -> Talk[Frame | None]:
        """Send an unnumbered command and return a wanted reply; None is silence.

        Late frames of an earlier session are ignored. Raises ProtocolError on FRMR.
        """
        frame = yield from self._reception.next([command])
        while frame is not None:
            control = frame.control | POLL_FINAL
            if control in wanted:
                return frame._replace(control=control)
            if control == FRMR:
                raise rejection(doing, frame.information)
            frame = yield from self._reception.next([])
        return None

    def _timeout(self, tries: int) -> LinkTimeoutError:
        if self._answered:
            silence = Symptom.SILENCE_IN_SESSION
        else:
            silence = Symptom.SILENCE_TO_ASSOCIATION if self._linked else Symptom.SILENCE
        return self._reception.timeout(tries, silence)

    def _rest(self, polls: int, most: int) -> Talk[None]:
        """Give a busy meter time before it is polled again."""
        if polls > most == _MOST_MORE:
            raise self._timeout(polls)
        pauses = [min(n * _POLL_PAUSE_S, _LONGEST_POLL_PAUSE_S) for n in range(1, polls + 1)]
        if polls > most:
            raise UnreadyError(sum(pauses))
        data = yield Pause(pauses[-1], waited_s=sum(pauses))
        if data:
            self._reception.take(data)
