"""Whether the platform has a document already: what it adds of itself does not count."""

from __future__ import annotations

from typing import Any


def holds(theirs: Any, ours: Any) -> bool:
    """Tell if all that we would send is there. Absent, null and empty are the same to the platform.

    Numbers are compared by value: it keeps 207 as 207.0.
    """
    if ours in (None, [], {}, ""):
        return theirs in (None, [], {}, "")
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            holds(theirs.get(key), value) for key, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(holds(one, other) for one, other in zip(theirs, ours, strict=True))
        )
    return bool(theirs == ours)
