"""One client's application association with one meter: APDU in, APDU out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlms_connector.simulator import acse
from dlms_connector.simulator.data import MalformedError
from dlms_connector.simulator.logical_names import (
    ACTION_RESPONSE,
    GET_RESPONSE,
    SET_RESPONSE,
    LogicalNameServices,
    NotOfferedError,
)
from dlms_connector.simulator.options import CONFORMANCE_BITS

if TYPE_CHECKING:
    from dlms_connector.simulator.meter import Meter, Role

#: ExceptionResponse, state-error and service-error.
_EXCEPTION = 0xD8
NOT_ALLOWED, SERVICE_UNKNOWN = 1, 2
NOT_POSSIBLE, NOT_SUPPORTED, OTHER = 1, 2, 3
_SERVICE_RESPONSES = (GET_RESPONSE, SET_RESPONSE, ACTION_RESPONSE)


def exception(state: int, service: int) -> bytes:
    """Write an ExceptionResponse."""
    return bytes((_EXCEPTION, state, service))


class Session:
    """The association of one connection; `closing` asks for the connection to be closed."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._client = -1
        self._services: LogicalNameServices | None = None
        self._conformance = 0
        self._last_reply = b""
        self.closing = False

    @property
    def associated(self) -> bool:
        """Whether a client is associated."""
        return self._services is not None

    def end(self) -> None:
        """Forget the association."""
        if self._services is not None:
            self._meter.association_held = False
        self._services = None

    def answer(self, apdu: bytes, client: int) -> bytes | None:
        """Answer an APDU of a client; None is silence."""
        if client != self._client:
            self.end()
            self._client = client
        try:
            return self._answer(apdu)
        except MalformedError:
            return exception(SERVICE_UNKNOWN, OTHER)

    def _answer(self, apdu: bytes) -> bytes | None:
        if not apdu:
            return None
        if apdu[0] == acse.AARQ:
            return self._associate(apdu)
        if apdu[0] == acse.RLRQ:
            return self._release(apdu)
        if self._services is None and self._meter.options.pre_established:
            self._begin(self._meter.role_of(self._client), 0xFFFFFF, 0xFFFF)
        if self._services is None:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        return self._serve(self._services, apdu)

    # -- services

    def _serve(self, services: LogicalNameServices, apdu: bytes) -> bytes | None:
        faults = self._meter.faults
        if "exception" in faults:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        try:
            reply = services.answer(apdu)
        except NotOfferedError:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        if reply is None:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        if reply[0] in _SERVICE_RESPONSES and "truncate" in faults:
            reply = reply[: -int(faults["truncate"])]
        return reply

    def _offers(self, name: str) -> bool:
        return bool(self._conformance >> (23 - CONFORMANCE_BITS[name]) & 1)

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
        diagnostic = self._objection(request, role)
        if diagnostic:
            meter.seen["refused"] += 1
            return self._refuse(request, diagnostic)
        initiate = acse.parse_initiate(request.user_information)
        if initiate.version < 6:
            return self._refuse(request, acse.NO_REASON, acse.make_version_error())
        self._begin(role, initiate.conformance, initiate.max_pdu)
        return acse.make_response(request.context, 0, self._initiate_response())

    def _objection(self, request: acse.Request, role: Role | None) -> int:
        """Return the diagnostic of a refusal, 0 if there is nothing to object."""
        meter = self._meter
        if "refuse-association" in meter.faults:
            return int(meter.faults["refuse-association"])
        if "keeps-association" in meter.faults and meter.association_held:
            return acse.NO_REASON
        if request.context != acse.LN:
            return acse.CONTEXT_UNKNOWN
        if role is None:
            return acse.TITLE_UNKNOWN
        wanted, given = acse.MECHANISMS[role.authentication], request.mechanism or 0
        if wanted and request.mechanism is None:
            return acse.AUTHENTICATION_REQUIRED
        if given != wanted:
            return acse.MECHANISM_UNKNOWN
        wrong_password = request.authentication_value != meter.options.password
        if role.authentication == "LOW" and wrong_password:
            return acse.AUTHENTICATION_FAILURE
        return 0

    def _begin(self, role: Role | None, conformance: int, max_pdu: int) -> None:
        if role is None:
            return
        self._conformance = conformance & self._meter.options.offered_services()
        self._services = LogicalNameServices(self._meter, role, max_pdu or 0xFFFF, self._offers)
        self._meter.association_held = True

    def _initiate_response(self) -> bytes:
        return acse.make_initiate_response(
            self._conformance, self._meter.options.max_pdu, short_names=False
        )

    def _refuse(self, request: acse.Request, diagnostic: int, information: bytes = b"") -> bytes:
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
        acse.release_information(apdu)
        if "exception-to-release" in meter.faults:
            return exception(SERVICE_UNKNOWN, NOT_SUPPORTED)
        was_associated = self.associated
        self.end()
        if "close-after-release" in meter.faults:
            self.closing = True
        if not was_associated:
            return exception(NOT_ALLOWED, NOT_POSSIBLE)
        return acse.make_release_response()
