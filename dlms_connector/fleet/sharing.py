"""What silent meters may take of a shared line: a fifth of the time, and never two in a row."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dlms_connector.fleet.member import Member

#: For each second that silent meters hold a shared line, the others get this many.
_OTHERS_SHARE = 4


def least_wait_s(members: Collection[Member]) -> float:
    """Return the shortest wait of a silent meter; 0 if none answers: nobody needs the line."""
    if not any(one.is_answering for one in members):
        return 0.0
    return _OTHERS_SHARE * sum(one.cost_s for one in members)


def postponed(members: Collection[Member], member: Member, now: float) -> Iterator[Member]:
    """Yield the silent meters that would follow this one too soon, with their later time."""
    if not any(one.is_answering for one in members):
        return
    until = now + _OTHERS_SHARE * member.cost_s
    for other in members:
        if other is not member and other.cost_s and other.retry_at < until:
            other.retry_at = until
            yield other
