"""A firmware image during its transfer to the meter."""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK_SIZE = 128
#: image_transfer_status
IDLE, INITIATED, VERIFIED, VERIFICATION_FAILED, ACTIVATED = 0, 1, 3, 4, 6


@dataclass
class Image:
    """An image during its transfer to the meter."""

    identifier: bytes = b""
    size: int = 0
    status: int = IDLE
    blocks: dict[int, bytes] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of blocks of the whole image."""
        return -(-self.size // BLOCK_SIZE)

    @property
    def octets(self) -> bytes:
        """The octets received so far, in the order of the blocks."""
        return b"".join(self.blocks[number] for number in sorted(self.blocks))
