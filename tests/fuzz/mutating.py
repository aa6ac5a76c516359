"""Changes inputs at random: the short form of the fuzzing, which knows no coverage."""

from __future__ import annotations

import random
from collections.abc import Sequence

#: Octets at the borders of lengths, counts and signs.
_ODD = bytes((0x00, 0x01, 0x02, 0x09, 0x10, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xA0, 0xFE, 0xFF))
_MOST_CHANGES = 4


def mutated(
    rng: random.Random, pool: Sequence[bytes], words: Sequence[bytes], longest: int
) -> bytes:
    """Return an input made of one of the pool by a few changes."""
    data = bytearray(rng.choice(pool))
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9 if words else 8):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice(_ODD)
            case 2 if at < len(data):
                data[at] = data[at] + rng.choice((-1, 1)) & 0xFF
            case 3:
                data[at : at + rng.randint(1, 16)] = b""
            case 4:
                data[at:at] = data[at : at + rng.randint(1, 64)]
            case 5:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 6:
                other = rng.choice(pool)
                begin = rng.randrange(len(other) + 1)
                data[at:] = other[begin : begin + rng.randint(1, 256)]
            case 7:
                data[at : at + 2] = rng.randrange(0x10000).to_bytes(2, "big")
            case 8:
                word = rng.choice(words)
                data[at : at + rng.choice((0, len(word)))] = word
    return bytes(data[:longest])
