"""One probe of one address, sans-IO, and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dlms_connector.config import Dlms, Workarounds
from dlms_connector.discovery.candidates import Candidate, Server
from dlms_connector.errors import (
    LinkClosedError,
    LinkTimeoutError,
    ProtocolError,
    RefusedError,
)
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
#: `noise`: bytes that are not a frame. `closed`: the peer closed the connection.
Kind = Literal["accepted", "refused", "noise", "silence", "closed"]

#: Part of the diagnostic of a meter that wants the other referencing, or ciphering.
WRONG_CONTEXT = "application-context-name"
#: Part of the diagnostic of a meter that does not know the client.
NOT_RECOGNIZED = "calling-AP-title-not-recognized"

_MOST_NOISE = 32
_REFUSALS = {DM: "the meter is in disconnected mode (DM)", FRMR: "the meter rejects frames (FRMR)"}
_ANSWERS = (UA, DM, FRMR)


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
    sizes: HdlcParameters | None = None
    baudrate: int | None = None

    @property
    def answered(self) -> bool:
        """Whether a DLMS server answered."""
        return self.kind in ("accepted", "refused")

    @property
    def is_decisive(self) -> bool:
        """Whether a refusal shows that the client is right, and what else is required."""
        return WRONG_CONTEXT in self.detail or "authentication" in self.detail


def located(interface_of: Candidate, client: int, server: bytes) -> Candidate:
    """Return the candidate for addresses on the line; the usual address size is left out."""
    logical, physical = split_server_address(server)
    usual = server_address(logical, physical) == server
    place = Server(logical, physical, None if usual else len(server))
    return replace(interface_of, client=client, server=place)


def knock(candidate: Candidate) -> Talk[Attempt]:
    """Send SNRM without parameters; return the answer and its address."""
    frame = Frame(candidate.octets, client_address(candidate.client), SNRM)
    return (yield from _ask(candidate, frame))


def leave(attempt: Attempt) -> Talk[Attempt]:
    """Send DISC to the address that answered, else to the probed one; return the answer."""
    target = attempt.found or attempt.candidate
    frame = Frame(target.octets, client_address(target.client), DISC)
    return (yield from _ask(target, frame))


def _ask(candidate: Candidate, command: Frame) -> Talk[Attempt]:
    reader = FrameReader()
    received = b""
    data = yield command.encode()
    while data:
        received = (received + data)[-4096:]
        reader.feed(data)
        while (frame := reader.next()) is not None:
            control = frame.control | POLL_FINAL
            # Some lines echo our own frames: those are commands, not responses.
            if control in _ANSWERS and len(frame.destination) == 1:
                return _heard(candidate, frame, control)
        data = yield b""
    noise = received.replace(command.encode(), b"")[:_MOST_NOISE]
    return Attempt(candidate=candidate, kind="noise" if noise else "silence", noise=noise)


def _heard(candidate: Candidate, frame: Frame, control: int) -> Attempt:
    found = located(candidate, frame.destination[0] >> 1, frame.source)
    if control == UA:
        sizes = HdlcParameters.decode(frame.information)
        return Attempt(candidate=candidate, kind="accepted", found=found, sizes=sizes)
    return Attempt(candidate=candidate, kind="refused", found=found, detail=_REFUSALS[control])


class _OpenEars:
    """The wrapper, but any address may answer: a slow meter may answer the probe before."""

    def __init__(self, client: int, server: int) -> None:
        self.heard = (server, client)
        self.received = b""
        self._sends = (client, server)

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send once; return the first APDU from any address."""
        reader = wrapper.WrapperReader()
        data = yield wrapper.encode(*self._sends, apdu)
        while data:
            self.received = (self.received + data)[:4096]
            reader.feed(data)
            if (frame := reader.next()) is not None:
                *addresses, reply = frame
                self.heard = (addresses[0], addresses[1])
                self._sends = (addresses[1], addresses[0])
                return reply
            data = yield b""
        raise LinkTimeoutError(1, len(self.received))

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


def greet(candidate: Candidate, referencing: Literal["LN", "SN"] = "LN") -> Talk[Attempt]:
    """Ask for an association without authentication over the wrapper, and release it again."""
    dlms = Dlms(
        interface_type="WRAPPER",
        referencing=referencing,
        client_address=candidate.client,
        logical_address=candidate.server.logical,
    )
    association = Association(dlms, Workarounds(), None)
    line = _OpenEars(candidate.client, candidate.server.logical)
    try:
        yield from association.open(line)
    except LinkTimeoutError:
        noise = line.received[:_MOST_NOISE]
        return Attempt(candidate=candidate, kind="noise" if noise else "silence", noise=noise)
    except RefusedError as error:
        found = _from(candidate, line.heard)
        return Attempt(
            candidate=candidate, kind="refused", found=found,
            detail=error.diagnostic, hint=error.hint,
        )  # fmt: skip
    except LinkClosedError:
        return Attempt(candidate=candidate, kind="closed")
    except ProtocolError as error:
        noise = line.received[:_MOST_NOISE]
        return Attempt(candidate=candidate, kind="noise", noise=noise, detail=str(error))
    yield from association.close(line)
    return Attempt(candidate=candidate, kind="accepted", found=_from(candidate, line.heard))


def _from(candidate: Candidate, heard: tuple[int, int]) -> Candidate:
    server, client = heard
    return replace(candidate, client=client, server=Server(server))
