"""Probes one address after the other, slowly, until a meter answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dlms_connector.config import Connection, SerialConnection
from dlms_connector.discovery import candidates
from dlms_connector.discovery.candidates import Candidate, Wanted
from dlms_connector.discovery.pace import Pace
from dlms_connector.discovery.probes import Attempt
from dlms_connector.discovery.probing import Probing
from dlms_connector.discovery.stages import Stage, stages
from dlms_connector.errors import ConnectError, LinkError, LinkTimeoutError
from dlms_connector.link import Link
from dlms_connector.meter import converse
from dlms_connector.protocol.datalink import sign_on
from dlms_connector.protocol.readout import DataSet, data_sets, read_out

MakeLink = Callable[[Connection], Link]
#: Receives the next probe in words, the number of probes so far, and the most there may be.
Trying = Callable[[str, int, int], None]

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
#: How often a readout is asked for again: the meter may still wait for HDLC.
_READOUTS = 2


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
        self._probing = Probing(pace.timeout_s, partial(self._open, first=False))
        self._tried: set[Candidate] = set()
        self._next = self._end = 0.0
        self._total = 0

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
        self._probing.hurry()
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
        attempt = replace(await self._probing.probe(candidate, link), baudrate=baudrate)
        self.attempts.append(attempt)
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
