"""ECDSA as DLMS uses it: P-256 with SHA-256 in suite 1, P-384 with SHA-384 in suite 2.

Signatures and public keys are sent as plain numbers of fixed size, one after the other.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

from dlms_connector.errors import ConfigError

_CURVES: dict[int, type[EllipticCurve]] = {0: SECP256R1, 1: SECP256R1, 2: SECP384R1}
_HASHES: dict[int, type[HashAlgorithm]] = {0: SHA256, 1: SHA256, 2: SHA384}

#: Octets of one number of the curve, by suite; HIGH_ECDSA uses P-256 in suite 0 too.
SIZES = {0: 32, 1: 32, 2: 48}


def read_private_key(suite: int, key: bytes, name: str) -> EllipticCurvePrivateKey:
    """Read the secret number of a key pair. Raises ConfigError that names the configuration key."""
    try:
        if len(key) == SIZES[suite]:
            return derive_private_key(int.from_bytes(key, "big"), _CURVES[suite]())
    except ValueError:
        pass  # not a number of this curve; the reason could reveal something about the number
    raise ConfigError(f"dlms.{name}: suite {suite} takes a private key of {SIZES[suite]} bytes")


def read_public_key(suite: int, key: bytes, name: str) -> EllipticCurvePublicKey:
    """Read a point, with or without the leading 04. Raises ConfigError."""
    size = 2 * SIZES[suite]
    try:
        point = b"\x04" + key if len(key) == size else key
        return EllipticCurvePublicKey.from_encoded_point(_CURVES[suite](), point)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"dlms.{name}: suite {suite} takes a public key of {size} bytes, a point of its curve"
        ) from error


def write_public_key(key: EllipticCurvePublicKey) -> bytes:
    """Write a point as its two numbers."""
    numbers, size = key.public_numbers(), (key.curve.key_size + 7) // 8
    return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")


class Signer:
    """Signs with our private key and verifies with the peer's public key."""

    def __init__(
        self, suite: int, mine: EllipticCurvePrivateKey, theirs: EllipticCurvePublicKey
    ) -> None:
        self._mine, self._theirs = mine, theirs
        self._scheme = ECDSA(_HASHES[suite]())
        self._size = SIZES[suite]

    def __repr__(self) -> str:
        return "<signing keys>"

    def sign(self, message: bytes) -> bytes:
        """Return the signature's two numbers."""
        r, s = decode_dss_signature(self._mine.sign(message, self._scheme))
        return r.to_bytes(self._size, "big") + s.to_bytes(self._size, "big")

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the peer signed exactly this."""
        if len(signature) != 2 * self._size:
            return False
        numbers = (signature[: self._size], signature[self._size :])
        r, s = (int.from_bytes(number, "big") for number in numbers)
        try:
            self._theirs.verify(encode_dss_signature(r, s), message, self._scheme)
        except InvalidSignature:
            return False
        return True
