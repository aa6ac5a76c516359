"""Probes one address over a link, also in the ways that some meters need to answer at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from dlms_connector.discovery.candidates import CLEAR_FIRST, PARAMETERS, Candidate
from dlms_connector.discovery.probes import Attempt, foreign, greet, knock, leave
from dlms_connector.errors import ConnectError, LinkClosedError
from dlms_connector.link import Link
from dlms_connector.meter import converse

#: Seconds to wait for an answer to DISC after a silent probe: enough for most meters.
_GOODBYE_S = 0.3
#: Of a meter that answered, answers are waited for so long at least, and so many times longer
#: than the first one took.
_LEAST_S, _ALLOWANCE = 0.5, 5
#: Seconds after an answer before more is sent: a line for both directions has to turn round.
_HALF_DUPLEX_S = 0.03
#: Addresses at which SNRM is repeated behind a DISC; SNRMs that may be lost without one.
_MOST_BEHIND_DISC, _MOST_ALONE = 3, 2
#: Addresses at which an SNRM that met a hang-up or a rejection is repeated with parameters.
_MOST_PROPOSING = 3


class Probing:
    """The probes of one search; what was tried too often is not tried again."""

    def __init__(self, timeout_s: float, reopen: Callable[[Link], Awaitable[None]]) -> None:
        """Take how long to wait for an answer, and what opens a link that was closed."""
        self._timeout_s = self._wait_s = timeout_s
        self._reopen = reopen
        self._latency_s = 0.0
        self._ours: set[int] = set()  # the clients that were probed
        self._behind_disc = self._proposing = 0

    def hurry(self) -> None:
        """Wait less: a meter that is there answers as fast as before, or not at all."""
        self._wait_s = min(self._timeout_s, max(_LEAST_S, _ALLOWANCE * self._latency_s))

    async def probe(self, candidate: Candidate, link: Link) -> Attempt:
        """Return the answer to a probe; the link may be closed then. Raises ConnectError."""
        self._ours.add(candidate.client)
        attempt = first = self._judged(await self._knock(candidate, link))
        if self._may_want_parameters(attempt):
            attempt = first = await self._with_parameters(attempt, link)
        if candidate.is_hdlc and link.is_open:
            attempt = self._judged(await self._leave(attempt, link))
        if first.kind == "silence" and attempt.kind == "refused" and candidate.interface == "HDLC":
            attempt = await self._once_more(attempt, link)
        return attempt

    def _judged(self, attempt: Attempt) -> Attempt:
        """Return an answer to a client that we never were as what it is: another's session."""
        if attempt.found is None:
            return attempt
        ours = attempt.found.client in self._ours
        if attempt.answered and not ours:
            return foreign(attempt)
        if attempt.kind == "foreign" and ours and attempt.found.client != attempt.candidate.client:
            return Attempt(candidate=attempt.candidate, kind="silence")  # a late echo
        return attempt

    async def _knock(self, candidate: Candidate, link: Link) -> Attempt:
        talk = knock(candidate) if candidate.is_hdlc else greet(candidate)
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            attempt = await converse(talk, link, timeout_s=self._wait_s)
            self._latency_s = now() - begun
            return attempt
        except LinkClosedError:
            await link.close()
            return Attempt(candidate=candidate, kind="closed")

    async def _once_more(self, refused: Attempt, link: Link) -> Attempt:
        """Knock again behind a DISC that met DM: some meters answer SNRM only there."""
        found = refused.found
        if found is None or not link.is_open or self._behind_disc >= _MOST_BEHIND_DISC:
            return refused
        self._behind_disc += 1
        again = self._judged(await self._knock(found, link))
        if again.kind != "accepted" or again.found is None:
            return await self._anew(refused, found, link)
        await self._leave(again, link)
        needs = {} if await self._answers_alone(again.found, link) else {CLEAR_FIRST: "always"}
        return replace(again, candidate=refused.candidate, found=again.found.needing(needs))

    async def _anew(self, refused: Attempt, found: Candidate, link: Link) -> Attempt:
        """Knock over a new connection: some meters hear nothing behind a DISC without a session.

        More than once, as the first SNRM was not heard either.
        """
        await link.close()
        try:
            await self._reopen(link)
        except ConnectError:
            return refused
        for _ in range(_MOST_ALONE):
            again = self._judged(await self._knock(found, link))
            if again.kind == "accepted":
                await self._leave(again, link)
                return replace(again, candidate=refused.candidate)
            if not link.is_open:
                break
        if self._proposing >= _MOST_PROPOSING:
            return refused
        again = await self._with_parameters(refused, link)
        if again is not refused:
            await self._leave(again, link)
        return replace(again, candidate=refused.candidate)

    def _may_want_parameters(self, attempt: Attempt) -> bool:
        """Whether the peer hung up at an SNRM without parameters, or rejected it."""
        one = attempt.candidate
        rejected = attempt.kind == "refused" and "FRMR" in attempt.detail
        if one.interface != "HDLC" or one.need(PARAMETERS):
            return False
        return (attempt.kind == "closed" or rejected) and self._proposing < _MOST_PROPOSING

    async def _with_parameters(self, failed: Attempt, link: Link) -> Attempt:
        """Knock again by an SNRM with parameters; return the answer if it is accepted."""
        self._proposing += 1
        try:
            if not link.is_open:
                await self._reopen(link)
        except ConnectError:
            return failed
        address = failed.found or failed.candidate
        again = self._judged(await self._knock(address.needing({PARAMETERS: 1}), link))
        return again if again.kind == "accepted" else failed

    async def _answers_alone(self, candidate: Candidate, link: Link) -> bool:
        """Whether SNRM is answered on a new connection without DISC: the first may be lost.

        On a serial line nothing is new, so there it is answered.
        """
        await link.close()
        try:
            await self._reopen(link)
        except ConnectError:
            return True
        for _ in range(_MOST_ALONE):
            alone = await self._knock(candidate, link)
            if not link.is_open:
                return True
            if alone.answered:
                await self._leave(alone, link)
                return True
        return False

    async def _leave(self, attempt: Attempt, link: Link) -> Attempt:
        """Send DISC, so that no link stays open; its answer counts if the probe had none.

        A meter without a link to us answers DISC with DM: so it is there.
        """
        wait_s = self._wait_s if attempt.answered else _GOODBYE_S
        await asyncio.sleep(_HALF_DUPLEX_S if attempt.answered else 0)
        try:
            goodbye = await converse(leave(attempt), link, timeout_s=min(wait_s, self._wait_s))
        except LinkClosedError:
            await link.close()
            return attempt
        if not attempt.answered and goodbye.answered:
            return replace(goodbye, candidate=attempt.candidate)
        return attempt
