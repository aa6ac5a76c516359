"""What a poll asks and how its answers become readings, worked out once.

A `Compiled` poll holds for one set of due items, one state of what was learned about the meter,
and one set of negotiated limits. Each of its parts does what `plan`, `polling` and `outcome` do
for the usual case, in which each attribute is answered with data, or with the refusal that is
known already. In any other case these are used themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from dlms_connector.cosem import CLOCK_CLASS, AttributeRef
from dlms_connector.errors import DlmsError, ObjectError
from dlms_connector.interpret import Examiner, Options, ScalerUnit
from dlms_connector.meter.learned import Learned
from dlms_connector.meter.outcome import Outcome, unit_to_use
from dlms_connector.meter.plan import Limits, Wanted, batches, refs
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.services import Question
from dlms_connector.reading import Poll, Reading, ReadingOf

#: The results of one question, and the Unix time in ms at which they arrived.
Heard = tuple[Sequence[Data | ObjectError], int]

#: Sets of due items that are kept of one meter: with several poll periods there are several.
_KEPT = 6
#: Different polls that are kept for all meters. Those of one template are asked alike: ten thousand
#: of them have one.
_MOST_COMPILED = 512


class _Reader:
    """Makes the reading of one item from the data of its attribute."""

    __slots__ = ("_examine", "_item", "_no_value", "_reading", "at", "question")

    def __init__(self, one: Wanted, place: tuple[int, int], examiner: Examiner) -> None:
        item = self._item = one.item
        self._no_value = bool(item.no_value)
        self._reading = ReadingOf(
            key=item.key,
            kind=one.kind,
            obis=item.obis,
            class_id=item.class_id,
            attribute=item.attribute,
        )
        self._examine = examiner.examine
        self.question, self.at = place

    def read(self, data: Data, ts_ms: int) -> Reading | None:
        """Return the reading; None if the data says that there is none. Raises DlmsError."""
        if self._no_value and self._item.has_no_value(data.value):
            return None
        value, unit, quality = self._examine(data)
        return self._reading(value, unit, ts_ms, quality)


class Compiled:
    """One poll, ready to be asked and read; it is the same for all meters that are asked alike."""

    def __init__(
        self,
        due: tuple[Wanted, ...],
        scalers: Mapping[AttributeRef, ScalerUnit],
        refused: Mapping[AttributeRef, int],
        limits: Limits,
        options: Options,
    ) -> None:
        """`scalers` and `refused` are what was learned, `options` those of the meter's values."""
        self.due, self.limits = due, limits
        asked = refs(due, scalers)
        self.questions = tuple(map(Question, batches(asked, limits)))
        #: The codes of the attributes that the meter is known to refuse, for each question.
        self._refused = tuple(
            tuple(refused.get(ref) for ref in question) for question in self.questions
        )
        places = {
            ref: (number, at)
            for number, question in enumerate(self.questions)
            for at, ref in enumerate(question)
        }
        #: Whether the meter's clock is among the answers.
        self.has_clock = any(one.value.class_id == CLOCK_CLASS for one in due)
        self._readers: tuple[_Reader, ...] | None = None
        if all(one.scaler is None or one.scaler in scalers for one in due):
            self._readers = tuple(
                _Reader(
                    one,
                    places[one.value],
                    Examiner(one.value, _unit(one, scalers), options.of(one.item)),
                )
                for one in due
            )

    def holds(self, due: Sequence[Wanted], limits: Limits) -> bool:
        """Whether this is the poll of these items, with these limits."""
        return (due is self.due or tuple(due) == self.due) and (
            limits is self.limits or limits == self.limits
        )

    def is_usual(self, number: int, results: Sequence[Data | ObjectError]) -> bool:
        """Whether results are data, or the refusals that are known, so that all is said."""
        known = self._refused[number]
        if len(results) != len(known):
            return False
        for result, code in zip(results, known, strict=True):
            if type(result) is not Data and (code is None or _code_of(result) != code):
                return False
        return True

    def outcome(self, heard: Sequence[Heard]) -> Outcome | None:
        """Return the result of a good poll; None if it takes more than looking up numbers."""
        if self._readers is None:
            return None
        readings: list[Reading] = []
        try:
            for reader in self._readers:
                results, ts_ms = heard[reader.question]
                data = results[reader.at]
                if type(data) is not Data or isinstance(data.value, tuple):
                    return None
                if (reading := reader.read(data, ts_ms)) is not None:
                    readings.append(reading)
        except DlmsError:
            return None  # the error of one item
        return Outcome(poll=Poll(readings=tuple(readings)))


@lru_cache(maxsize=_MOST_COMPILED)
def _compiled(
    due: tuple[Wanted, ...],
    scalers: tuple[tuple[AttributeRef, ScalerUnit], ...],
    refused: tuple[tuple[AttributeRef, int], ...],
    limits: Limits,
    options: Options,
) -> Compiled:
    return Compiled(due, dict(scalers), dict(refused), limits, options)


class Compilations:
    """The compiled polls of one meter; the set that was used last comes first."""

    def __init__(self, learned: Learned, options: Options) -> None:
        self._learned, self._options = learned, options
        #: Each with the state of what was learned that it holds for.
        self._kept: tuple[tuple[tuple[int, int], Compiled], ...] = ()

    def of(self, due: Sequence[Wanted], limits: Limits) -> Compiled | None:
        """Return the compiled poll; None if the meter is not settled, or lists are new to it."""
        learned = self._learned
        if not learned.is_settled:
            return None
        state = _state(learned)
        for known, compiled in self._kept:
            if known == state and compiled.holds(due, limits):
                return compiled
        due = tuple(due)
        scalers, refused = tuple(learned.scalers.items()), tuple(learned.refused.items())
        made = _compiled(due, scalers, refused, limits, self._options)
        if not all(map(learned.is_usual, made.questions)):
            return None
        fresh = [kept for kept in self._kept if kept[1].due != due]
        self._kept = ((state, made), *fresh)[:_KEPT]
        return made


def _state(learned: Learned) -> tuple[int, int]:
    return learned.changes, len(learned.scalers)  # scalers are only added, or all forgotten


def _unit(one: Wanted, scalers: Mapping[AttributeRef, ScalerUnit]) -> ScalerUnit | None:
    return unit_to_use(one.item, scalers[one.scaler] if one.scaler else None)


def _code_of(result: Data | ObjectError) -> int | None:
    return result.code if isinstance(result, ObjectError) else None
