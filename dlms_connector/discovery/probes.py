"""One probe of one address, sans-IO, and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.discovery.candidates import (
    BYTE_ORDER,
    CLEAR_FIRST,
    PARAMETERS,
    Candidate,
    Referencing,
    Server,
)
from dlms_connector.errors import (
    DlmsError,
    LinkClosedError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
)
from dlms_connector.hints import Symptom, looks_like
from dlms_connector.protocol.acse import AARE
from dlms_connector.protocol.association import Association
from dlms_connector.protocol.datalink import (
    DISC,
    DM,
    FRMR,
    POLL_FINAL,
    SNRM,
    UA,
    Frame,
    FrameReader,
    HdlcParameters,
    client_address,
    server_address,
    split_server_address,
    wrapper,
)
from dlms_connector.protocol.talk import Talk

#: `accepted`: UA, or an AARE that accepts. `refused`: DM, FRMR, or an AARE that rejects.
#: `noise`: bytes that are not a frame. `closed`: the peer closed the connection. `foreign`: a
#: valid frame, but of another client's session.
Kind = Literal["accepted", "refused", "noise", "silence", "closed", "foreign"]

#: Part of the diagnostic of a meter that wants the other referencing, or ciphering.
WRONG_CONTEXT = "application-context-name"
#: Part of the diagnostic of a meter that does not know the client.
NOT_RECOGNIZED = "calling-AP-title-not-recognized"

#: What a meter says that may mind only the referencing: nothing else was checked.
_MINDS = (WRONG_CONTEXT, "application context", "exception:", "DLMS version")

#: Part of what is said of a meter that accepts, but names the other application context.
_NAMES_OTHER = "the meter names application context"
#: `wrapperByteOrder` by the orders of our header and of the meter's. Else it is the usual one.
_BYTE_ORDERS = {("little", "little"): "little", ("big", "little"): "littleReplies"}

_MOST_NOISE = 32
#: Octets after which a peer that never ends is no meter.
_MOST_OCTETS = 1 << 14
_REFUSALS = {DM: "the meter is in disconnected mode (DM)", FRMR: "the meter rejects frames (FRMR)"}
_ANSWERS, _COMMANDS = (UA, DM, FRMR), (SNRM, DISC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A probe and its result.

    `found` is the address that answered. It may differ from the probed one (broadcasts, late
    answers). `noise` is the beginning of bytes that are not a frame.
    """

    candidate: Candidate
    kind: Kind
    found: Candidate | None = None
    detail: str = ""
    hint: str = ""
    noise: bytes = b""
    #: What came instead of an answer looks like.
    symptom: Symptom | None = None
    sizes: HdlcParameters | None = None
    baudrate: int | None = None

    @property
    def answered(self) -> bool:
        """Whether a DLMS server answered."""
        return self.kind in ("accepted", "refused")

    @property
    def minds_referencing(self) -> bool:
        """Whether the other referencing (LN or SN) may be accepted."""
        return self.kind == "refused" and _minds(self.detail)

    @property
    def is_decisive(self) -> bool:
        """Whether a refusal shows that the client is right, and what else is required."""
        decisive = (WRONG_CONTEXT, _NAMES_OTHER, "authentication")
        return any(words in self.detail for words in decisive)


def minds_referencing(error: DlmsError) -> bool:
    """Whether a failed association says that the other referencing may be accepted."""
    if isinstance(error, LinkTimeoutError | LinkClosedError):
        return False
    return _minds(str(error))


def names_other_names(error: DlmsError) -> bool:
    """Whether the meter's AARE names the other referencing, though it may accept."""
    return isinstance(error, ProtocolError) and Symptom.OTHER_NAMES in error.symptoms


def _minds(said: str) -> bool:
    return any(words in said for words in _MINDS)


def located(interface_of: Candidate, client: int, server: bytes) -> Candidate:
    """Return the candidate for addresses on the line; the usual address size is left out."""
    logical, physical = split_server_address(server)
    usual = server_address(logical, physical) == server
    place = Server(logical, physical, None if usual else len(server))
    return replace(interface_of, client=client, server=place)


def knock(candidate: Candidate) -> Talk[Attempt]:
    """Send SNRM, with parameters and behind DISC if needed; return the answer and its address."""
    if candidate.need(CLEAR_FIRST):
        yield from leave(Attempt(candidate=candidate, kind="silence"))
    window = candidate.need(PARAMETERS)
    parameters = HdlcParameters(window_receive=window).encode() if window else b""
    frame = Frame(candidate.octets, client_address(candidate.client), SNRM, parameters)
    return (yield from _ask(candidate, frame))


def leave(attempt: Attempt) -> Talk[Attempt]:
    """Send DISC to the address that answered, else to the probed one; return the answer."""
    target = (attempt.found if attempt.answered else None) or attempt.candidate
    frame = Frame(target.octets, client_address(target.client), DISC)
    return (yield from _ask(target, frame))


def _ask(candidate: Candidate, command: Frame) -> Talk[Attempt]:
    reader = FrameReader()
    received, octets = b"", 0
    stray: Attempt | None = None
    data = yield command.encode()
    while data and octets < _MOST_OCTETS:
        octets += len(data)
        received = (received + data)[-4096:]
        reader.feed(data)
        while (frame := reader.next()) is not None:
            if frame == command:  # some lines echo
                continue
            heard = _heard(candidate, frame)
            if heard.answered and frame.destination == command.source:
                return heard
            stray = _better(stray, heard)
        data = yield b""
    if stray is not None:
        return stray
    return _unanswered(candidate, received, looks_like(received, "HDLC", command.encode(), octets))


