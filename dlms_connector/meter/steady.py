"""One poll of one meter in the usual way, which is compiled; and over to `Round` from any other.

What was heard when something unusual comes is told to a `Round` as if it had asked itself: so it
learns and goes on exactly as without this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import LinkError, ObjectError, ServiceError
from dlms_connector.meter.compiled import Compilations, Compiled
from dlms_connector.meter.learned import Learned
from dlms_connector.meter.outcome import Answer, Outcome
from dlms_connector.meter.plan import Limits, Wanted
from dlms_connector.meter.polling import Get, Round
from dlms_connector.protocol.data import Data


class Turn:
    """The requests and answers of one poll; `read` may be called again after a reconnect."""

    def __init__(
        self,
        due: Sequence[Wanted],
        learned: Learned,
        now_ms: Callable[[], int],
        compilations: Compilations,
    ) -> None:
        self._due, self._learned, self._now_ms = due, learned, now_ms
        self._compilations = compilations
        #: The poll that was read as compiled, and what was heard.
        self._compiled: Compiled | None = None
        self._heard: list[tuple[Sequence[Data | ObjectError], int]] = []
        #: Set from the beginning if what was learned lets nothing usual be expected.
        self._round = None if learned.is_settled else Round(due, learned, now_ms)

    @property
    def asked(self) -> tuple[AttributeRef, ...]:
        """The attributes that are asked for."""
        return self._plain().asked

    @property
    def answers(self) -> Mapping[AttributeRef, Answer]:
        """The answers for each attribute."""
        return self._plain().answers

    @property
    def data_count(self) -> int:
        """The number of attributes for which the meter returned data."""
        return self._plain().data_count

    @property
    def has_clock(self) -> bool:
        """Whether the meter's clock may be among the answers."""
        return self._compiled is None or self._compiled.has_clock

    def doubt(self) -> None:
        """Read all again: one answer too many, and each may have been to the request before."""
        self._plain().doubt()

    def outcome(self) -> Outcome | None:
        """Return the result if all was read as compiled, and it can be told at once."""
        if self._compiled is None or self._round is not None:
            return None
        return self._compiled.outcome(self._heard)

    async def read(self, get: Get, limits: Limits) -> None:
        """Read all attributes without an answer; raises LinkError if the association breaks."""
        compiled = None
        if self._round is None:
            compiled = self._compilations.of(self._due, limits)
        if compiled is None:
            await self._plain().read(get, limits)
        else:
            await self._read(compiled, get)

    async def _read(self, compiled: Compiled, get: Get) -> None:
        heard, now_ms = self._heard, self._now_ms
        for number, question in enumerate(compiled.questions):
            try:
                results = await get(question)
            except (LinkError, ServiceError) as error:
                await self._retell(error, get, compiled.limits)
                return
            heard.append((results, now_ms()))
            if not compiled.is_usual(number, results):
                await self._retell(None, get, compiled.limits)
                return
        self._compiled = compiled

    async def _retell(
        self, error: LinkError | ServiceError | None, get: Get, limits: Limits
    ) -> None:
        """Let a `Round` hear what was heard, the error last, and go on."""
        past = _Past(self._heard, error, get, self._now_ms)
        self._round = Round(self._due, self._learned, past.now_ms)
        await self._round.read(past.get, limits)

    def _plain(self) -> Round:
        """Return the round that knows what was read."""
        if self._round is None:
            self._round = plain = Round(self._due, self._learned, self._now_ms)
            if self._compiled is not None:
                for question, (results, ts_ms) in zip(
                    self._compiled.questions, self._heard, strict=True
                ):
                    plain.take(question, results, ts_ms)
        return self._round


class _Past:
    """What a meter said already, said again; then it is asked."""

    def __init__(
        self,
        heard: Sequence[tuple[Sequence[Data | ObjectError], int]],
        error: LinkError | ServiceError | None,
        get: Get,
        now_ms: Callable[[], int],
    ) -> None:
        self._left, self._error = list(heard), error
        self._get, self._now_ms = get, now_ms
        self._then: int | None = None

    def now_ms(self) -> int:
        """Return the time, or what it was when the answer came that is being told."""
        return self._now_ms() if self._then is None else self._then

    async def get(self, refs: Sequence[AttributeRef]) -> Sequence[Data | ObjectError]:
        """Return the next answer."""
        if self._left:
            results, self._then = self._left.pop(0)
            return results
        self._then = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return await self._get(refs)
