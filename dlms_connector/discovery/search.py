"""Probes one address after the other, slowly, until a meter answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dlms_connector.config import Connection, SerialConnection, UdpConnection
from dlms_connector.discovery import candidates
from dlms_connector.discovery.candidates import Candidate, Wanted
from dlms_connector.discovery.probes import Attempt, greet, knock, leave
from dlms_connector.errors import (
    ConnectError,
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
)
from dlms_connector.link import Link
from dlms_connector.meter import converse
from dlms_connector.protocol.datalink import SETTLE_S, sign_on

MakeLink = Callable[[Connection], Link]
#: Receives the next probe in words, the number of probes so far, and the most there may be.
Trying = Callable[[str, int, int], None]

#: Seconds to wait for an answer to DISC after a silent probe: enough for most meters.
_GOODBYE_S = 0.5
#: After this many closed connections in a row, the present setting of the line is given up.
_MOST_HANG_UPS = 4
#: At a server that answered but refuses: other clients tried (HDLC), refusals (wrapper).
_MOST_CLIENTS = 6
_MOST_REFUSALS = 4
_HALF_DUPLEX_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The limits of a search in rate and duration, to spare meters that are in use."""

    timeout_s: float = 2.0
    per_second: float = 2.0
    max_probes: int = 120
    max_s: float = 600.0
    #: Wait before reconnecting: many converters need time to release the last connection.
    reopen_s: float = 0.3
    settle_s: float = SETTLE_S


@dataclass(frozen=True, slots=True)
class _Stage:
    """The candidates for one setting of the line."""

    connection: Connection
    candidates: tuple[Candidate, ...]
    baudrate: int | None = None
    signs_on: bool = False


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
        self._given, self._wanted, self._pace = connection, wanted, pace
        self._make_link, self._trying = make_link, trying
        self._all_baudrates = all_baudrates
        self._next = self._end = 0.0
        self._total = 0

    async def run(self) -> None:
        """Search until a meter answers. Raises ConnectError if the endpoint is not reachable."""
        self._end = asyncio.get_running_loop().time() + self._pace.max_s
        stages = list(_stages(self._given, self._wanted, all_baudrates=self._all_baudrates))
        wanted = sum(len(stage.candidates) for stage in stages)
        self._total = min(wanted, self._pace.max_probes)
        for index, stage in enumerate(stages):
            link = self._make_link(stage.connection)
            try:
                await self._open(link, first=index == 0)
                if stage.signs_on and not await self._sign_on(link):
                    continue
                await self._stage(stage, link)
            except ConnectError as error:
                if not self.attempts:
                    raise
                self.lost = f"{error}, in the middle of the search: not all was tried"
            finally:
                await link.close()
            if self.answers:
                self.connection, self.lost = stage.connection, ""
            if self.answers or self.stopped:
                return

    @property
    def answers(self) -> list[Attempt]:
        """The attempts that a DLMS server answered."""
        return [attempt for attempt in self.attempts if attempt.answered]

    async def _open(self, link: Link, *, first: bool) -> None:
        try:
            await link.open()
        except ConnectError:
            if first:
                raise
            await asyncio.sleep(self._pace.reopen_s)
            await link.open()

    async def _sign_on(self, link: Link) -> bool:
        self._trying("sign-on at 300 baud (mode E)", len(self.attempts), self._total)
        talk = sign_on(retries=1, settle_s=self._pace.settle_s)
        try:
            found = await converse(talk, link, timeout_s=max(1.5, self._pace.timeout_s))
        except LinkTimeoutError:
            return False
        except LinkError as error:  # another protocol, or the port cannot do 300 baud
            self.identification = str(error)
            return False
        self.identification = f"{found.manufacturer} {found.name}".strip()
        return True

    async def _stage(self, stage: _Stage, link: Link) -> None:
        hang_ups = 0
        for candidate in stage.candidates:
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

    async def _ask_around(self, first: Attempt, stage: _Stage, link: Link) -> None:
        """Try other clients at the server that answered, unless its answer is decisive."""
        found = first.found
        if found is None or first.is_decisive:
            return
        done = {found.client, first.candidate.client}
        clients = [one for one in candidates.clients_first(self._wanted) if one not in done]
        if first.kind == "accepted" and not (found.is_hdlc and clients):
            return
        most = _MOST_CLIENTS if found.is_hdlc else _MOST_REFUSALS - 1
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
        if len(self.attempts) >= self._pace.max_probes:
            self.stopped = f"stopped after {len(self.attempts)} probes (--max-probes)"
        elif loop.time() >= self._end:
            self.stopped = f"stopped after {self._pace.max_s:g} s (--max-seconds)"
        if self.stopped:
            return False
        await asyncio.sleep(max(0.0, self._next - loop.time()))
        self._next = loop.time() + 1 / self._pace.per_second
        return True

    async def _probe(self, candidate: Candidate, link: Link, baudrate: int | None) -> Attempt:
        self._trying(_words(candidate, baudrate), len(self.attempts), self._total)
        link.drain()
        attempt = await self._knock(candidate, link)
        if candidate.is_hdlc and link.is_open:
            attempt = await self._leave(attempt, link)
        attempt = replace(attempt, baudrate=baudrate)
        self.attempts.append(attempt)
        return attempt

    async def _knock(self, candidate: Candidate, link: Link) -> Attempt:
        talk = knock(candidate) if candidate.is_hdlc else greet(candidate)
        try:
            return await converse(talk, link, timeout_s=self._pace.timeout_s)
        except LinkClosedError:
            await link.close()
            return Attempt(candidate=candidate, kind="closed")

    async def _leave(self, attempt: Attempt, link: Link) -> Attempt:
        """Send DISC, so that no link stays open; its answer counts if the probe had none.

        A meter without a link to us answers DISC with DM: so it is there.
        """
        wait_s = self._pace.timeout_s if attempt.answered else _GOODBYE_S
        await asyncio.sleep(_HALF_DUPLEX_S if attempt.answered else 0)
        try:
            goodbye = await converse(
                leave(attempt), link, timeout_s=min(wait_s, self._pace.timeout_s)
            )
        except LinkClosedError:
            await link.close()
            return attempt
        if attempt.kind in ("silence", "noise") and goodbye.answered:
            return replace(goodbye, candidate=attempt.candidate)
        return attempt


