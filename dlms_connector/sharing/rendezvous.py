"""Rendezvous hashing: who of several gateways serves what, without anyone keeping a list.

Each gateway draws a number for a key, and the highest one has it. A further gateway only takes
away what it draws highest for: 1/N of the keys move, all of them to it, and none between the
others (Thaler and Ravishankar, A Name-Based Mapping Scheme for Rendezvous, 1996). Weights as in
Schindelhauer and Schomaker, Weighted Distributed Hash Tables, 2005.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

#: A draw has so many bits: all of them fit into a float.
_BITS = 53


def owner(key: str, weights: Sequence[float]) -> int:
    """Return the number of the gateway that serves a key; `weights` has one for each gateway.

    A gateway of weight 2 gets twice as many keys as one of weight 1, one of weight 0 none.
    """
    scores = [_score(key, number, weight) for number, weight in enumerate(weights)]
    return scores.index(max(scores))


def _score(key: str, number: int, weight: float) -> float:
    if weight <= 0:
        return -1.0
    digest = blake2b(f"{number}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # In the middle of its interval, so that it is neither 0 nor 1.
    drawn = ((int.from_bytes(digest, "big") >> (64 - _BITS)) + 0.5) / (1 << _BITS)
    return -weight / math.log(drawn)
