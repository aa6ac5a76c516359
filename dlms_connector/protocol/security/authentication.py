"""High level security (HLS): each side proves that it knows the secret, without sending it.

Pass 1 and 2 exchange challenges in AARQ and AARE; in pass 3 the client answers the
meter's challenge, in pass 4 the meter answers the client's. A `Handshake` is one side
of that; client and meter differ only in whose titles and challenges are "mine".
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from dlms_connector.errors import SecurityError
from dlms_connector.protocol.acse import Mechanism
from dlms_connector.protocol.security.ciphering import InvocationCounter, Keys
from dlms_connector.protocol.security.signing import Signer

#: Mechanisms that use the system titles, so that both sides must send theirs.
TITLED = {Mechanism.HIGH_GMAC, Mechanism.HIGH_SHA256, Mechanism.HIGH_ECDSA}
#: Mechanisms that prove knowledge of the password.
WITH_PASSWORD = {
    Mechanism.LOW,
    Mechanism.HIGH,
    Mechanism.HIGH_MD5,
    Mechanism.HIGH_SHA1,
    Mechanism.HIGH_SHA256,
}

#: Allowed sizes of a challenge, in octets.
CHALLENGE_SIZES = range(8, 65)

_DOING = "authenticating the meter"
_GMAC_SIZE = 17
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Side:
    """The system title and the challenge of one side."""

    title: bytes
    challenge: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of one side; the mechanism decides which of them are needed."""

    secret: bytes = field(default=b"", repr=False)
    keys: Keys | None = None
    signer: Signer | None = None


class Challenges:
    """The challenges that we sent, which no meter may send to us.

    A meter could send our challenge back in another association, perhaps as another meter with
    the same secret, and learn the answer. Threads may share it: they only add and look up.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        """Remember at least so many challenges or their blocks: more than can be in use."""
        self._remembered = remembered
        self._latest: set[bytes] = set()
        self._earlier: set[bytes] = set()

    def draw(self, size: int) -> bytes:
        """Return a new challenge."""
        if len(self._latest) >= self._remembered:
            self._earlier, self._latest = self._latest, set()
        challenge = secrets.token_bytes(size)
        self._latest |= {challenge, *_blocks(challenge)}
        return challenge

    def holds(self, mechanism: Mechanism, theirs: bytes) -> bool:
        """Return whether the answer to their challenge would reveal the answer to one of ours."""
        asked = _blocks(theirs) if mechanism is Mechanism.HIGH else {theirs}
        return not asked.isdisjoint(self._latest) or not asked.isdisjoint(self._earlier)


class Handshake:
    """One side's view of a handshake."""

    def __init__(
        self, mechanism: Mechanism, credentials: Credentials, mine: Side, theirs: Side
    ) -> None:
        """Take both sides.

        Raises SecurityError if the peer's challenge is invalid, or if it mirrors our challenge
        or system title.
        """
        if len(theirs.challenge) not in CHALLENGE_SIZES:
            size = len(theirs.challenge)
            raise SecurityError(_DOING, f"a challenge of {size} octets instead of 8 to 64")
        # Titles count where the mechanism does not use them too: nobody else has ours.
        if _mirrors(mechanism, mine.challenge, theirs.challenge) or (
            mine.title and mine.title == theirs.title
        ):
            # A reflection attack: we would answer our own challenge, and get that answer back.
            raise SecurityError(_DOING, "it mirrors our challenge or system title")
        self._mechanism = mechanism
        self._credentials = credentials
        self._mine, self._theirs = mine, theirs

    def answer(self, counter: InvocationCounter | None = None) -> bytes:
        """Return the answer to the peer's challenge; only HIGH_GMAC uses the counter."""
        if self._mechanism is Mechanism.HIGH_GMAC:
            assert counter is not None  # a side with keys has a counter
            keys = self._keys()
            return keys.authenticate(self._mine.title, counter.next(), self._theirs.challenge)
        if self._mechanism is Mechanism.HIGH_ECDSA:
            return self._signer().sign(self._message(self._mine, self._theirs))
        return self._digest(self._mine, self._theirs)

    def verify(self, answer: bytes) -> None:
        """Check the peer's answer to our challenge. Raises SecurityError."""
        if not self._is_right(answer):
            raise SecurityError(_DOING, "its answer to our challenge is wrong")

    def _is_right(self, answer: bytes) -> bool:
        if self._mechanism is Mechanism.HIGH_ECDSA:
            return self._signer().verifies(answer, self._message(self._theirs, self._mine))
        if self._mechanism is Mechanism.HIGH_GMAC:
            if len(answer) != _GMAC_SIZE:
                return False
            number = int.from_bytes(answer[1:5], "big")
            expected = self._keys().authenticate(self._theirs.title, number, self._mine.challenge)
        else:
            expected = self._digest(self._theirs, self._mine)
        return compare_digest(expected, answer)

    def _keys(self) -> Keys:
        assert self._credentials.keys is not None
        return self._credentials.keys

    def _signer(self) -> Signer:
        assert self._credentials.signer is not None
        return self._credentials.signer

    @staticmethod
    def _message(prover: Side, verifier: Side) -> bytes:
        """Return what SHA-256 and ECDSA cover: titles and challenges, the prover's title first."""
        return prover.title + verifier.title + verifier.challenge + prover.challenge

    def _digest(self, prover: Side, verifier: Side) -> bytes:
        secret = self._credentials.secret
        if self._mechanism is Mechanism.HIGH_SHA256:
            return hashlib.sha256(secret + self._message(prover, verifier)).digest()
        return _DIGESTS[self._mechanism](verifier.challenge, secret)


def _mirrors(mechanism: Mechanism, mine: bytes, theirs: bytes) -> bool:
    """Return whether our answer to their challenge would reveal the answer to ours.

    HIGH encrypts block by block and pads with zeros, so one common block is enough.
    """
    if mechanism is not Mechanism.HIGH:
        return mine == theirs
    return not _blocks(mine).isdisjoint(_blocks(theirs))


def _blocks(challenge: bytes) -> set[bytes]:
    """Return the blocks that are encrypted separately; a rest below 8 octets may be chance."""
    parts = (challenge[at : at + _BLOCK] for at in range(0, len(challenge), _BLOCK))
    return {part.ljust(_BLOCK, b"\0") for part in parts if len(part) >= CHALLENGE_SIZES.start}


def _encrypted(challenge: bytes, secret: bytes) -> bytes:
    """Encrypt the challenge with the secret as an AES-128 key, both padded with zeros.

    HIGH is manufacturer-specific; most clients use this form. If the secret is longer than
    the challenge, the challenge is padded to its length. Only the first 16 octets of the
    secret are the key.
    """
    size = max(len(challenge), len(secret), 1)
    padded = challenge.ljust(size + -size % _BLOCK, b"\0")
    key = secret[:_BLOCK].ljust(_BLOCK, b"\0")
    return Cipher(AES(key), ECB()).encryptor().update(padded)  # noqa: S305 - the maker's choice


_DIGESTS: dict[Mechanism, Callable[[bytes, bytes], bytes]] = {
    Mechanism.HIGH: _encrypted,
    Mechanism.HIGH_MD5: lambda challenge, secret: hashlib.md5(challenge + secret).digest(),  # noqa: S324
    Mechanism.HIGH_SHA1: lambda challenge, secret: hashlib.sha1(challenge + secret).digest(),  # noqa: S324
}
