"""Application associations, client's side: opened, used and closed over a data link."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from dlms_connector.config.model import Dlms, Workarounds
from dlms_connector.errors import DlmsError, ProtocolError
from dlms_connector.protocol.acse import (
    AARE,
    RLRE,
    RLRQ,
    Aare,
    Aarq,
    Context,
    Diagnostic,
    Mechanism,
    Result,
    encode_release,
    parse_release,
)
from dlms_connector.protocol.conformance import LN_SERVICES, SN_SERVICES
from dlms_connector.protocol.diagnosis import OPENING, refusal, refusal_of
from dlms_connector.protocol.initiate import (
    CONFIRMED_SERVICE_ERROR,
    DLMS_VERSION,
    LEAST_PDU,
    InitiateRequest,
    InitiateResponse,
    describe_service_error,
)
from dlms_connector.protocol.talk import DataLink, Talk


class InvocationCounter(Protocol):
    """Numbers for ciphered APDUs, each given out once in the life of a key."""

    def next(self) -> int:
        """Give out the next number; it is safe from being given out again after a crash."""
        ...

    def resync(self, value: int) -> None:
        """Go on from `value` if that is higher: the meter expects it."""
        ...


@dataclass(frozen=True)
class Negotiated:
    """What was agreed: services by name, and the octets that the meter can receive in a PDU."""

    conformance: frozenset[str]
    max_pdu: int
    dlms_version: int
    server_system_title: bytes | None


class Association:
    """One association, client's side; `open` may be called again after a `close` or a failure."""

    def __init__(
        self, dlms: Dlms, workarounds: Workarounds, counter: InvocationCounter | None
    ) -> None:
        self._dlms = dlms
        self._workarounds = workarounds
        self._counter = counter

    def open(self, datalink: DataLink) -> Talk[Negotiated]:
        """Ask for the association and prove who is who.

        Raises RefusedError when the meter will not have it, ProtocolError when its
        answer makes no sense.
        """
        reply = yield from datalink.exchange(self._aarq().encode())
        return self._accepted(self._read_aare(reply))

    def close(self, datalink: DataLink) -> Talk[None]:
        """Release the association where that is the custom; a failed goodbye is no error."""
        if self._releases:
            with suppress(DlmsError):
                reply = yield from datalink.exchange(encode_release(RLRQ))
                parse_release(reply, RLRE)

    def protect(self, apdu: bytes) -> bytes:
        """Turn a plain request into what goes to the data link."""
        return apdu

    def unprotect(self, apdu: bytes) -> bytes:
        """Turn what came from the data link into a plain reply. Raises SecurityError."""
        return apdu

    @property
    def _releases(self) -> bool:
        """Over HDLC the DISC ends the association too, and some meters know no RLRQ."""
        if self._workarounds.release == "auto":
            return self._dlms.interface_type == "WRAPPER"
        return self._workarounds.release == "always"

    @property
    def _context(self) -> Context:
        return Context.LN if self._dlms.referencing == "LN" else Context.SN

    def _aarq(self) -> Aarq:
        mechanism = Mechanism[self._dlms.authentication]
        return Aarq(
            context=self._context,
            user_information=self._initiate().encode(),
            mechanism=mechanism or None,
            authentication=self._dlms.password or b"" if mechanism else None,
        )

    def _initiate(self) -> InitiateRequest:
        services = LN_SERVICES if self._dlms.referencing == "LN" else SN_SERVICES
        return InitiateRequest(services, self._workarounds.max_pdu)

    def _read_aare(self, reply: bytes) -> Aare:
        if not reply or reply[0] != AARE:
            if reply[:1] == bytes([CONFIRMED_SERVICE_ERROR]):
                raise refusal(describe_service_error(reply))
            raise ProtocolError(OPENING, f"{reply[:16].hex(' ')} came instead of an AARE")
        return Aare.parse(reply)

    def _accepted(self, aare: Aare) -> Negotiated:
        information = aare.user_information
        service_error = None
        if information and information[0] == CONFIRMED_SERVICE_ERROR:
            service_error = describe_service_error(information)
        required = aare.diagnostic == Diagnostic.AUTHENTICATION_REQUIRED and not aare.by_provider
        if aare.result != Result.ACCEPTED or service_error or required:
            raise refusal_of(aare, ciphered=False, service_error=service_error)
        if aare.context != self._context:
            raise ProtocolError(OPENING, f"asked for context {self._context}, got {aare.context}")
        if information is None:
            raise ProtocolError(OPENING, "the AARE accepts but tells nothing of the xDLMS context")
        return self._negotiated(InitiateResponse.parse(information), aare.title)

    def _negotiated(self, response: InitiateResponse, title: bytes | None) -> Negotiated:
        if response.dlms_version < DLMS_VERSION:
            raise refusal(f"the meter speaks DLMS version {response.dlms_version}, not 6")
        if 0 < response.max_pdu < LEAST_PDU:
            raise ProtocolError(OPENING, f"no service fits in a PDU of {response.max_pdu} octets")
        proposed = self._initiate().conformance
        return Negotiated(
            conformance=response.conformance & proposed,
            max_pdu=response.max_pdu or 0xFFFF,
            dlms_version=response.dlms_version,
            server_system_title=title,
        )
