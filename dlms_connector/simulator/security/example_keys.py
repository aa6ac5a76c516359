"""Signing keys for tests with HIGH_ECDSA: the same in every run, and public."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

_CURVES: dict[int, ec.EllipticCurve] = {0: ec.SECP256R1(), 1: ec.SECP256R1(), 2: ec.SECP384R1()}


def client_key(suite: int) -> ec.EllipticCurvePrivateKey:
    """Return the example key of the client."""
    return _derive("client", suite)


def meter_key(suite: int) -> ec.EllipticCurvePrivateKey:
    """Return the example key of the meter."""
    return _derive("meter", suite)


def _derive(whose: str, suite: int) -> ec.EllipticCurvePrivateKey:
    number = hashlib.sha256(f"simulated {whose}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(number[:31], "big"), _CURVES[suite])


def private_octets(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the octets of a private key: its number."""
    size = (key.curve.key_size + 7) // 8
    return key.private_numbers().private_value.to_bytes(size, "big")


def public_octets(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the octets of the public key: its two coordinates."""
    size = (key.curve.key_size + 7) // 8
    point = key.public_key().public_numbers()
    return point.x.to_bytes(size, "big") + point.y.to_bytes(size, "big")
