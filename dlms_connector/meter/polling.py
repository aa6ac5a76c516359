"""One poll of one meter: reads in lists, and works around what the meter does not support.

A refused list is read singly. An object that fails in a list is read again singly. If the
association breaks, only the request in flight is lost. The findings about the meter are kept
in `Learned`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import DlmsError, LinkError, ObjectError, OutOfStepError, ServiceError
from dlms_connector.meter.learned import Killer, Learned
from dlms_connector.meter.outcome import Answer
from dlms_connector.meter.plan import Limits, Wanted, batches, refs
from dlms_connector.protocol.data import Data

#: Reads attributes in one request: data or an error for each.
Get = Callable[[Sequence[AttributeRef]], Awaitable[Sequence[Data | ObjectError]]]

#: How long an object that broke the association is not read: noise may have broken it, so a
#: short time at first, and twice as long each time it happens again.
_FIRST_REST_MS, _LONGEST_REST_MS = 60_000, 3_600_000


class Round:
    """The requests and answers of one poll; `read` may be called again after a reconnect.

    The request in flight when an association broke is kept in `Learned`: if there is no
    second try in this poll, the next poll continues from there.
    """

    def __init__(self, due: Sequence[Wanted], learned: Learned, now_ms: Callable[[], int]) -> None:
        self._learned = learned
        self._now_ms = now_ms
        self.answers: dict[AttributeRef, Answer] = {}
        self.asked = refs(due, learned.scalers)
        self._arrived_ms = now_ms()
        self._rest_killers()

    @property
    def data_count(self) -> int:
        """The number of attributes for which the meter returned data."""
        return sum(not isinstance(answer.data, DlmsError) for answer in self.answers.values())

    def doubt(self) -> None:
        """Read all again: one answer too many, and each may have been to the request before."""
        self.answers.clear()
        self._rest_killers()

    def take(
        self, batch: Sequence[AttributeRef], results: Sequence[Data | ObjectError], ts_ms: int
    ) -> None:
        """Take answers from which nothing is to be learned."""
        for ref, result in zip(batch, results, strict=True):
            self.answers[ref] = Answer(result, ts_ms)

    async def read(self, get: Get, limits: Limits) -> None:
        """Read all attributes without an answer; raises LinkError if the association breaks."""
        learned = self._learned
        left = [ref for ref in self.asked if ref not in self.answers]
        # Attributes in flight when the association broke come late: they may be the cause. After
        # them come all that were in flight alone, and the known killers come last.
        left.sort(
            key=lambda ref: (
                ref in learned.killers,
                ref in learned.deaths,
                ref in learned.in_flight,
            )
        )
        killers = [ref for ref in left if ref in learned.killers]
        others = left[: len(left) - len(killers)]
        if learned.lists_suspect:
            await self._singly(others, get)
            learned.lists_convicted()
        else:
            alone = [ref for ref in others if ref in learned.deaths]
            several = others[: len(others) - len(alone)]
            first = [ref for ref in several if ref not in learned.in_flight]
            last = several[len(first) :]
            for batch in (*batches(first, limits), *batches(last, limits)):
                await self._ask(batch, get)
            await self._singly(alone, get)
        await self._singly(killers, get)
        learned.in_flight = ()

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
        answers = tuple(zip(batch, results, strict=True))
        self._learned.listed([ref for ref, got in answers if not isinstance(got, ObjectError)])
        doubtful = [ref for ref, result in answers if not self._take(ref, result)]
        for ref in doubtful:
            if await self._one(ref, get):
                self._learned.spoils_lists(ref, "the meter gives it singly but not in a list")

    def _take(self, ref: AttributeRef, result: Data | ObjectError) -> bool:
        """Store the result of a list for one attribute; False if it should be read singly."""
        if isinstance(result, ObjectError) and self._learned.refused.get(ref) != result.code:
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
        """Read each attribute alone; return those for which the meter returned data."""
        return [ref for ref in batch if await self._one(ref, get)]

    async def _one(self, ref: AttributeRef, get: Get) -> bool:
        try:
            (result,) = await self._get((ref,), get)
        except ServiceError as error:
            self._learned.excepted |= {ref}
            self._keep(ref, error)
            return False
        self._learned.survived(ref)
        if isinstance(result, ObjectError):
            self._learned.refuses(ref, result.code)
        self._keep(ref, result)
        return not isinstance(result, DlmsError)

    async def _get(self, batch: Sequence[AttributeRef], get: Get) -> Sequence[Data | ObjectError]:
        try:
            return await get(batch)
        except LinkError as error:
            if isinstance(error, OutOfStepError):
                self.doubt()
                raise  # what is asked now is not the cause
            self._learned.in_flight = tuple(batch)
            if len(batch) > 1:
                self._learned.list_died(len(batch))
            else:
                self._died_alone(batch[0], error)
            raise
        finally:
            # Once per reply: values that arrived together have the same time stamp.
            self._arrived_ms = self._now_ms()

    def _died_alone(self, ref: AttributeRef, error: LinkError) -> None:
        """Note that an object broke the association.

        After the second time, if others were read, it is not read for a while.
        """
        learned = self._learned
        learned.deaths[ref] = learned.deaths.get(ref, 0) + 1
        if learned.deaths[ref] > 1 and self.data_count:
            self._keep(ref, error)
            before = learned.killers.get(ref)
            convictions = 1 + (before.convictions if before else 0)
            learned.killers[ref] = Killer(self._now_ms(), error, convictions)
            learned.lists_acquitted()

    def _rest_killers(self) -> None:
        now = self._now_ms()
        for ref in self.asked:
            killer = self._learned.killers.get(ref)
            # A host's clock that was far ahead and is set back must not prolong the wait.
            if killer and 0 <= now - killer.at_ms < _rest_ms(killer):
                self.answers[ref] = Answer(killer.error, now)

    def _keep(self, ref: AttributeRef, result: Data | DlmsError) -> None:
        self.answers[ref] = Answer(result, self._arrived_ms)


def _rest_ms(killer: Killer) -> int:
    doublings = min(killer.convictions, 7) - 1  # enough for the longest rest
    return min(_FIRST_REST_MS << doublings, _LONGEST_REST_MS)
