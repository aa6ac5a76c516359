"""One client's application association with one meter: APDU in, APDU out."""

from __future__ import annotations

from dataclasses import replace

from dlms_connector.simulator.encoding import acse
from dlms_connector.simulator.encoding.data import MalformedError
from dlms_connector.simulator.encoding.exceptions import (
    NOT_ALLOWED,
    NOT_POSSIBLE,
    NOT_SUPPORTED,
    OTHER,
    SERVICE_UNKNOWN,
    exception,
)
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects import Role
from dlms_connector.simulator.options import CONFORMANCE_BITS
from dlms_connector.simulator.security import (
    GENERAL_SIGNING,
    Protection,
    RejectedError,
    Wrapping,
    is_proof,
    make_proof,
    open_signed,
    seal_signed,
)
from dlms_connector.simulator.services import handshake
from dlms_connector.simulator.services.access import AccessService
from dlms_connector.simulator.services.action_service import ACTION_RESPONSE
from dlms_connector.simulator.services.get_service import GET_RESPONSE
from dlms_connector.simulator.services.grant import Grant, NotOfferedError, WithheldError
from dlms_connector.simulator.services.logical_names import LogicalNameServices
from dlms_connector.simulator.services.set_service import SET_RESPONSE
from dlms_connector.simulator.services.short_names import ShortNameServices

Services = LogicalNameServices | AccessService | ShortNameServices

_SERVICE_RESPONSES = (GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE)
_SMALLEST_PDU = 12
_TITLE = 8
_ENCRYPTED = 0x20
_RESPONSE_LLC = b"\xe6\xe7\x00"
#: Octets that ciphering adds: tags, lengths, system title, control octet, counter, GCM tag.
_CIPHERING_OVERHEAD = 31


