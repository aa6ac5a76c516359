"""High level security: the proofs that client and meter give each other (passes 3 and 4).

IEC 62056-5-3, authentication mechanisms 2 to 7. Mechanism 2 is manufacturer-specific. Here it
is AES in ECB mode over the challenge with the secret as key, as in Gurux's tools.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.security.ciphering import AUTHENTICATED, Keys
from dlms_connector.simulator.security.signatures import is_signature, sign


@dataclass(frozen=True, slots=True)
class Challenges:
    """The challenges of client and server, and their system titles."""

    client: bytes
    server: bytes
    client_title: bytes
    server_title: bytes


def _aes(challenge: bytes, secret: bytes) -> bytes:
    key = secret[:16].ljust(16, b"\x00")
    padded = challenge + bytes(-len(challenge) % 16)
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 (as makers do)
    return encryptor.update(padded) + encryptor.finalize()


def _md5(challenge: bytes, secret: bytes) -> bytes:
    return hashlib.md5(challenge + secret).digest()  # noqa: S324 (mechanism 3)


def _sha1(challenge: bytes, secret: bytes) -> bytes:
    return hashlib.sha1(challenge + secret).digest()  # noqa: S324 (mechanism 4)


_SECRETS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "HIGH": _aes,
    "HIGH_MD5": _md5,
    "HIGH_SHA1": _sha1,
}


def is_proof(meter: Meter, mechanism: str, challenges: Challenges, proof: bytes) -> bool:
    """Tell whether the client has proved that it knows the secret."""
    c = challenges
    secret = meter.options.password
    if mechanism in _SECRETS:
        return hmac.compare_digest(_SECRETS[mechanism](c.server, secret), proof)
    if mechanism == "HIGH_SHA256":
        text = secret + c.client_title + c.server_title + c.server + c.client
        return hmac.compare_digest(hashlib.sha256(text).digest(), proof)
    if mechanism == "HIGH_GMAC":
        return _is_gmac(meter, c, proof)
    return is_signature(meter, c.client_title + c.server_title + c.server + c.client, proof)


def make_proof(meter: Meter, mechanism: str, challenges: Challenges) -> bytes:
    """Return the meter's own proof."""
    c = challenges
    secret = meter.options.password
    if "wrong-server-challenge" in meter.faults:
        c = Challenges(bytes(octet ^ 0xFF for octet in c.client), c.server, *_titles(c))
    if mechanism in _SECRETS:
        return _SECRETS[mechanism](c.client, secret)
    if mechanism == "HIGH_SHA256":
        return hashlib.sha256(
            secret + c.server_title + c.client_title + c.client + c.server
        ).digest()
    if mechanism == "HIGH_GMAC":
        meter.sent_counter += 1
        control = AUTHENTICATED | meter.options.security_suite
        return _gmac(meter, c.server_title, control, meter.sent_counter, c.client)
    return sign(meter, c.server_title + c.client_title + c.client + c.server)


def _titles(c: Challenges) -> tuple[bytes, bytes]:
    return c.client_title, c.server_title


def _gmac(meter: Meter, title: bytes, control: int, counter: int, challenge: bytes) -> bytes:
    keys = Keys(title, meter.options.block_cipher_key, meter.options.authentication_key)
    tag = keys.seal(control, counter, challenge)[len(challenge) :]
    return bytes((control,)) + counter.to_bytes(4, "big") + tag


def _is_gmac(meter: Meter, c: Challenges, proof: bytes) -> bool:
    if len(proof) != 17 or proof[0] != AUTHENTICATED | meter.options.security_suite:
        return False
    counter = int.from_bytes(proof[1:5], "big")
    expected = _gmac(meter, c.client_title, proof[0], counter, c.server)
    return hmac.compare_digest(expected, proof)
