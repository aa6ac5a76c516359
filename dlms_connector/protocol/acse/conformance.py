"""The services that client and meter agree on, by name.

The conformance block is a bit string of 24 bits, bit 0 first (IEC 62056-5-3, InitiateRequest).
"""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache

#: Bit numbers; a bit that an LN and an SN service share has the name of the LN service.
BITS = {
    "general-protection": 1,
    "general-block-transfer": 2,
    "read": 3,
    "write": 4,
    "unconfirmed-write": 5,
    "attribute0-with-set": 8,
    "priority": 9,
    "attribute0-with-get": 10,
    "block-transfer-with-get": 11,
    "block-transfer-with-set": 12,
    "block-transfer-with-action": 13,
    "multiple-references": 14,
    "information-report": 15,
    "data-notification": 16,
    "access": 17,
    "parameterized-access": 18,
    "get": 19,
    "set": 20,
    "selective-access": 21,
    "event-notification": 22,
    "action": 23,
}

#: Our proposal for logical names: 7E1F, which meters know from the clients that their
#: manufacturers tested with.
LN_SERVICES = frozenset(
    {
        "priority",
        "attribute0-with-get",
        "block-transfer-with-get",
        "block-transfer-with-set",
        "block-transfer-with-action",
        "multiple-references",
        "get",
        "set",
        "selective-access",
        "event-notification",
        "action",
    }
)

#: Our proposal for short names.
SN_SERVICES = frozenset(
    {
        "read",
        "write",
        "unconfirmed-write",
        "block-transfer-with-get",
        "block-transfer-with-set",
        "multiple-references",
        "information-report",
        "parameterized-access",
    }
)


def encode_conformance(services: Set[str]) -> bytes:
    """Write three octets. Raises KeyError for an unknown service."""
    return sum(1 << (23 - BITS[name]) for name in services).to_bytes(3, "big")


@lru_cache(maxsize=64)  # equal ones are stored once: thousands of meters have few different ones
def decode_conformance(octets: bytes) -> frozenset[str]:
    """Read three octets; reserved bits are ignored."""
    block = int.from_bytes(octets, "big")
    return frozenset(name for name, bit in BITS.items() if block >> (23 - bit) & 1)
