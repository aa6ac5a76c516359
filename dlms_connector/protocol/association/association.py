"""Application associations, client's side: opened, used and closed over a data link."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TypeVar

from dlms_connector.config import Dlms, Secret, Workarounds
from dlms_connector.errors import (
    CounterError,
    DlmsError,
    LinkTimeoutError,
    ProtocolError,
    SecurityError,
)
from dlms_connector.protocol.acse import (
    AARE,
    CONFIRMED_SERVICE_ERROR,
    DLMS_VERSION,
    LN_SERVICES,
    RLRE,
    RLRQ,
    SN_SERVICES,
    Aare,
    Aarq,
    Context,
    Diagnostic,
    InitiateRequest,
    InitiateResponse,
    Mechanism,
    Result,
    describe_service_error,
    encode_release,
    mend_sealed,
    parse_release,
    read_aare,
    read_initiate_response,
)
from dlms_connector.protocol.association.agreement import (
    Negotiated,
    check_context,
    check_mechanism,
    mechanism_quirk,
    negotiated_of,
    offered_pdu,
    title_of,
)
from dlms_connector.protocol.association.diagnosis import OPENING, refusal, refusal_of, unexpected
from dlms_connector.protocol.association.hls_exchange import (
    encode_answer,
    encode_written_answer,
    parse_answer,
)
from dlms_connector.protocol.remarks import Remarks
from dlms_connector.protocol.security import (
    EXCEPTION_RESPONSE,
    TITLED,
    Challenges,
    CountUp,
    Handshake,
    InvocationCounter,
    MessageSecurity,
    Side,
    check_counter_error,
    read_credentials,
)
from dlms_connector.protocol.services import LATE, Listening, exchange
from dlms_connector.protocol.talk import DataLink, Talk

T = TypeVar("T")

#: The invoke-id of pass 3, unless a fixed one is configured.
_INVOKE_ID = 1

#: The challenges that all associations of this process sent to their meters.
_CHALLENGES = Challenges()


class Association:
    """One association, client's side; `open` may be called again after a `close` or a failure."""

    def __init__(
        self,
        dlms: Dlms,
        workarounds: Workarounds,
        counter: InvocationCounter | None,
        remarks: Remarks | None = None,
    ) -> None:
        """Without `counter`, use one that starts at 1 and is not stored (for a single run).

        Raises ConfigError if keys, system titles or passwords are missing or malformed.
        """
        self._dlms = dlms
        self._workarounds = workarounds
        self._remarks = remarks or Remarks()
        self._counter = counter or CountUp()
        self._credentials = read_credentials(dlms, workarounds)
        self._mechanism = Mechanism[dlms.authentication]
        self._security = MessageSecurity(dlms, workarounds, self._credentials, self._counter)
        self._challenge = b""
        self._dedicated_key: Secret | None = None

    @property
    def ciphered(self) -> bool:
        """Whether APDUs carry an invocation counter, so that sending one twice is a replay."""
        return self._security.ciphered

    def open(self, datalink: DataLink) -> Talk[Negotiated]:
        """Open the association, with HLS authentication of both sides if configured.

        Raises RefusedError if the meter refuses, SecurityError if the meter fails to
        authenticate itself, CounterError if it wants a higher invocation counter even
        after ours was raised, ProtocolError if its answer is invalid.
        """
        self._begin()
        if self._workarounds.pre_established:
            return self._pre_established()
        try:
            aare = yield from self._ask(datalink)
        except CounterError as error:
            self._security.raise_counter(error)
            aare = yield from self._ask(datalink)
        negotiated = self._accepted(aare)
        if self._mechanism > Mechanism.LOW:
            yield from self._authenticate(datalink, aare, negotiated)
        return negotiated

    def close(self, datalink: DataLink) -> Talk[None]:
        """Release the association if an RLRQ is to be sent; a failed release is no error."""
        if not self._releases:
            return
        with suppress(DlmsError):
            information = self._user_information() if self.ciphered else None
            rlrq = encode_release(RLRQ, user_information=information)
            reply = yield from self._exchange(datalink, rlrq, RLRE)
            parse_release(reply, RLRE)

    def protect(self, apdu: bytes) -> bytes:
        """Turn a plain request into the APDU for the data link."""
        return self._security.protect(apdu)

    def unprotect(self, apdu: bytes) -> bytes:
        """Turn an APDU from the data link into a plain reply.

        Errors that a meter can only send in clear are returned unchanged. Raises
        SecurityError if the reply cannot be trusted. Raises CounterError if the meter
        wants a higher counter; ours has been raised: open the association again.
        """
        return self._security.unprotect(apdu)

    @property
    def _releases(self) -> bool:
        """Whether to send an RLRQ: over HDLC a DISC is enough, and some meters know no RLRQ."""
        if self._workarounds.release == "auto":
            wanted = self._dlms.interface_type == "WRAPPER" or self.ciphered
            return wanted and not self._workarounds.pre_established
        return self._workarounds.release == "always"

    @property
    def _context(self) -> Context:
        context = Context.LN if self._dlms.referencing == "LN" else Context.SN
        return Context(context + 2) if self.ciphered else context

    @property
    def _proposed(self) -> frozenset[str]:
        services = LN_SERVICES if self._dlms.referencing == "LN" else SN_SERVICES
        general = {"general-protection"} if self._dlms.general_ciphering else frozenset[str]()
        access = {"access"} if self._workarounds.use_access else frozenset[str]()
        return services | general | access

    def _begin(self) -> None:
        """Discard the state of an earlier association; draw a new challenge and dedicated key."""
        self._challenge = _CHALLENGES.draw(self._workarounds.challenge_size)
        proves = self._mechanism > Mechanism.LOW and not self._workarounds.pre_established
        self._dedicated_key = self._security.begin(
            fresh=proves or self._workarounds.server_counter_restarts
        )

    def _pre_established(self) -> Negotiated:
        """Return our own proposal as the negotiated values: no AARQ is sent."""
        title = self._dlms.server_system_title
        self._security.know(title)
        self._security.agree(
            general=self._dlms.general_ciphering, dedicated=self._dlms.dedicated_key, lasting=True
        )
        return Negotiated(self._proposed, self._workarounds.max_pdu, DLMS_VERSION, title)

    def _ask(self, datalink: DataLink) -> Talk[Aare]:
        reply = yield from self._exchange(datalink, self._aarq().encode(), AARE)
        if reply[:1] == bytes([AARE]):
            return self._noting(read_aare(reply))
        if reply[:1] == bytes([EXCEPTION_RESPONSE]):
            check_counter_error(reply)
        raise unexpected(reply)

    def _noting(self, read: tuple[T, str]) -> T:
        """Return what was read; tell the quirk that was met in reading it."""
        found, quirk = read
        if quirk:
            self._remarks.quirk(quirk)
        return found

    def _exchange(self, datalink: DataLink, apdu: bytes, answer: int) -> Talk[bytes]:
        """Send an AARQ or RLRQ; return what comes, without late answers to other requests."""
        # HDLC discards late answers itself, and begins to count anew with each association.
        late = LATE - {answer} if self._dlms.interface_type == "WRAPPER" else frozenset()
        repeatable = not self.ciphered and (answer == RLRE or self._mechanism <= Mechanism.LOW)
        return (
            yield from exchange(
                datalink,
                apdu,
                repeatable=repeatable,
                remarks=self._remarks,
                ignoring=lambda reply: bool(reply) and reply[0] in late,
            )
        )

    def _aarq(self) -> Aarq:
        proof: bytes | None = None
        if self._mechanism:
            low = self._mechanism is Mechanism.LOW
            proof = self._credentials.secret if low else self._challenge
        titled = self._security.titled or self._mechanism in TITLED
        return Aarq(
            context=self._context,
            user_information=self._user_information(),
            mechanism=self._mechanism or None,
            authentication=proof,
            title=self._dlms.system_title if titled else None,
        )

    def _user_information(self) -> bytes:
        longest = offered_pdu(self._dlms, self._workarounds)
        request = InitiateRequest(self._proposed, longest, self._dedicated_key)
        return self._security.cipher_initiate(request.encode())

    def _accepted(self, aare: Aare) -> Negotiated:
        """Return the negotiated values; raise the error if the meter does not accept."""
        information = aare.user_information
        required = aare.diagnostic == Diagnostic.AUTHENTICATION_REQUIRED and not aare.by_provider
        unproved = required and self._mechanism <= Mechanism.LOW
        if aare.result != Result.ACCEPTED or unproved:
            raise refusal_of(aare, self._context)
        check_context(self._context, aare.context)
        self._noting((aare, mechanism_quirk(self._mechanism, aare)))
        titled = self._security.titled or self._mechanism in TITLED
        title = (
            title_of(aare, self._dlms) if titled else aare.title or self._dlms.server_system_title
        )
        if information is None:
            raise ProtocolError(OPENING, "the AARE accepts but tells nothing of the xDLMS context")
        self._security.know(title)
        plain = self._security.decipher(self._noting(mend_sealed(information)))
        if plain[:1] == bytes([CONFIRMED_SERVICE_ERROR]):
            raise refusal(describe_service_error(plain))
        return self._negotiated(self._noting(read_initiate_response(plain)), title)

    def _negotiated(self, response: InitiateResponse, title: bytes | None) -> Negotiated:
        negotiated = negotiated_of(response, self._proposed, title)
        self._security.agree(
            general="general-protection" in negotiated.conformance, dedicated=self._dedicated_key
        )
        return negotiated

    def _authenticate(self, datalink: DataLink, aare: Aare, negotiated: Negotiated) -> Talk[None]:
        """Run passes 3 and 4 of HLS; before that, the meter is not authenticated."""
        check_mechanism(self._mechanism, aare)
        assert aare.challenge is not None
        handshake = Handshake(
            self._mechanism,
            self._credentials,
            Side(self._dlms.system_title or b"", self._challenge),
            Side(negotiated.server_system_title or b"", aare.challenge),
        )
        if _CHALLENGES.holds(self._mechanism, aare.challenge):
            raise SecurityError(OPENING, "it asks us what we asked somebody else")
        fixed = self._workarounds.fixed_invoke_id
        invoke_id = _INVOKE_ID if fixed is None else fixed
        referencing = self._dlms.referencing
        request = encode_answer(referencing, handshake.answer(self._counter), invoke_id)
        reply = yield from self._prove(datalink, request)
        if referencing == "SN" and reply[:1] == bytes([EXCEPTION_RESPONSE]):
            request = encode_written_answer(handshake.answer(self._counter))
            reply = yield from self._prove(datalink, request)
        answer = parse_answer(referencing, reply, invoke_id)
        handshake.verify(answer)
        self._counter.confirm()

    def _prove(self, datalink: DataLink, request: bytes) -> Talk[bytes]:
        """Send our answer to the meter's challenge; return the plain reply."""
        sealed = self._security.protect(request, proving=True)
        unprotect = partial(self._security.unprotect, proving=True)
        listening = Listening(datalink, self._remarks, unprotect)
        try:
            reply = yield from datalink.exchange(sealed, repeatable=False)
            return (yield from listening.next(reply))
        except LinkTimeoutError as silence:
            raise listening.doubt or silence from None
