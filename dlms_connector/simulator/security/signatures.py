"""ECDSA signatures of meter and client: r and s as plain numbers (suites 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from dlms_connector.simulator.encoding.data import Reader, length
from dlms_connector.simulator.encoding.exceptions import DECIPHERING, NOT_ALLOWED, exception
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.security.example_keys import client_key, meter_key
from dlms_connector.simulator.security.protection import RejectedError

GENERAL_SIGNING = 0xDF
_SIZES = {0: 32, 1: 32, 2: 48}


def _hash(meter: Meter) -> hashes.HashAlgorithm:
    return hashes.SHA384() if meter.options.security_suite == 2 else hashes.SHA256()


def is_signature(meter: Meter, text: bytes, signature: bytes) -> bool:
    """Tell whether the client has signed a text."""
    suite = meter.options.security_suite
    size = _SIZES[suite]
    key = meter.options.client_verifying_key or client_key(suite).public_key()
    if len(signature) != 2 * size:
        return False
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    try:
        key.verify(encode_dss_signature(r, s), text, ec.ECDSA(_hash(meter)))
    except InvalidSignature:
        return False
    return True


def sign(meter: Meter, text: bytes) -> bytes:
    """Return the meter's signature of a text."""
    suite = meter.options.security_suite
    key = meter.options.signing_key or meter_key(suite)
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(_hash(meter))))
    return r.to_bytes(_SIZES[suite], "big") + s.to_bytes(_SIZES[suite], "big")


@dataclass(frozen=True, slots=True)
class Signed:
    """The header of a signed request; its reply exchanges originator and recipient."""

    transaction: bytes
    originator: bytes
    recipient: bytes


def open_signed(meter: Meter, apdu: bytes) -> tuple[bytes, Signed]:
    """Return the content of a general-signing APDU; raises RejectedError, MalformedError.

    The signature covers all fields before it, each with its length (IEC 62056-5-3).
    """
    reader = Reader(apdu[1:])
    transaction, originator, recipient = reader.string(), reader.string(), reader.string()
    _, _, content = reader.string(), reader.string(), reader.string()
    text = apdu[1 : len(apdu) - reader.left]
    for_others = recipient not in (b"", meter.options.title())
    if for_others or not is_signature(meter, text, reader.string()) or reader.left:
        meter.seen["forged"] += 1
        raise RejectedError(exception(NOT_ALLOWED, DECIPHERING))
    meter.seen["signed"] += 1
    return content, Signed(transaction, originator, recipient)


def seal_signed(meter: Meter, content: bytes, request: Signed) -> bytes:
    """Sign a reply."""
    fields = (request.transaction, meter.options.title(), request.originator, b"", b"", content)
    text = b"".join(length(len(field)) + field for field in fields)
    signature = sign(meter, text)
    if "bad-signature" in meter.faults:
        signature = signature[:-1] + bytes((signature[-1] ^ 1,))
    return bytes((GENERAL_SIGNING,)) + text + length(len(signature)) + signature
