"""general-signing: an APDU with the sender's signature around it (IEC 62056-5-3).

The signature covers all fields before it, lengths included. The sender of a request
chooses the transaction-id; the answer repeats it, so it can answer no other request.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from dlms_connector.errors import ProtocolError, SecurityError
from dlms_connector.protocol.data.ber import decode_content, encode_length
from dlms_connector.protocol.security.signing import Signer

GENERAL_SIGNING = 0xDF

_DOING = "verifying a signature"
_TRANSACTION_SIZE = 8


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed fields: transaction-id, originator, recipient and content."""

    transaction: bytes
    originator: bytes
    recipient: bytes
    content: bytes

    def encode(self, signer: Signer) -> bytes:
        """Write the APDU; date-time and other information are left empty."""
        names = (self.transaction, self.originator, self.recipient, b"", b"", self.content)
        body = b"".join(encode_length(len(field)) + field for field in names)
        signature = signer.sign(body)
        return bytes([GENERAL_SIGNING]) + body + encode_length(len(signature)) + signature

    @classmethod
    def parse(cls, apdu: bytes, signer: Signer) -> Signed:
        """Read and verify the APDU. Raises SecurityError, or ProtocolError if it is malformed."""
        if apdu[:1] != bytes([GENERAL_SIGNING]):
            raise ProtocolError(_DOING, f"{apdu[:1].hex()} is not general-signing")
        fields, at = [], 1
        for _ in range(6):
            field, at = decode_content(apdu, at, _DOING)
            fields.append(field)
        signature, end = decode_content(apdu, at, _DOING)
        if end != len(apdu):
            raise ProtocolError(_DOING, f"{len(apdu) - end} octets too many")
        if not signer.verifies(signature, apdu[1:at]):
            raise SecurityError(_DOING, "the signature is wrong")
        return cls(fields[0], fields[1], fields[2], fields[5])


class Signing:
    """The client's signatures on requests, and the meter's on the answers."""

    def __init__(self, signer: Signer, title: bytes) -> None:
        self._signer, self._title = signer, title
        self._transaction = b""
        #: The meter's system title, once known.
        self.peer: bytes | None = None

    def sign(self, apdu: bytes) -> bytes:
        """Return a request with our signature, as general-signing APDU."""
        self._transaction = secrets.token_bytes(_TRANSACTION_SIZE)
        signed = Signed(self._transaction, self._title, self.peer or b"", apdu)
        return signed.encode(self._signer)

    def open(self, apdu: bytes) -> bytes:
        """Return the APDU that the meter signed for our last request. Raises SecurityError."""
        signed = Signed.parse(apdu, self._signer)
        if signed.transaction != self._transaction:
            raise SecurityError(_DOING, "it answers another request")
        if signed.originator != self.peer or signed.recipient not in (b"", self._title):
            raise SecurityError(_DOING, "it is not from this meter to us")
        return signed.content
