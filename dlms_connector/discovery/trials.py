"""Workarounds that are tried where a meter ciphers and the association fails without a reason.

A row is tried once. It stays where the association opens with it, or fails in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlms_connector.config import Dlms
from dlms_connector.errors import (
    ConnectError,
    CounterError,
    DlmsError,
    LinkError,
    RefusedError,
    SecurityError,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A key of `workarounds`, its value, and for which failures it is tried."""

    key: str
    value: Any
    suits: Callable[[Dlms, DlmsError], bool]


def _unexplained(dlms: Dlms, error: DlmsError) -> bool:
    """Whether a ciphered request failed by silence, a closed link, or without naming a reason."""
    if dlms.security == "NONE" or isinstance(error, ConnectError | SecurityError):
        return False
    if isinstance(error, RefusedError):
        return not _judges(error)
    return isinstance(error, LinkError)


def _restarts(dlms: Dlms, error: DlmsError) -> bool:
    """Whether the meter's own counter seems to begin anew in each association."""
    weak = dlms.authentication in ("NONE", "LOW")
    return weak and isinstance(error, SecurityError) and "counter" in str(error)


def _unsigned(dlms: Dlms, error: DlmsError) -> bool:
    return dlms.signing_key is not None and _unexplained(dlms, error)


def _judges(error: RefusedError) -> bool:
    """Whether the meter judged what we presented: then a second time is guessing."""
    said = error.diagnostic
    return any(word in said for word in ("authentication", "mechanism", "context-name"))


#: In the order in which they are tried, the most frequent first.
TRIALS = (
    Trial("counterFromOne", True, _unexplained),
    Trial("serverCounterRestarts", True, _restarts),
    Trial("sign", "handshake", _unsigned),
    Trial("signOutside", True, _unsigned),
)


def trials(
    dlms: Dlms, error: DlmsError, given: Mapping[str, Any], done: Mapping[str, Any]
) -> Iterator[Trial]:
    """Yield the rows to try after this failure: not `given` by the user, nor `done` before."""
    for row in TRIALS:
        if row.key not in given and row.key not in done and row.suits(dlms, error):
            yield row


def changes(before: DlmsError, after: DlmsError) -> bool:
    """Whether a row made a difference, though the association still fails."""
    return type(before) is not type(after)


def is_about_ciphering(dlms: Dlms, error: DlmsError) -> bool:
    """Whether an association failed in a way that wrong keys explain, and other things too."""
    return _unexplained(dlms, error) or isinstance(error, SecurityError | CounterError)
