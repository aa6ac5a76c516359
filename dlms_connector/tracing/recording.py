"""A whole conversation as requests and answers, to be replayed."""

from __future__ import annotations

from typing import Any

FORMAT, VERSION = "dlms-connector recording", 1
#: More exchanges are not kept.
_MOST = 20_000


class Recorder:
    """Takes APDUs in their order, already redacted, and pairs them."""

    def __init__(self) -> None:
        self._pairs: list[tuple[bytes, bytes | None]] = []

    def apdu(self, outgoing: bool, octets: bytes) -> None:
        """Take an APDU; an answer without a request is left out."""
        if outgoing:
            if len(self._pairs) < _MOST:
                self._pairs.append((octets, None))
        elif self._pairs and self._pairs[-1][1] is None:
            self._pairs[-1] = self._pairs[-1][0], octets

    def exchanges(self) -> list[dict[str, Any]]:
        """Return requests and responses in hexadecimal; null where there was no answer."""
        return [
            {"request": request.hex().upper(), "response": reply.hex().upper() if reply else None}
            for request, reply in self._pairs
        ]
