"""The wrapper of IEC 62056-47 as the data link of a client: frames on TCP and UDP."""

from __future__ import annotations

from dlms_connector.errors import LinkError, LinkTimeoutError, OutOfStepError, ProtocolError
from dlms_connector.hints import Symptom, looks_like
from dlms_connector.protocol.datalink.wrapper_reader import (
    EXCHANGING,
    VERSION,
    Expected,
    Order,
    WrapperReader,
    encode,
)
from dlms_connector.protocol.directive import Drain
from dlms_connector.protocol.octets import shown
from dlms_connector.protocol.remarks import UNASKED, Remarks
from dlms_connector.protocol.talk import Talk

__all__ = ["VERSION", "Order", "Wrapper", "WrapperReader", "encode"]

_MOST_STRANGERS = 256  # frames of other wPorts within one exchange
#: Answers to requests within an association, which an invoke-id would tell apart.
_MARKED = frozenset(bytes((tag,)) for tag in b"\x0c\x0d\xc4\xc5\xc7\xda")


class Wrapper:
    """One client's link to one server on TCP or UDP; addresses are wPorts.

    `datagrams` says that what arrives at once is one datagram, which holds whole frames.
    `sends` and `expects` are the orders of octets in the headers of both directions.
    `unmarked` means that no invoke-id tells answers apart, but only their order.
    """

    def __init__(
        self,
        client: int,
        server: int,
        *,
        retries: int = 2,
        datagrams: bool = False,
        sends: Order = "big",
        expects: Order = "big",
        remarks: Remarks | None = None,
        unmarked: bool = False,
    ) -> None:
        self._client = client
        self._server = server
        self._retries = retries
        self._datagrams = datagrams
        self._sends = sends
        self._expected = Expected(server, client, expects)
        self._reader = WrapperReader(self._expected)
        self._received = self._strangers = 0
        self._remarks = remarks or Remarks()
        self._unmarked = unmarked
        self._answer = b""
        #: APDUs that arrived behind an answer.
        self._behind: list[bytes] = []
        self._stranger = ""  # the last of them
        self._seen: Symptom | None = None  # what it was
        self._from = 0  # its wPort

    def connect(self) -> Talk[None]:
        """Start with a fresh stream: the wrapper itself has no session."""
        self._reader, self._behind, self._answer = WrapperReader(self._expected), [], b""
        yield from ()

    def disconnect(self) -> Talk[None]:
        """Do nothing: the wrapper itself has no session."""
        yield from ()

    def exchange(self, apdu: bytes, *, repeatable: bool = True) -> Talk[bytes]:
        """Send an APDU and return the next one from the meter.

        After a timeout a `repeatable` request is sent again. The answers to both may then
        arrive, and only the caller can match them to requests (by invoke-id).
        Raises LinkTimeoutError, ProtocolError, and OutOfStepError if an answer before this one
        may have been to another request.
        """
        frame = encode(self._client, self._server, apdu, self._sends)
        heard = None
        if self._is_usual:
            heard = yield frame
            if (answer := self._reader.whole(heard)) is not None:
                return answer
        else:
            yield from self._discard()
        tries = 1 + (self._retries if repeatable else 0)
        answer = yield from self._ask(frame, tries, heard)
        self._answer = yield from self._last(answer, self._answer)
        return self._answer

    def receive(self) -> Talk[bytes]:
        """Return the next APDU from the meter without sending."""
        return (yield from self._ask(b"", 1))

    @property
    def _is_usual(self) -> bool:
        """Whether nothing has arrived yet, and invoke-ids tell answers apart."""
        return not self._unmarked and not self._behind and self._reader.is_fresh

    def _discard(self) -> Talk[None]:
        """Discard what arrived before the request, and so is no answer to it.

        Raises OutOfStepError on one more answer to the request before.
        """
        self._strangers = 0
        if self._unmarked:
            self._feed((yield Drain()))
        while (apdu := self._next()) is not None:
            if apdu[:1] in UNASKED:
                self._remarks.unasked(apdu)
            elif self._unmarked and apdu[:1] == self._answer[:1] and apdu[:1] in _MARKED:
                raise OutOfStepError(EXCHANGING)
        self._reader.forget()  # also a frame that has begun

    def _last(self, answer: bytes, before: bytes) -> Talk[bytes]:
        """Return the last answer of this kind that has arrived: the ones before it are late.

        Raises OutOfStepError if one of them is not what was taken `before`: then it was the
        answer to that request.
        """
        if self._unmarked and answer[:1] in _MARKED:
            self._feed((yield Drain()))
            arrived = [answer, *iter(self._arrived, None)]
            self._behind += [apdu for apdu in arrived if apdu[:1] != answer[:1]]
            *late, answer = [apdu for apdu in arrived if apdu[:1] == answer[:1]]
            if before[:1] == answer[:1] and any(apdu != before for apdu in late):
                raise OutOfStepError(EXCHANGING)
        return answer

    def _ask(self, frame: bytes, tries: int, heard: bytes | None = None) -> Talk[bytes]:
        """Return the next APDU for us; with `heard`, the frame was sent, and this came."""
        self._received = self._strangers = 0
        self._stranger, self._seen = "", None
        if not frame and (apdu := self._next()) is not None:
            return apdu
        for tried in range(1, tries + 1):
            try:
                apdu = yield from self._listen(frame, heard)
                heard = None
                if apdu is None and self._reader.begun:
                    apdu = yield from self._rest(tried)
            except LinkError as error:
                error.arrived = self._reader.beginning
                raise
            if apdu is not None:
                return apdu
        if noise := self._reader.noise:
            raise _no_frame(noise)
        raise self._timeout(tries)

    def _timeout(self, tries: int) -> LinkTimeoutError:
        symptom = self._seen
        if symptom is None and not self._received and self._answer:
            symptom = Symptom.SILENCE_IN_SESSION
        error = LinkTimeoutError(tries, self._received, self._stranger, symptom)
        return error.showing(*error.symptoms, address=f"logicalAddress {self._from}")

    def _listen(self, frame: bytes, heard: bytes | None = None) -> Talk[bytes | None]:
        """Send, and return the next APDU for us; None is silence."""
        data = heard
        if data is None:
            data = yield frame
        while data:
            self._received += len(data)
            if not self._behind and (whole := self._reader.whole(data)) is not None:
                return whole
            self._feed(data)
            if (apdu := self._next()) is not None:
                return apdu
            data = yield b""
        if self._datagrams:
            self._reader.reset()
        return None

    def _feed(self, data: bytes) -> None:
        """Take octets that arrived; with each datagram a frame begins."""
        if data and self._datagrams:
            self._reader.reset()
        self._reader.feed(data)

    def _rest(self, tried: int) -> Talk[bytes]:
        """Wait for the rest of a frame while it comes; raises LinkTimeoutError.

        Nothing is asked meanwhile: the answer to a repetition would complete the frame.
        """
        for _ in range(self._retries + 1):
            before = self._received
            if (apdu := (yield from self._listen(b""))) is not None:
                return apdu
            if self._received == before:
                break
        error = LinkTimeoutError(tried, self._received, self._stranger, Symptom.CUT_SHORT)
        error.begun = True
        raise error

    def _next(self) -> bytes | None:
        """Return the next received APDU for us, if there is one."""
        return self._behind.pop(0) if self._behind else self._arrived()

    def _arrived(self) -> bytes | None:
        """Return the next APDU for us from the stream, if there is one."""
        while (frame := self._reader.next()) is not None:
            source, destination, apdu = frame
            if (source, destination) == (self._server, self._client):
                return apdu
            if source == self._server:  # for another client: no answer to us
                self._remarks.unasked(apdu)
            self._strangers += 1
            self._stranger = (
                f"from wPort {source} to {destination} instead of from {self._server} "
                f"to {self._client}"
            )
            self._seen, self._from = self._met(source, destination), source
            if self._strangers > _MOST_STRANGERS:
                raise ProtocolError(
                    EXCHANGING, f"{self._strangers} frames of others, the last {self._stranger}"
                ).showing(Symptom.OTHERS_SESSION)
        return None

    def _met(self, source: int, destination: int) -> Symptom:
        """Return what a frame with these addresses is, which is not for us."""
        if (source, destination) == (self._client, self._server):
            return Symptom.ECHO
        return Symptom.OTHER_SENDER if destination == self._client else Symptom.OTHERS_SESSION


def _no_frame(noise: bytes) -> ProtocolError:
    version = VERSION.to_bytes(2, "big").hex(" ")
    return ProtocolError(
        EXCHANGING, f"{shown(noise)} came instead of a frame, which begins {version} (the version)"
    ).showing(looks_like(noise, "WRAPPER"))
