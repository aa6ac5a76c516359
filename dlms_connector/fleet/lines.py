"""The lines of a fleet, one for each endpoint: made, kept running, exchanged and ended.

When the meters change, a line whose meters are as they were goes on and notices nothing. The others
end: they release what is open and hang up. Those in their place begin when that is done, as two
lines must neither talk at one endpoint nor use the same files.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from dlms_connector.config import ConnectionGroup, Device
from dlms_connector.errors import DlmsError
from dlms_connector.fleet.archive import Archive, Records
from dlms_connector.fleet.gate import Gate
from dlms_connector.fleet.jobs import Job, ReplacedError
from dlms_connector.fleet.line import Line
from dlms_connector.fleet.pace import Demand
from dlms_connector.fleet.places import Places
from dlms_connector.fleet.schedule import backoff_s, spread
from dlms_connector.fleet.shared_keys import warn_of_shared_keys
from dlms_connector.fleet.sink import Sink
from dlms_connector.link import DialInLink, Link
from dlms_connector.meter import MakeClient, Statistics, unread_of
from dlms_connector.metrics import Tally
from dlms_connector.state import NoPlace

#: How many meters have their first poll in the same second, so that ten thousand take two minutes
#: at most also if they are polled once an hour.
_STARTS_PER_S = 100
#: Seconds for releasing all associations at the end; and those of meters that have changed, for
#: which nobody waits but what comes in their place.
_FAREWELL_S, _LET_GO_S = 0.5, 3.0


class Lines:
    """The lines of all polled meters, each supervised: they run from `start` to `end`.

    `said` gets what a meter says besides its answers. `room_for` tells how many lines may have a
    connection at once, None for all. Without records, profiles are not read.
    """

    def __init__(
        self,
        sink: Sink,
        log: logging.Logger,
        *,
        state_dir: Path | NoPlace | None,
        link_of: Callable[[Device], Link],
        client_of: MakeClient,
        now_ms: Callable[[], int],
        said: Callable[[str, bytes], None],
        groups: Mapping[str, ConnectionGroup],
        room_for: Callable[[Sequence[Device], logging.Logger], int | None],
    ) -> None:
        self._sink, self._log, self._said = sink, log, said
        self._state_dir, self._now_ms = state_dir, now_ms
        self._link_of, self._client_of, self._room_for = link_of, client_of, room_for
        self._archive: Archive | None = None
        self._gate, self._places = Gate(), Places(None)
        self._pools = {name: Places(one.max_concurrent) for name, one in groups.items()}
        self._demands = {name: Demand(one.max_concurrent) for name, one in groups.items()}
        #: What came of all polls.
        self.tally = Tally()
        #: What meters counted that have left since: sums of all must not become less.
        self.departed = Statistics()
        self._at: dict[str, Line] = {}
        #: The lines by the names of their meters. Replaced by a change: any thread may look at it.
        self.of: Mapping[str, Line] = {}
        self._tasks: dict[Line, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_running = False

    def __iter__(self) -> Iterator[Line]:
        return iter(self._at.values())

    def at(self, endpoint: str) -> Line:
        """Return the line of an endpoint; raises KeyError."""
        return self._at[endpoint]

    def change(self, devices: Sequence[Device], records: Records | None) -> None:
        """Poll these meters from now on; lines whose meters are as they were just go on.

        Calls that no meter has heard of yet are kept for the meters that are still there.
        """
        by_endpoint = _by_endpoint(devices)
        before = self._at
        kept = {at: line for at, line in before.items() if line.serves(by_endpoint.get(at, ()))}
        warn_of_shared_keys(devices, self._log, known=_names(kept.values()))
        self._places.resize(self._room_for(devices, self._log))
        if self._archive is None:
            self._archive = _archive_of(devices, records)
        spread_s = max(1.0, len(devices) / _STARTS_PER_S)
        self._at = {
            at: kept.get(at) or self._make(members, spread_s) for at, members in by_endpoint.items()
        }
        self.of = {name: line for line in self._at.values() for name in line.members}
        self._leave([line for at, line in before.items() if at not in kept])
        if self._is_running:
            self._run(line for at, line in self._at.items() if at not in kept)

    def start(self) -> None:
        """Run all lines, until `end`."""
        self._is_running = True
        self._run(self)

    async def end(self) -> None:
        """Release all associations and close all links, within half a second."""
        self._is_running = False
        tasks = {*self._tasks.values(), *self._leaving}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL_S / 5)
        await _farewell(self._at.values(), _FAREWELL_S * 3 / 5)
        if self._archive is not None:
            self._archive.close()

    def _make(self, members: Sequence[Device], spread_s: float) -> Line:
        link = self._link_of(members[0])
        group = members[0].connection.group or ""
        pool = self._pools.get(group)
        # The call of a meter that dials in is open in any case.
        files = () if isinstance(link, DialInLink) else (self._places,)
        line = Line(
            members,
            self._sink,
            self._log,
            link=link,
            open_link=self._gate.open,
            make_client=self._client_of,
            now_ms=self._now_ms,
            state_dir=self._state_dir,
            spread_s=spread_s,
            unasked=self._said,
            archive=self._archive,
            places=files if pool is None else (pool, *files),
            polled=self.tally.polled,
            demands=(self._demands[group],) if group in self._demands else (),
        )
        if isinstance(link, DialInLink):
            link.arrived = line.called
            if len(members) == 1:  # else nobody knows who said it
                link.said = unread_of(members[0], partial(self._said, members[0].device_name))
        return line

    # Running

    def _run(self, lines: Iterable[Line]) -> None:
        for line in lines:
            name = next(iter(line.members.values())).device.connection.endpoint
            self._tasks[line] = asyncio.create_task(self._supervise(name, line), name=name)

    async def _supervise(self, endpoint: str, line: Line) -> None:
        """Keep a line running; restart it after an internal error. Other lines are not affected."""
        if self._leaving:  # they may be at the same endpoint, or use the same files
            await asyncio.wait([*self._leaving])
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            start = loop.time()
            try:
                await line.run()
            except Exception:
                failures = 1 if loop.time() - start > 600 else failures + 1
                wait = backoff_s(failures, spread(endpoint))
                self._log.exception(
                    "%s: a fault of the connector; the line starts again in %.0f s", endpoint, wait
                )
                await line.close()
                await asyncio.sleep(wait)

    # Ending

    def _leave(self, lines: Sequence[Line]) -> None:
        """End lines for good; their waiting calls go to those that have the meters now."""
        tasks = [task for line in lines if (task := self._tasks.pop(line, None)) is not None]
        for task in tasks:
            task.cancel()
        for line in lines:
            for member in line.members.values():
                self.departed.add(member.meter.statistics)
            for job in line.leave():
                self._pass_on(job)
        if tasks:
            leaving = asyncio.create_task(self._let_go(lines, tasks), name="leaving")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _pass_on(self, job: Job) -> None:
        if (heir := self.of.get(job.member.name)) is not None:
            heir.inherit(job)
        else:
            job.fail(ReplacedError())

    async def _let_go(self, lines: Sequence[Line], tasks: Sequence[asyncio.Task[None]]) -> None:
        """Release what is open on lines whose tasks are cancelled, and hang up; within seconds."""
        try:
            await asyncio.wait(tasks, timeout=_LET_GO_S / 5)
            await _at_most(_LET_GO_S, _farewell(lines, _LET_GO_S * 3 / 5))
        finally:
            hanging_up = asyncio.gather(*map(_hang_up, lines), return_exceptions=True)
            await _at_most(_LET_GO_S / 5, hanging_up)
            if all(task.done() for task in tasks):
                for line in lines:
                    line.dismantle()


async def _at_most(seconds: float, work: Awaitable[object]) -> None:
    """Wait for something so long at most; it goes on if it takes longer."""
    await asyncio.wait({asyncio.ensure_future(work)}, timeout=seconds)


async def _hang_up(line: Line) -> None:
    await line.close()
    if isinstance(line.link, DialInLink):
        line.link.forget()
        await line.link.hang_up()


async def _farewell(lines: Iterable[Line], within_s: float) -> None:
    async def leave(line: Line) -> None:
        with suppress(DlmsError):  # nobody needs the error any more
            await line.farewell()

    # Tasks for thousands of silent lines would take longer than all releases.
    engaged = [line for line in lines if line.is_engaged]
    leaving = [asyncio.create_task(leave(line)) for line in engaged]
    if leaving:
        _, late = await asyncio.wait(leaving, timeout=within_s)
        for task in late:
            task.cancel()
    closing = (line.close() for line in engaged)
    await asyncio.gather(*leaving, *closing, return_exceptions=True)


def _by_endpoint(devices: Iterable[Device]) -> dict[str, list[Device]]:
    found: dict[str, list[Device]] = {}
    for device in devices:
        if device.is_polled:
            found.setdefault(device.connection.endpoint, []).append(device)
    return found


def _names(lines: Iterable[Line]) -> frozenset[str]:
    return frozenset(name for line in lines for name in line.members)


def _archive_of(devices: Sequence[Device], records: Records | None) -> Archive | None:
    """Return what reads profiles; None if there is nothing to read, or nowhere to keep it."""
    if records is None or not any(device.profiles for device in devices):
        return None
    return Archive(records, ThreadPoolExecutor(1, "dlms-history"))
