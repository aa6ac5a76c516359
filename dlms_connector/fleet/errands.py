"""When a line reads history: in the time that its polls leave, in short visits.

A visit is begun if it is over before the next poll is due, as far as the visits before tell. Where
polls never leave so much room, a small one is begun now and then all the same: at most a tenth of
the line's time goes to them. Meters that share a line get like shares.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import Any, TypeVar

from dlms_connector.errors import DlmsError, LinkError
from dlms_connector.fleet.brake import Brake
from dlms_connector.fleet.member import Member
from dlms_connector.fleet.visit import Visit
from dlms_connector.history import ProfileRead
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk

T = TypeVar("T")

#: A visit aims at this many seconds at most: so long may a call have to wait for it.
_MOST_S = 2.0
#: One that is begun although there is no room for it aims at this.
_LEAST_S = 0.5
#: After a visit, polls that leave no room have the line for so many times its duration.
_POLLS_SHARE = 9
#: A visit is over so many seconds before the next poll.
_MARGIN_S = 0.05
#: A meter whose association is open goes on, until it has had so much more than another.
_AHEAD_S = 5.0


class Errands:
    """Chooses and runs the visits of a line; times are in seconds of the loop's clock."""

    def __init__(self, members: Iterable[Member], brake: Brake, log: logging.Logger) -> None:
        everyone = tuple(members)
        self._shared = len(everyone) > 1
        self._members = [member for member in everyone if member.history is not None]
        self._served = {member.name: 0.0 for member in self._members}
        #: How long it takes to open an association, by meter.
        self._opening: dict[str, float] = {}
        self._brake, self._log = brake, log
        self._free_at = -inf

    def next(self, now: float, poll_due: float | None) -> tuple[Member, Visit] | None:
        """Return a visit that may begin now, None if there is none; nothing changes by this."""
        return self._safely(lambda: self._choose(now, poll_due), None)

    def wake_at(self, now: float) -> float:
        """Return when to call `next` again, if nothing else happens before."""
        return self._safely(lambda: self._next_due(now), inf)

    def goes_on(self, member: Member, now: float) -> bool:
        """Whether a meter is likely to be visited again soon."""
        history = member.history
        if history is None:
            return False
        return self._safely(lambda: history.is_busy or history.due(now) <= now + _MOST_S, False)

    def _choose(self, now: float, poll_due: float | None) -> tuple[Member, Visit] | None:
        if not self._members or not self._brake.lets(now):
            return None
        room_s = inf if poll_due is None else poll_due - now - _MARGIN_S
        overdue = now >= self._free_at
        if room_s <= 0 and not overdue:
            return None
        for member in sorted(self._waiting(now), key=self._rank):
            assert member.history is not None
            free_s = room_s - self._opening_s(member)
            if visit := member.history.visit(now, min(free_s, _MOST_S), forced=False):
                return member, visit
            least = member.history.visit(now, _LEAST_S, forced=True)
            if least is not None and (overdue or least.seconds <= free_s):
                return member, least
        return None

    def _next_due(self, now: float) -> float:
        at = min((one.history.due(now) for one in self._able() if one.history), default=inf)
        if at > now:
            return at
        if not self._brake.lets(now):
            return self._brake.again(now)
        return max(self._free_at, now + _LEAST_S)

    def _safely(self, ask: Callable[[], T], otherwise: T) -> T:
        """Return an answer; a fault of ours ends the reading of history here, not the polls."""
        try:
            return ask()
        except Exception:
            names = ", ".join(member.name for member in self._members)
            self._log.exception(
                "%s: a fault of the connector: history is not read until a restart", names
            )
            self._members = []
            return otherwise

    async def run(self, member: Member, visit: Visit) -> DlmsError | None:
        """Run a visit; return the error if it failed by one. Raises what is a fault of ours."""
        loop = asyncio.get_running_loop()
        start, history = loop.time(), member.history
        assert history is not None
        was_open, began = member.meter.session.is_open, start

        def talk(client: Client) -> Talk[Any]:
            nonlocal began
            began = loop.time()
            return visit.talk(client)

        self._brake.begin(start, brings=visit.brings)
        visit.begun()
        try:
            result = await member.meter.run(talk, timeout_s=visit.limit_s, hurried=self._shared)
            seconds = loop.time() - began
            if not was_open:
                self._opening[member.name] = began - start
            rows = len(result.rows_ms) if isinstance(result, ProfileRead) else None
            history.answered(rows, seconds)
            visit.read(result, seconds)
            return None
        except DlmsError as error:
            if isinstance(error, LinkError):
                history.silent(loop.time())
            visit.failed(error)
            return error
        except Exception as error:
            visit.failed(error)
            raise
        finally:
            self._brake.end()
            end = loop.time()
            self._free_at = end + _POLLS_SHARE * (end - start)
            self._serve(member, end - start)

    def _able(self) -> list[Member]:
        return [member for member in self._members if member.is_answering]

    def _waiting(self, now: float) -> list[Member]:
        return [one for one in self._able() if one.history and one.history.due(now) <= now]

    def _rank(self, member: Member) -> float:
        ahead_s = _AHEAD_S if member.meter.session.is_open else 0.0
        return self._served[member.name] - ahead_s

    def _serve(self, member: Member, seconds: float) -> None:
        """Count what a meter got; one that wanted nothing for long has no claim to more later."""
        self._served[member.name] += seconds
        least = self._served[member.name] - 2 * _AHEAD_S
        for name, served in self._served.items():
            self._served[name] = max(served, least)

    def _opening_s(self, member: Member) -> float:
        return 0.0 if member.meter.session.is_open else self._opening.get(member.name, _LEAST_S)
