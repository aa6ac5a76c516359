"""What the result of a turn means for the meters of a line: who answers, who is tried when."""

from __future__ import annotations

from collections.abc import Mapping

from dlms_connector.errors import AbsentError, ConnectError, DlmsError
from dlms_connector.fleet.member import Member
from dlms_connector.fleet.schedule import Schedule, backoff_s
from dlms_connector.fleet.sharing import least_wait_s, postponed


class Outages:
    """Notes who answers and who does not; times are in seconds of the loop's clock."""

    def __init__(self, members: Mapping[str, Member], schedule: Schedule) -> None:
        self._members, self._schedule = members, schedule
        self._shared = len(members) > 1
        self._unreachable: ConnectError | None = None
        self._until = 0.0
        self._unreached = 0
        #: Whether a meter dialled in since the present turn began.
        self.called = False

    def unreachable(self, now: float) -> ConnectError | None:
        """Return why no meter of a shared line can be reached at present, else None."""
        return self._unreachable if self._shared and now < self._until else None

    def forgive(self) -> None:
        """Try to reach the endpoint at once."""
        self._unreachable, self._unreached = None, 0

    def answered(self, member: Member, now: float) -> None:
        """Note that a meter answered."""
        self.forgive()
        member.answered(now)

    def failed(self, member: Member, error: DlmsError, now: float, cost_s: float) -> None:
        """Note that a meter did not answer, and held the line for `cost_s`: it is tried again."""
        self._schedule.set(member.name, self._retry_at(member, error, now, cost_s))

    def _retry_at(self, member: Member, error: DlmsError, now: float, cost_s: float) -> float:
        if isinstance(error, AbsentError):
            parked_until = member.failed(error, now)
            return now if self.called else parked_until
        if not self._shared:
            return member.failed(error, now)
        members = self._members.values()
        if isinstance(error, ConnectError):
            # It affects all meters of the line: none needs to be protected from another.
            self._unreached += 1
            self._unreachable = error
            most_s = min(other.most_wait_s for other in members)
            self._until = now + backoff_s(self._unreached, 0.0, most_s=most_s)
            return member.failed(error, now)
        member.cost_s = cost_s
        for other in postponed(members, member, now):
            self._schedule.set(other.name, other.retry_at)
        return member.failed(error, now, least_s=least_wait_s(members))
