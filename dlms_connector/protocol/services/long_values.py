"""Values of any length, and answers that are larger than allowed or invalid."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from dlms_connector.errors import ExcessError, ProtocolError, TooLargeError, UnfitError
from dlms_connector.protocol.data import Budget, Data, decode_in_slices
from dlms_connector.protocol.directive import Breath
from dlms_connector.protocol.talk import Talk

_T = TypeVar("_T")

#: A longer answer with one value is parsed in slices.
LONG = 1 << 11


def unhurried(octets: bytes, doing: str, budget: Budget) -> Talk[Data]:
    """Parse one value; a long one in slices, and the loop serves others between them."""
    return (yield from breathing(decode_in_slices(octets, budget), doing))


def breathing(reading: Generator[None, None, _T], doing: str) -> Talk[_T]:
    """Read in slices; the loop serves others between them."""
    try:
        while True:
            next(reading)
            yield Breath()
    except StopIteration as done:
        result: _T = done.value
        return result
    except ProtocolError as error:
        raise error.while_doing(doing) from error


def too_large(error: ExcessError, doing: str) -> TooLargeError:
    """Return the error of an attribute whose value is larger than allowed."""
    return TooLargeError(doing, f"too large to be read: {error.problem}")


def sensible(read: Callable[[], _T], *, several: bool = True) -> _T:
    """Parse an answer to a request of one or `several` attributes.

    Raises UnfitError if an answer to several is invalid: the caller can still request them
    one by one. Raises ProtocolError if an answer to one is invalid.
    """
    try:
        return read()
    except ProtocolError as error:
        if not several:
            raise
        raise UnfitError(error.doing, error.problem) from error


def sensibly(talk: Talk[_T]) -> Talk[_T]:
    """Follow the blocks of an answer to several attributes; UnfitError if they are too long."""
    try:
        return (yield from talk)
    except ExcessError as error:
        raise UnfitError(error.doing, error.problem) from error
