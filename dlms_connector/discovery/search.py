"""Probes one address after the other, slowly, until a meter answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from dlms_connector.config import Connection, SerialConnection
from dlms_connector.discovery import candidates
from dlms_connector.discovery.candidates import CLEAR_FIRST, PARAMETERS, Candidate, Wanted
from dlms_connector.discovery.pace import Pace
from dlms_connector.discovery.probes import Attempt, foreign, greet, knock, leave
from dlms_connector.discovery.stages import Stage, stages
from dlms_connector.errors import (
    ConnectError,
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
)
from dlms_connector.link import Link
from dlms_connector.meter import converse
from dlms_connector.protocol.datalink import sign_on
from dlms_connector.protocol.readout import DataSet, data_sets, read_out

MakeLink = Callable[[Connection], Link]
#: Receives the next probe in words, the number of probes so far, and the most there may be.
Trying = Callable[[str, int, int], None]

#: Seconds to wait for an answer to DISC after a silent probe: enough for most meters.
_GOODBYE_S = 0.3
#: Of a meter that answered, answers are waited for so long at least, and so many times longer
#: than the first one took.
_LEAST_S, _ALLOWANCE = 0.5, 5
#: Waits before a connection is tried again, in times of the usual wait; stages in a row that
#: find no connection before the search ends.
_PATIENCE, _MOST_LOST = (1, 3), 2
#: An endpoint that was reached before is reached again within so many milliseconds.
_RECONNECT_MS = 2000
#: After this many closed connections in a row, the present setting of the line is given up.
_MOST_HANG_UPS = 4
#: At a server that answered but refuses: other clients tried (HDLC), refusals (wrapper).
_MOST_CLIENTS = 6
_MOST_REFUSALS = 4
_HALF_DUPLEX_S = 0.03
#: How often a readout is asked for again: the meter may still wait for HDLC.
_READOUTS = 2
#: Addresses at which SNRM is repeated behind a DISC; SNRMs that may be lost without one.
_MOST_BEHIND_DISC, _MOST_ALONE = 3, 2
#: Addresses at which an SNRM that met a hang-up or a rejection is repeated with parameters.
_MOST_PROPOSING = 3


class Search:
    """One search; `attempts` grows while it runs."""

    def __init__(
        self,
        connection: Connection,
        wanted: Wanted,
        pace: Pace,
        *,
        make_link: MakeLink,
        trying: Trying,
        all_baudrates: bool = True,
    ) -> None:
        self.attempts: list[Attempt] = []
        #: The connection over which a meter answered.
        self.connection: Connection = connection
        self.stopped = ""
        #: Why the search ended early: the endpoint was reachable at first, but not later.
        self.lost = ""
        self.identification = ""
        #: The readout of a meter that speaks no DLMS.
        self.readout: tuple[DataSet, ...] = ()
        self._given, self._wanted, self._pace = connection, wanted, pace
        self._make_link, self._trying = make_link, trying
        self._all_baudrates = all_baudrates
        self._timeout_s = pace.timeout_s
        self._latency_s = 0.0
        self._tried: set[Candidate] = set()
        self._ours: set[int] = set()  # the clients that were probed
        self._next = self._end = 0.0
        self._total = self._behind_disc = self._proposing = 0

    async def run(self) -> None:
        """Search until a meter answers. Raises ConnectError if the endpoint is not reachable."""
        self._end = asyncio.get_running_loop().time() + self._pace.max_s
        every = list(stages(self._given, self._wanted, all_baudrates=self._all_baudrates))
        wanted = sum(len(stage.candidates) for stage in every)
        self._total = min(wanted, self._pace.max_probes)
        lost = 0
        for index, stage in enumerate(every):
            if self._is_over():
                return
            link = self._make_link(stage.connection if index == 0 else _hasty(stage.connection))
            try:
                await self._open(link, first=index == 0)
                if stage.signs_on:
                    await self._behind_sign_on(stage, link)
                else:
                    await self._stage(stage, link)
            except ConnectError as error:
                if not self.attempts:
                    raise
                self.lost = f"{error}, in the middle of the search: not all was tried"
                lost += 1
                if lost == _MOST_LOST:
                    return
            finally:
                await link.close()
            if self.answers:
                self.connection, self.lost = stage.connection, ""
            if self.answers or self.stopped or self.readout:
                return

    @property
    def answers(self) -> list[Attempt]:
        """The attempts that a DLMS server answered."""
        return [attempt for attempt in self.attempts if attempt.answered]

    async def _open(self, link: Link, *, first: bool) -> None:
        """Open the connection; again after a while, if a converter has not freed the last one."""
        if not first:
            await asyncio.sleep(self._pace.reopen_s)
        for factor in _PATIENCE if not first else ():
            try:
                await link.open()
                return
            except ConnectError:
                if self._is_over():
                    raise
            await asyncio.sleep(factor * self._pace.reopen_s)
        await link.open()

    async def _behind_sign_on(self, stage: Stage, link: Link) -> None:
        """Look for a meter behind the sign-on of mode E; one without it is read out."""
        if stage.candidates and await self._sign_on(link):
            await self._stage(stage, link)
        if self.answers or self.stopped or (stage.candidates and not self.identification):
            return
        self._trying("readout at 300 baud (modes A to C)", len(self.attempts), self._total)
        if not link.is_open:
            await self._open(link, first=False)
        talk = read_out(retries=_READOUTS)
        try:
            text = await converse(talk, link, timeout_s=max(1.5, self._pace.timeout_s))
        except LinkError as error:
            self.identification = self.identification or str(error)
            return
        self.readout = tuple(data_sets(text))

    async def _sign_on(self, link: Link) -> bool:
        self._trying("sign-on at 300 baud (mode E)", len(self.attempts), self._total)
        serial = isinstance(self._given, SerialConnection)
        talk = sign_on(retries=1 if serial else 0, settle_s=self._pace.settle_s)
        try:
            found = await converse(talk, link, timeout_s=max(1.5, self._pace.timeout_s))
        except LinkTimeoutError:
            return False
        except LinkError as error:  # another protocol, or the port cannot do 300 baud
            self.identification = str(error)
            return False
        self.identification = f"{found.manufacturer} {found.name}".strip()
        return True

    async def _stage(self, stage: Stage, link: Link) -> None:
        hang_ups = 0
        queue = deque(stage.candidates)
        while queue:
            candidate = queue.popleft()
            if not await self._may_go_on():
                return
            if not link.is_open:
                await self._open(link, first=False)
            attempt = await self._probe(candidate, link, stage.baudrate)
            hang_ups = hang_ups + 1 if attempt.kind == "closed" else 0
            if hang_ups == _MOST_HANG_UPS:
                return
            if attempt.answered and not stage.signs_on:
                await self._ask_around(attempt, stage, link)
            if attempt.answered:
                return
            if attempt.kind == "foreign" and attempt.found is not None:
                # Others talk to a meter there: so that address is a likely one for us too.
                there = replace(attempt.found, client=candidate.client)
                if there not in self._tried:
                    queue.appendleft(there)

    async def _ask_around(self, first: Attempt, stage: Stage, link: Link) -> None:
        """Try other clients at the server that answered, unless its answer is decisive."""
        found = first.found
        if found is None or first.is_decisive:
            return
        done = {found.client, first.candidate.client}
        clients = [one for one in candidates.clients_first(self._wanted) if one not in done]
        if first.kind == "accepted" and not (found.is_hdlc and clients):
            return
        most = _MOST_CLIENTS if found.is_hdlc else _MOST_REFUSALS - 1
        # The meter is there, so it answers as fast as before, or not at all.
        self._timeout_s = min(self._pace.timeout_s, max(_LEAST_S, _ALLOWANCE * self._latency_s))
        for client in clients[:most]:
            if not await self._may_go_on():
                return
            if not link.is_open:
                await self._open(link, first=False)
            other = await self._probe(replace(found, client=client), link, stage.baudrate)
            if other.kind == "accepted" and not found.is_hdlc:
                return

    async def _may_go_on(self) -> bool:
        """Wait until the next probe is due; false if a limit of the search is reached."""
        loop = asyncio.get_running_loop()
        if self._is_over():
            return False
        await asyncio.sleep(max(0.0, self._next - loop.time()))
        self._next = loop.time() + 1 / self._pace.per_second
        return True

    def _is_over(self) -> bool:
        """Note and return whether a limit of the search is reached."""
        if len(self.attempts) >= self._pace.max_probes:
            self.stopped = f"stopped after {len(self.attempts)} probes (--max-probes)"
        elif asyncio.get_running_loop().time() >= self._end:
            self.stopped = f"stopped after {self._pace.max_s:g} s (--max-seconds)"
        return bool(self.stopped)

    async def _probe(self, candidate: Candidate, link: Link, baudrate: int | None) -> Attempt:
        self._trying(_words(candidate, baudrate), len(self.attempts), self._total)
        self._tried.add(candidate)
        self._ours.add(candidate.client)
        attempt = first = self._judged(await self._knock(candidate, link))
        if self._may_want_parameters(attempt):
            attempt = first = await self._with_parameters(attempt, link)
        if candidate.is_hdlc and link.is_open:
            attempt = self._judged(await self._leave(attempt, link))
        if first.kind == "silence" and attempt.kind == "refused" and candidate.interface == "HDLC":
            attempt = await self._once_more(attempt, link)
        attempt = replace(attempt, baudrate=baudrate)
        self.attempts.append(attempt)
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
            attempt = await converse(talk, link, timeout_s=self._timeout_s)
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
            await self._open(link, first=False)
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
                await self._open(link, first=False)
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
            await self._open(link, first=False)
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
        wait_s = self._timeout_s if attempt.answered else _GOODBYE_S
        await asyncio.sleep(_HALF_DUPLEX_S if attempt.answered else 0)
        try:
            goodbye = await converse(leave(attempt), link, timeout_s=min(wait_s, self._timeout_s))
        except LinkClosedError:
            await link.close()
            return attempt
        if not attempt.answered and goodbye.answered:
            return replace(goodbye, candidate=attempt.candidate)
        return attempt


def _hasty(connection: Connection) -> Connection:
    """Return the connection with less patience for it to be established, as it was before."""
    if isinstance(connection, SerialConnection):
        return connection
    most = min(connection.connect_timeout_ms, _RECONNECT_MS)
    return connection.model_copy(update={"connect_timeout_ms": most})


def _words(candidate: Candidate, baudrate: int | None) -> str:
    baud = f" {baudrate} baud" if baudrate else ""
    return f"{candidate.interface}{baud} {candidate}"
