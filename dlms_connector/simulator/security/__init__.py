"""Ciphering, signatures and proofs of high level security, from the meter's side."""

from dlms_connector.simulator.security import example_keys
from dlms_connector.simulator.security.proof import Challenges, is_proof, make_proof
from dlms_connector.simulator.security.protection import (
    Protection,
    RejectedError,
    Wrapping,
    strength,
)
from dlms_connector.simulator.security.signatures import GENERAL_SIGNING, open_signed, seal_signed

__all__ = [
    "GENERAL_SIGNING",
    "Challenges",
    "Protection",
    "RejectedError",
    "Wrapping",
    "example_keys",
    "is_proof",
    "make_proof",
    "open_signed",
    "seal_signed",
    "strength",
]