def _unanswered(candidate: Candidate, received: bytes, symptom: Symptom) -> Attempt:
    """Return what came instead of an answer, if anything came beside our own echo."""
    if symptom in (Symptom.SILENCE, Symptom.ECHO):
        return Attempt(candidate=candidate, kind="silence", symptom=symptom)
    noise = received[:_MOST_NOISE]
    return Attempt(candidate=candidate, kind="noise", noise=noise, symptom=symptom)


def _better(stray: Attempt | None, heard: Attempt) -> Attempt:
    """Return which of two frames that are not for us to keep: an answer, else the first."""
    return heard if stray is None or (heard.answered and not stray.answered) else stray


def _heard(candidate: Candidate, frame: Frame) -> Attempt:
    """Return what a frame tells: an answer to SNRM or DISC, or that others are talking."""
    control = frame.control | POLL_FINAL
    is_command = len(frame.destination) > 1 or control in _COMMANDS
    if is_command:
        found = located(candidate, frame.source[0] >> 1, frame.destination)
    else:
        found = located(candidate, frame.destination[0] >> 1, frame.source)
    if is_command or control not in _ANSWERS:
        way = f"from client {found.client}" if is_command else f"for client {found.client}"
        return Attempt(candidate=candidate, kind="foreign", found=found, detail=way)
    if control == UA:
        sizes = HdlcParameters.decode(frame.information)
        return Attempt(candidate=candidate, kind="accepted", found=found, sizes=sizes)
    return Attempt(candidate=candidate, kind="refused", found=found, detail=_REFUSALS[control])


def foreign(attempt: Attempt) -> Attempt:
    """Return an answer to a client that never asked as what it is: another's session."""
    client = attempt.found.client if attempt.found else 0
    return replace(attempt, kind="foreign", detail=f"for client {client}")


class _OpenEars:
    """The wrapper, but any address may answer: a slow meter may answer the probe before.

    And headers are understood in both byte orders, whatever that of ours is.
    """

    def __init__(self, client: int, server: int, order: wrapper.Order) -> None:
        self.order = self.heard_order = order
        self.heard = (server, client)
        self.sent = self.received = self.reply = b""
        self._sends = (client, server)

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send once; return the first APDU from any address."""
        orders: tuple[wrapper.Order, ...] = ("big", "little")
        readers = {order: wrapper.WrapperReader(order=order) for order in orders}
        self.sent = wrapper.encode(*self._sends, apdu, self.order)
        data = yield self.sent
        while data:
            self.received = (self.received + data)[:4096]
            for order, reader in readers.items():
                reader.feed(data)
                if (frame := reader.next()) is not None:
                    self.heard_order = order
                    return self._take(*frame)
            data = yield b""
        raise LinkTimeoutError(1, len(self.received))

    def _take(self, source: int, destination: int, reply: bytes) -> bytes:
        self.heard, self._sends = (source, destination), (destination, source)
        self.reply = reply
        return reply

    def receive(self) -> Talk[bytes]:
        """Return nothing: unsolicited APDUs are not expected here."""
        yield from ()
        return b""

    def connect(self) -> Talk[None]:
        """Do nothing."""
        yield from ()

    def disconnect(self) -> Talk[None]:
        """Do nothing."""
        yield from ()


def greet(candidate: Candidate) -> Talk[Attempt]:
    """Ask for an association without authentication over the wrapper, and release it again."""
    dlms = Dlms(
        interface_type="WRAPPER",
        referencing=candidate.referencing,
        client_address=candidate.client,
        logical_address=candidate.server.logical,
    )
    association = Association(dlms, Workarounds(), None)
    order: wrapper.Order = "little" if candidate.need(BYTE_ORDER) == "little" else "big"
    line = _OpenEars(candidate.client, candidate.server.logical, order)
    try:
        yield from association.open(line)
    except LinkTimeoutError:
        return _unanswered(
            candidate, line.received, looks_like(line.received, "WRAPPER", line.sent)
        )
    except RefusedError as error:
        return _refused(candidate, line, error.diagnostic, error.hint)
    except LinkClosedError:
        return Attempt(candidate=candidate, kind="closed")
    except ProtocolError as error:
        if line.reply:
            if line.reply[0] == AARE:  # it may have accepted all the same
                yield from association.close(line)
            return _answered_oddly(candidate, line, error)
        unread = _unanswered(candidate, line.received, looks_like(line.received, "WRAPPER"))
        return replace(unread, detail=str(error))
    found = _from(candidate, line)
    yield from association.close(line)
    return Attempt(candidate=candidate, kind="accepted", found=found)


def _answered_oddly(candidate: Candidate, line: _OpenEars, error: ProtocolError) -> Attempt:
    """Return what a valid frame tells whose APDU does not answer an AARQ."""
    client = line.heard[1]
    if line.reply[0] != AARE and client != candidate.client:
        found = _from(candidate, line)
        return Attempt(
            candidate=candidate, kind="foreign", found=found, detail=f"for client {client}"
        )
    refused = _refused(candidate, line, error.problem, error.hint)
    if refused.found is not None and names_other_names(error):
        return replace(refused, found=replace(refused.found, referencing=_other(candidate)))
    return refused


def _refused(candidate: Candidate, line: _OpenEars, detail: str, hint: str) -> Attempt:
    found = _from(candidate, line)
    return Attempt(candidate=candidate, kind="refused", found=found, detail=detail, hint=hint)


def _other(candidate: Candidate) -> Referencing:
    return "SN" if candidate.referencing == "LN" else "LN"


def _from(candidate: Candidate, line: _OpenEars) -> Candidate:
    """Return the address that answered, with the byte order that it needs."""
    server, client = line.heard
    order = _BYTE_ORDERS.get((line.order, line.heard_order))
    found = replace(candidate, client=client, server=Server(server), needs=())
    return found.needing({BYTE_ORDER: order}) if order else found
