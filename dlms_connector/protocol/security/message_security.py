"""How an association's APDUs are protected: ciphered, signed, both or not at all."""

from __future__ import annotations

import secrets

from dlms_connector.config import Dlms, Secret, Workarounds
from dlms_connector.errors import CounterError, ProtocolError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.acse import CONFIRMED_SERVICE_ERROR
from dlms_connector.protocol.octets import is_text, shown
from dlms_connector.protocol.security.authentication import Credentials
from dlms_connector.protocol.security.ciphering import (
    AUTHENTICATED,
    PROTECTIONS,
    InvocationCounter,
    Keys,
)
from dlms_connector.protocol.security.general_signing import GENERAL_SIGNING, Signing
from dlms_connector.protocol.security.protection import (
    EXCEPTION_RESPONSE,
    GLOBAL,
    Protection,
    is_ciphered,
    key_of,
)

_SIGNED = bytes([GENERAL_SIGNING])
#: Tags of the errors that a meter sends if it could not read the request.
_ERRORS = (bytes([EXCEPTION_RESPONSE]), bytes([CONFIRMED_SERVICE_ERROR]))

_DOING = "reading a reply"


class MessageSecurity:
    """The client's side of the agreed protection of APDUs."""

    def __init__(
        self,
        dlms: Dlms,
        workarounds: Workarounds,
        credentials: Credentials,
        counter: InvocationCounter,
    ) -> None:
        """`credentials` have been checked against the configuration."""
        self._dlms, self._workarounds = dlms, workarounds
        self._agreed = PROTECTIONS[dlms.security]
        self._counter = counter
        title = dlms.system_title or b""
        self._protection: Protection | None = None
        self._dedicated = False
        if dlms.security != "NONE" and credentials.keys:
            self._protection = Protection(credentials.keys, self._agreed, title, counter)
        self._signing: Signing | None = None
        if workarounds.sign != "never" and credentials.signer:
            self._signing = Signing(credentials.signer, title)

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are ciphered."""
        return self._protection is not None

    @property
    def titled(self) -> bool:
        """Whether both sides must know each other's system title."""
        return self._protection is not None or self._signing is not None

    def begin(self, *, fresh: bool) -> Secret | None:
        """Discard an earlier association; return the dedicated key to propose for this one.

        `fresh` also discards the last counter received from the meter.
        """
        self._dedicated = False
        if self._protection is None:
            return None
        self._protection.begin(fresh=fresh, peer=self._dlms.server_system_title)
        if not self._dlms.dedicated_key:
            return None
        # With a new key, APDUs recorded in another association are useless. So the configured
        # key only says that there is a dedicated key, and its length.
        return Secret(secrets.token_bytes(len(self._dlms.dedicated_key)))

    def know(self, title: bytes | None) -> None:
        """Store the meter's system title."""
        if self._protection:
            self._protection.peer = title
        if self._signing:
            self._signing.peer = title

    def agree(self, *, general: bool, dedicated: bytes | None, lasting: bool = False) -> None:
        """Set whether general ciphering and a dedicated key are used from now on.

        `lasting` means that the dedicated key is not only for this association.
        """
        if self._protection is None:
            return
        self._protection.general = general
        if dedicated:
            authentication = self._dlms.authentication_key or b""
            keys = Keys(self._dlms.security_suite, dedicated, authentication)
            self._protection.use_dedicated(keys, lasting=lasting)
            self._dedicated = True

    def cipher_initiate(self, plain: bytes) -> bytes:
        """Cipher the user-information of an AARQ or RLRQ: with the global key, never signed."""
        return self._protection.protect(plain, GLOBAL) if self._protection else plain

    def protect(self, apdu: bytes, *, proving: bool = False) -> bytes:
        """Sign, then cipher, so that the signature stays secret.

        The order is reversed if the meter wants it. `proving` marks the request with our
        answer to the meter's challenge.
        """
        signing = self._signing if proving or self._workarounds.sign == "always" else None
        outside = self._workarounds.sign_outside
        if signing and not outside:
            apdu = signing.sign(apdu)
        if self._protection:
            apdu = self._protection.protect(apdu)
        return signing.sign(apdu) if signing and outside else apdu

    def unprotect(self, apdu: bytes, *, proving: bool = False) -> bytes:
        """Decipher and verify a reply; see `Association.unprotect`.

        `proving` marks the reply to our answer to the meter's challenge.
        """
        if self._signing is None:
            return self.decipher(apdu, proving=proving)
        outside = apdu[:1] == _SIGNED
        plain = self.decipher(self._signing.open(apdu) if outside else apdu, proving=proving)
        if plain[:1] == _SIGNED:
            return self._signing.open(plain)
        if not outside and self._workarounds.sign == "always" and plain[:1] not in _ERRORS:
            raise SecurityError(_DOING, "it is not signed, as was agreed")
        return plain

    def decipher(self, apdu: bytes, *, proving: bool = False) -> bytes:
        """Decipher an APDU without regard to signatures, such as the content of an AARE."""
        if is_text(apdu):
            raise _no_apdu(apdu)
        if self._protection is None:
            if is_ciphered(apdu):
                raise ProtocolError(
                    _DOING, f"{shown(apdu)}: it is ciphered, but dlms.security is NONE"
                ).showing(Symptom.CIPHERED)
            return apdu
        if self._dedicated and key_of(apdu) == GLOBAL:
            # It may be a replay, recorded with the global key in an earlier association.
            raise SecurityError(_DOING, "it is ciphered with the global key, not the dedicated one")
        try:
            return self._protection.unprotect(apdu, self._least(proving=proving))
        except CounterError as error:
            self.raise_counter(error)
            raise

    def _least(self, *, proving: bool) -> int:
        """Return the protection that a reply must have."""
        agreed = self._agreed
        accepted = self._workarounds.authenticated_replies
        if accepted == "always" or (accepted == "handshake" and proving):
            return agreed & AUTHENTICATED or agreed
        return agreed

    def raise_counter(self, error: CounterError) -> None:
        """Raise our counter to the value that the meter expects; raise `error` if it gives none."""
        if error.expected is None:
            raise error
        self._counter.resync(error.expected)


def _no_apdu(text: bytes) -> ProtocolError:
    problem = f"{shown(text)} came instead of an APDU"
    return ProtocolError(_DOING, problem).showing(Symptom.TEXT_FOR_APDU)
