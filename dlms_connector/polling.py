"""One poll of one meter: asks in lists, notices what the meter cannot do, finds a way round.

A refused list is read singly; an object that fails in a list is read singly once more; an
association that dies takes only the request in flight with it. What that teaches about the
meter is kept in `Learned` for the life of the process.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence, Set

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, LinkError, ObjectError, ServiceError
from dlms_connector.interpret import ScalerUnit
from dlms_connector.outcome import Answer
from dlms_connector.plan import MAX_ITEMS, Limits, Wanted, batches, refs
from dlms_connector.protocol.axdr import Data

#: Reads attributes in one request: data or an error for each.
Get = Callable[[Sequence[AttributeRef]], Awaitable[Sequence[Data | ObjectError]]]

#: How long an object that kills the association is left alone.
_KILLER_REST_MS = 3_600_000


class Learned:
    """What a meter was found to do and not to do; each lesson is logged once.

    Of what it did before, one failure teaches nothing: it may have been busy for a moment,
    and what is learned stays. It takes a second one without a success in between.
    """

    def __init__(self, meter: str, log: logging.Logger, *, single_reads: bool = False) -> None:
        self._meter, self._log = meter, log
        self.scalers: dict[AttributeRef, ScalerUnit] = {}
        self.max_items = 1 if single_reads else MAX_ITEMS
        self.alone: set[AttributeRef] = set()
        #: Objects refused singly too: their code in a list needs no second question.
        self.refused: dict[AttributeRef, int] = {}
        #: Objects answered with an exception: no sign that the association is gone.
        self.excepted: set[AttributeRef] = set()
        #: Objects that killed the association, when they did, and how it died.
        self.killers: dict[AttributeRef, tuple[int, LinkError]] = {}
        #: The longest list, and the attributes, that lists were answered with.
        self._longest = 0
        self._listed: set[AttributeRef] = set()
        self._lists_died = 0

    def forget(self) -> None:
        """Forget what another meter at the same address would not have in common."""
        self.scalers.clear()
        self.refused.clear()
        self.excepted.clear()
        self.killers.clear()

    def limits(self, max_pdu: int, overhead: int, services: Set[str]) -> Limits:
        """Return how to ask an association that negotiated this."""
        access = "access" in services
        return Limits(
            max_pdu=max_pdu,
            max_items=self.max_items if access or "multiple-references" in services else 1,
            overhead=overhead,
            alone=frozenset(self.alone),
            access=access,
        )

    def list_answered(self, size: int) -> None:
        """Note that a list of this size came back whole."""
        self._longest, self._lists_died = max(size, self._longest), 0

    def listed(self, ref: AttributeRef) -> None:
        """Note that a list brought an attribute."""
        self._listed.add(ref)

    def list_died(self) -> None:
        """Note that a list ended in silence, rubbish or a closed connection."""
        self._lists_died += 1

    @property
    def lists_suspect(self) -> bool:
        """Whether lists may be what kills the association: better ask singly for once."""
        return self._lists_died >= (2 if self._longest else 1)

    def list_refused(self, size: int, reason: str) -> None:
        """Note that a list of this size was refused and its members read singly were not."""
        if size <= self._longest:
            self._longest = size - 1
        else:
            self.shorten(size, reason)

    def shorten(self, size: int, reason: str) -> None:
        """Put less in a list than this."""
        self._lists_died = 0
        if size <= self.max_items:
            self.max_items = max(1, size // 2)
            how = f"at most {self.max_items} at once" if self.max_items > 1 else "one by one"
            self._log.info("%s: reads objects %s from now on: %s", self._meter, how, reason)

    def spoils_lists(self, ref: AttributeRef, reason: str) -> None:
        """Note that an attribute failed in a list, or a list for its sake."""
        if ref in self._listed:
            self._listed.discard(ref)
        elif ref not in self.alone:
            self.alone.add(ref)
            self._log.info("%s: reads %s alone from now on: %s", self._meter, ref, reason)


class Round:
    """The questions and answers of one poll; `read` may be called again after a reconnect."""

    def __init__(self, due: Sequence[Wanted], learned: Learned, now_ms: Callable[[], int]) -> None:
        self._learned = learned
        self._now_ms = now_ms
        self.answers: dict[AttributeRef, Answer] = {}
        self._asked = refs(due, learned.scalers)
        self._last: tuple[AttributeRef, ...] = ()
        self._deaths: dict[AttributeRef, int] = {}
        self._arrived_ms = now_ms()
        self._rest_killers()

    @property
    def data_count(self) -> int:
        """How many attributes the meter gave."""
        return sum(not isinstance(answer.data, DlmsError) for answer in self.answers.values())

    async def read(self, get: Get, limits: Limits) -> None:
        """Ask for all that has no answer yet; raises LinkError if the association dies."""
        left = [ref for ref in self._asked if ref not in self.answers]
        # What was in flight when the association died comes last: it may be the cause.
        last = [ref for ref in left if ref in self._last]
        first = [ref for ref in left if ref not in self._last]
        for batch in batches(first, limits):
            await self._ask(batch, get)
        if len(last) > 1 and self._learned.lists_suspect:
            await self._singly(last, get)
            self._learned.shorten(len(last), "the association broke down over a list")
        else:
            for batch in batches(last, limits):
                await self._ask(batch, get)

    async def _ask(self, batch: Sequence[AttributeRef], get: Get) -> None:
        if len(batch) == 1:
            await self._one(batch[0], get)
            return
        try:
            results = await self._get(batch, get)
        except ServiceError as error:
            await self._instead_of_list(batch, get, error)
            return
        self._learned.list_answered(len(batch))
        doubtful = [
            ref for ref, result in zip(batch, results, strict=True) if not self._take(ref, result)
        ]
        for ref in doubtful:
            if await self._one(ref, get):
                self._learned.spoils_lists(ref, "the meter gives it singly but not in a list")

    def _take(self, ref: AttributeRef, result: Data | ObjectError) -> bool:
        """Keep what a list says of one attribute; false if it should be asked for singly."""
        if not isinstance(result, ObjectError):
            self._learned.listed(ref)
        elif self._learned.refused.get(ref) != result.code:
            return False
        self._keep(ref, result)
        return True

    async def _instead_of_list(
        self, batch: Sequence[AttributeRef], get: Get, error: ServiceError
    ) -> None:
        good = await self._singly(batch, get)
        if len(good) == len(batch):
            self._learned.list_refused(len(batch), str(error))
        elif good:
            for ref in set(batch) - set(good):
                self._learned.spoils_lists(ref, f"a list with it was refused: {error}")

    async def _singly(self, batch: Sequence[AttributeRef], get: Get) -> list[AttributeRef]:
        """Ask for each attribute by itself; return those that the meter gave."""
        return [ref for ref in batch if await self._one(ref, get)]

    async def _one(self, ref: AttributeRef, get: Get) -> bool:
        try:
            (result,) = await self._get((ref,), get)
        except ServiceError as error:
            self._learned.excepted.add(ref)
            self._keep(ref, error)
            return False
        self._learned.excepted.discard(ref)
        if isinstance(result, ObjectError):
            self._learned.refused[ref] = result.code
        self._keep(ref, result)
        return not isinstance(result, DlmsError)

    async def _get(self, batch: Sequence[AttributeRef], get: Get) -> Sequence[Data | ObjectError]:
        try:
            return await get(batch)
        except LinkError as error:
            self._last = tuple(batch)
            if len(batch) > 1:
                self._learned.list_died()
            else:
                self._died_alone(batch[0], error)
            raise
        finally:
            # Once per reply: what arrived together carries the same instant.
            self._arrived_ms = self._now_ms()

    def _died_alone(self, ref: AttributeRef, error: LinkError) -> None:
        """Note a death; an object that kills twice while others were read is left alone."""
        self._deaths[ref] = self._deaths.get(ref, 0) + 1
        if self._deaths[ref] > 1 and self.data_count:
            now = self._now_ms()
            self._keep(ref, error)
            self._learned.killers[ref] = (now, error)

    def _rest_killers(self) -> None:
        now = self._now_ms()
        for ref in self._asked:
            killer = self._learned.killers.get(ref)
            # A host's clock that was far ahead and is set back must not prolong the rest.
            if killer and 0 <= now - killer[0] < _KILLER_REST_MS:
                self.answers[ref] = Answer(killer[1], now)

    def _keep(self, ref: AttributeRef, result: Data | DlmsError) -> None:
        self.answers[ref] = Answer(result, self._arrived_ms)