def _words(candidate: Candidate, baudrate: int | None) -> str:
    baud = f" {baudrate} baud" if baudrate else ""
    return f"{candidate.interface}{baud} {candidate}"


def _stages(given: Connection, wanted: Wanted, *, all_baudrates: bool) -> Iterator[_Stage]:
    if isinstance(given, SerialConnection):
        yield from _serial_stages(given, wanted, all_baudrates=all_baudrates)
    elif isinstance(given, UdpConnection):
        yield _Stage(given, tuple(candidates.wrapper(wanted)))
    else:
        yield from _tcp_stages(given, wanted)


def _tcp_stages(given: Connection, wanted: Wanted) -> Iterator[_Stage]:
    interfaces = wanted.interfaces or ("HDLC", "WRAPPER")
    quick = tuple(candidates.hdlc(wanted, quick=True))
    if "HDLC" in interfaces and "WRAPPER" in interfaces:
        yield _Stage(given, quick)
        yield _Stage(given, tuple(candidates.wrapper(wanted)))
        yield _Stage(given, tuple(_without(candidates.hdlc(wanted), quick)))
    elif "WRAPPER" in interfaces:
        yield _Stage(given, tuple(candidates.wrapper(wanted)))
    elif "HDLC" in interfaces:
        yield _Stage(given, tuple(candidates.hdlc(wanted)))
    if "HDLC_WITH_MODE_E" in interfaces:
        yield _mode_e(given, wanted)


def _serial_stages(
    given: SerialConnection, wanted: Wanted, *, all_baudrates: bool
) -> Iterator[_Stage]:
    interfaces = wanted.interfaces or ("HDLC", "HDLC_WITH_MODE_E")
    quick = tuple(candidates.hdlc(wanted, quick=True))
    if "HDLC" in interfaces:
        rates = candidates.BAUDRATES if all_baudrates else ()
        for rate in dict.fromkeys((given.baudrate, *rates)):
            yield _Stage(given.model_copy(update={"baudrate": rate}), quick, rate)
    if "HDLC_WITH_MODE_E" in interfaces:
        yield _mode_e(given, wanted)
    if "HDLC" in interfaces:
        rest = tuple(_without(candidates.hdlc(wanted), quick))
        yield _Stage(given, rest, given.baudrate)


def _mode_e(given: Connection, wanted: Wanted) -> _Stage:
    every = candidates.hdlc(wanted, quick=not wanted.servers, interface="HDLC_WITH_MODE_E")
    return _Stage(given, tuple(every), None, signs_on=True)


def _without(all_of: Iterable[Candidate], some: Sequence[Candidate]) -> Iterator[Candidate]:
    done = {(one.client, one.octets) for one in some}
    return (one for one in all_of if (one.client, one.octets) not in done)
