"""How much damage the check of an HDLC frame lets through: `python -m tests.fuzz.damage`.

Up to three wrong bits, and any burst of up to 16 bits, are always found: each of them is tried on a
short frame. Of random octets one in 65536 has the right check, whoever computes it: as many are
counted as were to be expected.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from itertools import combinations
from math import sqrt

from dlms_connector.protocol.datalink.hdlc_frame import Frame
from dlms_connector.protocol.datalink.hdlc_transfer import LLC_RESPONSE
from dlms_connector.protocol.datalink.hdlc_usual import apdu_of
from tests.support.hdlc_meter import CLIENT, SERVER

_CONTROL = 0x30
_APDU = b"\xc4\x01\x41\x00\x06\x00\x00\x59\xe9"
_LINE = Frame(CLIENT, SERVER, _CONTROL, LLC_RESPONSE + _APDU).encode()
_BITS = 8 * len(_LINE)
_CHECK_BITS, _ALWAYS_FOUND = 16, 3
#: Where the information begins behind the flag: format, addresses, control octet, check.
_HEADER = 1 + 2 + len(CLIENT) + len(SERVER) + 1 + 2
_MOST_SIGMAS = 5.0


def few_bits(most: int) -> Iterator[int]:
    """Yield all damage of so many bits at most."""
    for count in range(1, most + 1):
        for places in combinations(range(_BITS), count):
            yield sum(1 << place for place in places)


def bursts(most: int) -> Iterator[int]:
    """Yield all damage that lies within so many bits."""
    for place in range(_BITS - most + 1):
        for pattern in range(1, 1 << most, 2):
            yield pattern << place


def accepted(damages: Iterator[int]) -> tuple[int, int]:
    """Return how many there were, and how many were taken for a frame."""
    number, count, taken = int.from_bytes(_LINE, "big"), 0, 0
    for damage in damages:
        line = (number ^ damage).to_bytes(len(_LINE), "big")
        taken += apdu_of(line, CLIENT, SERVER, _CONTROL) is not None
        count += 1
    return count, taken


def accepted_at_random(count: int, seed: int) -> int:
    """Return how many frames with random information and check were taken."""
    rng, taken = random.Random(seed), 0
    head, size = _LINE[:_HEADER] + LLC_RESPONSE, len(_LINE) - _HEADER - len(LLC_RESPONSE) - 1
    for _ in range(count):
        taken += apdu_of(head + rng.randbytes(size) + b"\x7e", CLIENT, SERVER, _CONTROL) is not None
    return taken


def main() -> None:
    """Count, and fail if more is taken than mathematics allows."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.damage", description=__doc__)
    parser.add_argument("--random", type=int, default=20_000_000, help="frames of random octets")
    given = parser.parse_args()
    wrong = 0
    for name, damages in (
        ("one to three bits", few_bits(_ALWAYS_FOUND)),
        ("bursts of 16 bits", bursts(_CHECK_BITS)),
    ):
        count, taken = accepted(damages)
        wrong += taken
        print(f"{name}: {count:,} damaged frames, {taken} taken", flush=True)
    taken, expected = accepted_at_random(given.random, 1), given.random / (1 << _CHECK_BITS)
    sigmas = (taken - expected) / sqrt(expected)
    print(f"random octets: {given.random:,} frames, {taken} taken, {expected:.0f} expected")
    sys.exit(bool(wrong) or abs(sigmas) > _MOST_SIGMAS)


if __name__ == "__main__":
    main()
