"""ExceptionResponse: the meter rejects a request as a whole (IEC 62056-5-3)."""

from __future__ import annotations

_TAG = 0xD8
#: state-error
NOT_ALLOWED, SERVICE_UNKNOWN = 1, 2
#: service-error
NOT_POSSIBLE, NOT_SUPPORTED, OTHER, PDU_TOO_LONG, DECIPHERING, COUNTER = 1, 2, 3, 4, 5, 6


def exception(state: int, service: int, counter: int | None = None) -> bytes:
    """Write an ExceptionResponse; an invocation counter error has the expected `counter`."""
    expected = b"" if counter is None else counter.to_bytes(4, "big")
    return bytes((_TAG, state, service)) + expected
