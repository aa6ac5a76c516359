"""Workarounds that are tried where an association fails: in ciphering, or at its frames.

A row is tried once. It stays where the association opens with it, or fails in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlms_connector.config import Dlms
from dlms_connector.errors import (
    ConnectError,
    CounterError,
    DlmsError,
    LinkError,
    LinkTimeoutError,
    RefusedError,
    SecurityError,
)
from dlms_connector.hints import Symptom

_REJECTIONS = {Symptom.FRAMES_REJECTED, Symptom.COMMAND_REJECTED, Symptom.FRAME_TOO_LONG}
_OF_COUNTERS = {Symptom.COUNTER_BACK, Symptom.COUNTER_SAME, Symptom.COUNTER_UNPROVEN}


@dataclass(frozen=True, slots=True)
class Trial:
    """A key of `workarounds`, its value, and for which failures it is tried."""

    key: str
    value: Any
    suits: Callable[[Dlms, DlmsError], bool]
    #: Whether it is about frames: then it holds for the meter, whatever its association.
    of_frames: bool = False


def _rejects_frames(dlms: Dlms, error: DlmsError) -> bool:
    """Whether the meter set up the link, and then rejected an I frame (FRMR)."""
    return dlms.interface_type != "WRAPPER" and Symptom.FRAMES_REJECTED in error.symptoms


def _misnumbers(dlms: Dlms, error: DlmsError) -> bool:
    """Whether the meter's numbered frames never fit."""
    return Symptom.MISNUMBERED in error.symptoms


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
    return weak and not _OF_COUNTERS.isdisjoint(error.symptoms)


def _unsigned(dlms: Dlms, error: DlmsError) -> bool:
    return dlms.signing_key is not None and _unexplained(dlms, error)


def _judges(error: RefusedError) -> bool:
    """Whether the meter judged what we presented: then a second time is guessing."""
    said = error.diagnostic
    return any(word in said for word in ("authentication", "mechanism", "context-name"))


_CONNECTIONLESS, _UNCOUNTED = "connectionless", "uncountedFrames"
#: It repeats numbers that ciphering needs to be unique: tried only where the user says so.
COUNTER_FROM_ONE = "counterFromOne"

#: In the order in which they are tried, the most frequent first.
TRIALS = (
    Trial(COUNTER_FROM_ONE, True, _unexplained),
    Trial("serverCounterRestarts", True, _restarts),
    Trial("sign", "handshake", _unsigned),
    Trial("signOutside", True, _unsigned),
    Trial(_CONNECTIONLESS, True, _rejects_frames, of_frames=True),
    Trial(_UNCOUNTED, True, _misnumbers, of_frames=True),
)


def trials(
    dlms: Dlms, error: DlmsError, given: Collection[str], done: Mapping[str, Any]
) -> Iterator[Trial]:
    """Yield the rows to try after this failure: not `given` by the user, nor `done` before."""
    for row in TRIALS:
        open_to = not row.of_frames and row.key not in given and row.key not in done
        if open_to and row.suits(dlms, error):
            yield row


def trial_of_frames(
    dlms: Dlms, error: DlmsError, given: Collection[str], done: Collection[str]
) -> Trial | None:
    """Return the row about frames to try, where no referencing helps."""
    rows = (row for row in TRIALS if row.of_frames and row.key not in {*given, *done})
    return next((row for row in rows if row.suits(dlms, error)), None)


def gets_further(error: DlmsError) -> bool:
    """Whether the meter answered with a row about frames, though it still fails."""
    rejected = not _REJECTIONS.isdisjoint(error.symptoms)
    return not isinstance(error, LinkTimeoutError | ConnectError) and not rejected


def changes(before: DlmsError, after: DlmsError) -> bool:
    """Whether a row made a difference, though the association still fails."""
    return type(before) is not type(after)


def is_about_ciphering(dlms: Dlms, error: DlmsError) -> bool:
    """Whether an association failed in a way that wrong keys explain, and other things too."""
    return _unexplained(dlms, error) or isinstance(error, SecurityError | CounterError)
