"""Polls one meter: plans, reads, recovers, and keeps the association while it is useful."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from dlms_connector.config import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import (
    DlmsError,
    DroppedError,
    LinkClosedError,
    LinkError,
    LinkTimeoutError,
    ObjectError,
    OutOfStepError,
    ProtocolError,
    RefusedError,
    ServiceError,
)
from dlms_connector.interpret import options_of
from dlms_connector.link import Link
from dlms_connector.meter.clock_news import ClockNews
from dlms_connector.meter.compiled import Compilations
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.meter.exchange import in_slices
from dlms_connector.meter.idleness import IdleLimit
from dlms_connector.meter.learned import Learned
from dlms_connector.meter.noticed import Noticed
from dlms_connector.meter.outcome import Outcome, clock_answer, outcomes
from dlms_connector.meter.plan import Limits, Wanted
from dlms_connector.meter.refusals import Refusals
from dlms_connector.meter.session import MakeClient, Session
from dlms_connector.meter.steady import Turn
from dlms_connector.meter.unread import unread_of
from dlms_connector.protocol import CIPHERING_OVERHEAD, Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.services import ASKED, POLLED, Directory
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import LARGEST_VALUE
from dlms_connector.state import InvocationCounter, ShortNameFile

T = TypeVar("T")

#: Part of the inactivity timeout within which the next poll must come.
_MARGIN = 0.9
#: A poll may take this long even where the timeouts allow it less.
_LEAST_BUDGET_S = 30.0
#: The object list of a meter with short names may take this long, if parts of it keep coming.
_LIST_BUDGET_S = 600.0
#: Requests of a poll that may stay unanswered, each with all its retries.
_SILENCES = 4


class Meter:
    """Reads one meter over a link that the caller owns and lends for a turn.

    `open_link` opens the link and raises ConnectError; `now_ms` is the Unix time in ms;
    `shared` says that other meters talk over the same link. Only one method may run at
    a time.
    """

    def __init__(
        self,
        device: Device,
        link: Link,
        *,
        open_link: Callable[[], Awaitable[None]],
        make_client: MakeClient,
        now_ms: Callable[[], int],
        log: logging.Logger,
        counter: InvocationCounter | None = None,
        short_names: ShortNameFile | None = None,
        shared: bool = False,
        unasked: Callable[[str, bytes], None] = lambda name, apdu: None,
    ) -> None:
        """`unasked` gets the device's name and each APDU that answers nothing, as received."""
        self.device = device
        self.statistics = Statistics()
        self._noticed = Noticed(device.device_name, self.statistics, log, unasked)
        self.learned = Learned(
            device.device_name, log, single_reads=device.workarounds.single_reads
        )
        remarks = self._noticed.remarks
        self._directory = Directory(remarks=remarks)
        self._short_names = short_names
        if short_names is not None:
            self._directory.remember(*short_names.load())
        self.session = Session(
            device,
            link,
            self.statistics,
            open_link=open_link,
            make_client=make_client,
            idle_limit=IdleLimit(device, log),
            counter=counter,
            directory=self._directory,
            shared=shared,
            # Of what arrives on a shared line nobody knows who sent it.
            unread=_ignored if shared else unread_of(device, remarks.unasked),
        )
        self._options = options_of(device.dlms)
        self._clock_news = ClockNews(device.device_name, self._options, log)
        self._refusals = Refusals(device.device_name, log)
        self._compilations = Compilations(self.learned, self._options)
        #: The limits of requests, for the client and the findings that they hold for.
        self._limited: tuple[Client, int, Limits] | None = None
        self._now_ms = now_ms
        self._shared = shared
        own = device.uplink_converter is not None
        #: A converter of the user's own may send a little of a long value: it gets all of it.
        self._polled = ASKED if own else POLLED
        self._largest = None if own else LARGEST_VALUE

    def keeps(self, idle_s: float) -> bool:
        """Whether to keep the association for the next poll in `idle_s` seconds."""
        keep = self.device.connection.keep_open
        if keep is False or (keep == "auto" and self._shared):
            return False
        return idle_s <= self.session.inactivity_s * _MARGIN

    def forget(self) -> None:
        """Forget what may have changed while the meter did not answer for a long time."""
        self.learned.forget()
        self._directory.forget()

    def doubt_scalers(self) -> None:
        """Read scalers and units again: it may have been exchanged, or set anew."""
        self.learned.forget_scalers()

    def dismantle(self) -> None:
        """Let parts that hold each other go: the meter is not used any more.

        So they are freed at once. Python's search for such circles is kept away from a large fleet.
        """
        self._noticed.dismantle()

    async def poll(self, due: Sequence[Wanted], *, hurried: bool = False) -> Outcome:
        """Read what is due, reconnecting once if the association breaks; never raises DlmsError.

        `hurried` says that other meters wait for the line: a silent one costs them one timeout.
        """
        self.session.patience.begin(hurried=hurried)
        loop = asyncio.get_running_loop()
        start = loop.time()
        turn = Turn(due, self.learned, self._now_ms, self._compilations)
        broken, down = await self._read(turn, start + self._budget_s(len(due)))
        result = turn.outcome()
        if result is not None:
            self._refusals.given(due)
        else:
            if broken is None:
                self.session.renew |= self._refusals.call_for_another(
                    due, turn.answers, self.learned.scalers
                )
            work = outcomes(
                due,
                turn.answers,
                self.learned.scalers,
                broken=broken,
                down=down,
                dlms=self.device.dlms,
                largest=self._largest,
            )
            result = await in_slices(work)
        statistics = self.statistics
        self._noticed.tell_refused(outage=result.error is not None)
        if result.error:
            statistics.polls_failed += 1
        else:
            statistics.polls_ok += 1
            statistics.poll_ms = round((loop.time() - start) * 1000)
        if turn.has_clock and (clock := clock_answer(due, turn.answers, self._options)):
            statistics.clock_drift_s = clock.drift_s
            self._clock_news.read(clock)
        return result

    async def run(
        self, job: Callable[[Client], Talk[T]], *, timeout_s: float, hurried: bool = False
    ) -> T:
        """Run a talk within the association; raises DlmsError. `hurried` is as for `poll`.

        A talk that has only read so far starts again in a new association if this one breaks, once,
        as a poll does; not after silence, for which there is no time. After a SET or ACTION it is
        not repeated, because the meter may have carried that out, unless the meter dropped an
        idle association: then it rejects the first request.
        """
        loop = asyncio.get_running_loop()
        self.session.patience.begin(hurried=hurried)
        end = loop.time() + timeout_s
        client = await self._ready(end)
        doubtful, before, changes = self.session.is_doubtful, self._progress(client), client.changes
        try:
            return await self._run(client, job, end)
        except (LinkError, ServiceError) as error:
            quiet_s = self.session.quiet_s
            in_time = loop.time() + quiet_s < end and not (self._shared and quiet_s > 0)
            first = doubtful and self._progress(client) == before
            if not in_time or not self._harmless(error, first, client.changes != changes):
                raise
        await self.session.dropped()
        return await self._run(await self._ready(end), job, end)

    async def _run(self, client: Client, job: Callable[[Client], Talk[T]], end: float) -> T:
        result = await self.session.ask(job(client), end)
        await self._check_step(client, end)
        return result

    async def _check_step(self, client: Client, end: float) -> None:
        """Raise OutOfStepError if what was read may be the answers to other requests.

        Any other failure costs the association, and not what was read.
        """
        if client.only_order_tells:
            try:
                await self.session.ask(client.check_step(), end)
            except LinkError as error:
                if isinstance(error, OutOfStepError):
                    raise

    async def _ready(self, end: float) -> Client:
        """Return a client for a talk: it reads in lists only where polls have proved them.

        What somebody asks for may be long.
        """
        client = await self.session.associate(end)
        client.lists, client.allowance = self.learned, ASKED
        if await self._learn_names(client, None) and asyncio.get_running_loop().time() >= end:
            raise LinkTimeoutError(0, 0)  # the caller has been told that it took too long
        return client

    def _harmless(self, error: DlmsError, first: bool, changed: bool) -> bool:
        """Whether a failed talk may be repeated.

        `first` says that it failed at the first request over an idle association, `changed` that
        a SET or ACTION was sent.
        """
        if first and isinstance(error, DroppedError | ServiceError):
            return True
        if changed or isinstance(error, LinkTimeoutError | ServiceError):
            return False
        return self.device.connection.retries > 0 or (first and isinstance(error, LinkClosedError))

    def _progress(self, client: Client) -> tuple[int, int]:
        """Return two counters: one changes with each answer, one with each silence."""
        return client.answered, self.statistics.retries

    async def _read(self, turn: Turn, end: float) -> tuple[DlmsError | None, bool]:
        """Read until all is answered; return the error, and whether it is an outage."""
        reconnects = min(1, self.device.connection.retries)
        while True:
            try:
                client = await self.session.associate(end)
                client.allowance = self._polled
            except DlmsError as error:
                return error, True
            # `retries` do not limit this: to drop an idle association is normal.
            spare = reconnects > 0 or self.session.is_doubtful
            try:
                end += await self._learn_names_of(client, turn)
                await turn.read(partial(self._get, client, end), self._limits(client))
                await self._check_step(client, end)
            except RefusedError as error:  # no number to cipher the next request with
                return error, turn.data_count == 0
            except LinkError as error:
                if isinstance(error, OutOfStepError) or client.is_in_doubt:
                    turn.doubt()
                over = (
                    not spare
                    or self.session.patience.is_over
                    or asyncio.get_running_loop().time() >= end
                )
                if over or (self._shared and self.session.quiet_s > 0):
                    return error, turn.data_count == 0
            else:
                if not self.session.proven:  # only exceptions: the association may be gone
                    await self.session.release()
                return None, False
            reconnects -= 1

    async def _learn_names_of(self, client: Client, turn: Turn) -> float:
        return (
            await self._learn_names(client, turn.asked)
            if self.device.dlms.referencing == "SN"
            else 0.0
        )

    async def _learn_names(self, client: Client, refs: Sequence[AttributeRef] | None) -> float:
        """Learn the short names that are needed; return how many seconds that took.

        The object list of a slow meter takes longer than a poll may. As long as parts of it
        arrive, it is read on; a meter that stops is noticed by the timeout for a reply.
        """
        if self.device.dlms.referencing != "SN" or not client.lacks_names(refs):
            return 0.0
        loop = asyncio.get_running_loop()
        start, before = loop.time(), self._directory.names
        with suppress(ServiceError):  # the requests for the objects tell the same
            await self.session.ask(client.learn_names(refs), start + _LIST_BUDGET_S)
        if self._short_names is not None and self._directory.names is not before:
            save = partial(
                self._short_names.save, dict(self._directory.names), dict(self._directory.versions)
            )
            await loop.run_in_executor(None, save)
        return loop.time() - start

    async def _get(
        self, client: Client, end: float, refs: Sequence[AttributeRef]
    ) -> Sequence[Data | ObjectError]:
        try:
            return await self.session.ask(client.get(refs), end)
        except ServiceError as error:
            if self.session.proven or self.learned.excepted.issuperset(refs):
                raise
            # Meters that dropped an idle association may answer with an exception.
            await self.session.dropped()
            raise ProtocolError("reading over an idle association", str(error)) from error

    def _limits(self, client: Client) -> Limits:
        kept, changes = self._limited, self.learned.changes
        if kept is not None and kept[0] is client and kept[1] == changes:
            return kept[2]
        ciphered = self.device.dlms.security != "NONE"
        overhead = CIPHERING_OVERHEAD if ciphered else 0
        limits = self.learned.limits(client.max_pdu, overhead, client.conformance)
        self._limited = client, changes, limits
        return limits

    def _budget_s(self, items: int) -> float:
        """Return the time limit of a poll in seconds, so that no meter holds the line for ever."""
        connection = self.device.connection
        timeout_s = connection.timeout_ms / 1000
        silences = _SILENCES * (connection.retries + 1)
        return max(_LEAST_BUDGET_S, timeout_s * (2 * items + silences))


def _ignored(_octets: bytes) -> None:
    """Take no notice."""