class Session:
    """The association of one connection; `closing` asks for the connection to be closed."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._client = -1
        self._services: Services | None = None
        self._pending: handshake.Pending | None = None
        self._protection: Protection | None = None
        self._conformance = 0
        self.closing = False

    @property
    def associated(self) -> bool:
        """Whether a client is associated; true also while its HLS proof is pending."""
        return self._services is not None

    def end(self) -> None:
        """End the association."""
        if self._services is not None:
            self._meter.association_held = False
        self._services = self._pending = self._protection = None

    def answer(self, apdu: bytes, client: int) -> bytes | None:
        """Answer an APDU of a client; return None to send nothing."""
        if client != self._client:
            self.end()
            self._client = client
        try:
            reply = self._answer(apdu) if apdu else None
            twice = reply and "llc-twice" in self._meter.faults
            return _RESPONSE_LLC + reply if reply and twice else reply
        except WithheldError as withheld:
            self.closing |= withheld.closes
            return None
        except MalformedError:
            return exception(SERVICE_UNKNOWN, OTHER)
        except RejectedError as rejected:
            return rejected.reply

    def _answer(self, apdu: bytes) -> bytes | None:
        if apdu[0] == acse.AARQ:
            return self._associate(apdu)
        if apdu[0] == acse.RLRQ:
            return self._release(apdu)
        if self._services is None and self._meter.options.pre_established:
            self._pre_establish()
        if self._services is None:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        if apdu[0] == GENERAL_SIGNING:
            content, signed = open_signed(self._meter, apdu)
            reply = self._request(self._services, content, signed=True)
            return seal_signed(self._meter, reply, signed)
        return self._request(self._services, apdu, signed=False)

    def _request(self, services: Services, apdu: bytes, *, signed: bool) -> bytes:
        """Serve a request; its signature may be outside or inside the ciphering."""
        plain, wrapping = self._open(apdu)
        wrapping = self._weakened(wrapping)
        role = self._meter.role_of(self._client)
        signed_within = plain[:1] == bytes((GENERAL_SIGNING,)) and not signed
        proving = self._pending and "wants-signed-proof" in self._meter.faults
        if proving and not (signed or signed_within):
            return exception(NOT_ALLOWED, OTHER)
        if signed_within and "wants-signature-outside" in self._meter.faults:
            return exception(NOT_ALLOWED, OTHER)
        if signed_within:
            content, frame = open_signed(self._meter, plain)
            reply = seal_signed(self._meter, self._serve(services, content), frame)
        elif self._meter.options.signed_requests and not signed and role and role.everything:
            return exception(NOT_ALLOWED, OTHER)
        else:
            reply = self._serve(services, plain)
        return self._seal(reply, wrapping)

    def _open(self, apdu: bytes) -> tuple[bytes, Wrapping | None]:
        return self._protection.open(apdu) if self._protection else (apdu, None)

    def _seal(self, reply: bytes, wrapping: Wrapping | None) -> bytes:
        if self._protection is None or wrapping is None:
            return reply
        return self._protection.seal(reply, wrapping)

    def _weakened(self, wrapping: Wrapping | None) -> Wrapping | None:
        """Return how the reply is wrapped: as the request was, or authenticated only."""
        faults = self._meter.faults
        proving = self._pending is not None and "authenticated-proof" in faults
        if wrapping is None or not (proving or "authenticated-replies" in faults):
            return wrapping
        return replace(wrapping, control=wrapping.control & ~_ENCRYPTED)

    # -- services

    def _serve(self, services: Services, apdu: bytes) -> bytes:
        faults = self._meter.faults
        if "exception" in faults:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        if self._pending is not None:
            return services.prove(apdu, self._prove) or exception(NOT_ALLOWED, NOT_POSSIBLE)
        try:
            reply = services.answer(apdu)
        except NotOfferedError:
            reply = None
        if reply is None:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        if "text-replies" in faults:
            return b"ERROR: not now\r\n"
        if reply[0] in _SERVICE_RESPONSES and "truncate" in faults:
            reply = reply[: -int(faults["truncate"])]
        if "longest-reply" in faults and len(reply) > faults["longest-reply"]:
            return exception(SERVICE_UNKNOWN, OTHER)
        return reply

    def _offers(self, name: str) -> bool:
        return bool(self._conformance >> (23 - CONFORMANCE_BITS[name]) & 1)

    def _prove(self, proof: bytes) -> bytes | None:
        """Check the client's proof; return the meter's, or end the association and return None."""
        pending, self._pending = self._pending, None
        assert pending is not None
        self._meter.seen["proof"] += 1
        if "reflected-proof" in self._meter.faults:
            return proof
        if is_proof(self._meter, pending.mechanism, pending.challenges, proof):
            return make_proof(self._meter, pending.mechanism, pending.challenges)
        self._meter.seen["refused"] += 1
        self.end()
        return None

    # -- association

    def _associate(self, apdu: bytes) -> bytes | None:
        meter = self._meter
        meter.seen["aarq"] += 1
        request = acse.parse_request(apdu)
        role = meter.role_of(self._client)
        if role is None and "silent-to-wrong-sap" in meter.faults:
            return None
        if role is None and "close-on-wrong-sap" in meter.faults:
            self.closing = True
            return None
        self.end()
        diagnostic = handshake.objection(meter, request, role)
        if diagnostic or role is None:
            return self._refuse(request, diagnostic)
        if "counter-from-one" in meter.faults:
            meter.received_counter = meter.sent_counter = 0
        if "own-counter-restarts" in meter.faults:
            meter.sent_counter = 0
        if role.everything and len(request.calling_title) == _TITLE:
            self._protection = Protection(meter, request.calling_title)
        try:
            plain, wrapping = self._open(request.user_information)
        except RejectedError:
            return self._refuse(request, acse.NO_REASON)
        if "counter-from-one" in meter.faults and wrapping and meter.received_counter != 1:
            return self._refuse(request, acse.NO_REASON)
        initiate = acse.parse_initiate(plain)
        if initiate.version < 6:
            return self._refuse(request, acse.NO_REASON, acse.make_version_error())
        if self._protection is not None and initiate.dedicated_key:
            self._protection.use_dedicated(initiate.dedicated_key)
        self._begin(role, initiate.conformance, initiate.max_pdu)
        self._pending = handshake.begin_proof(meter, request, role)
        return self._accept(request, role, wrapping)

    def _accept(self, request: acse.Request, role: Role, wrapping: Wrapping | None) -> bytes:
        pending = self._pending
        challenged = pending.challenges.server if pending else b""
        titled = self._protection is not None or bool(challenged)
        aare = acse.make_response(
            self._named(handshake.expected_context(self._meter, role)),
            acse.AUTHENTICATION_REQUIRED if pending else 0,
            self._seal(self._initiate_response(), wrapping),
            title=self._meter.options.title() if titled else b"",
            mechanism=acse.MECHANISMS[role.authentication],
            challenge=challenged,
        )
        return handshake.crooked(self._meter, aare)

    def _named(self, asked: int) -> int:
        """Return the application context that the AARE names."""
        others = {acse.LN: acse.SN, acse.SN: acse.LN, acse.LN_CIPHERED: acse.SN_CIPHERED}
        return others.get(asked, asked) if "other-context" in self._meter.faults else asked

    def _begin(self, role: Role, conformance: int, max_pdu: int) -> None:
        meter = self._meter
        self._conformance = conformance & meter.options.offered_services()
        ciphered = self._protection is not None and meter.options.security != "NONE"
        size = (max_pdu or 0xFFFF) - (_CIPHERING_OVERHEAD if ciphered else 0)
        size = max(_SMALLEST_PDU, size)
        grant = Grant(meter, role, size, self._offers)
        if meter.options.referencing == "SN":
            self._services = ShortNameServices(grant)
        elif self._offers("access"):
            self._services = AccessService(grant)
        else:
            self._services = LogicalNameServices(grant)
        meter.association_held = meter.unreleased = True

    def _pre_establish(self) -> None:
        role = self._meter.role_of(self._client)
        if role is None:
            return
        self._begin(role, 0xFFFFFF, 0xFFFF)
        if role.everything and self._meter.options.client_title:
            self._protection = Protection(self._meter, self._meter.options.client_title)

    def _initiate_response(self) -> bytes:
        options = self._meter.options
        response = acse.make_initiate_response(
            self._conformance, options.max_pdu, short_names=options.referencing == "SN"
        )
        return response[: len(response) - int(self._meter.faults["short-initiate"])]

    def _refuse(
        self, request: acse.Request, diagnostic: int, information: bytes = b""
    ) -> bytes | None:
        self.end()
        self._meter.seen["refused"] += 1
        if "silent-refusals" in self._meter.faults:
            return None
        if "frmr-refusals" in self._meter.faults:
            return b""  # no APDU: the station rejects the frame
        self._conformance = self._meter.options.offered_services()
        return acse.make_response(
            request.context or acse.LN,
            diagnostic,
            information or self._initiate_response(),
            accepted=False,
        )

    def _release(self, apdu: bytes) -> bytes | None:
        meter = self._meter
        meter.seen["rlrq"] += 1
        meter.unreleased = False
        information = acse.release_information(apdu)
        if "silent-to-release" in meter.faults:
            return None
        if "exception-to-release" in meter.faults:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        held, meter.association_held = meter.association_held, False
        if not self.associated and not held:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        answered = b""
        if information:
            _, wrapping = self._open(information)
            answered = self._seal(self._initiate_response(), wrapping)
        self.end()
        self.closing |= "close-after-release" in meter.faults
        return acse.make_release_response(answered)
