"""Findings about one meter from polling it; kept until the process ends."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import LinkError
from dlms_connector.interpret import ScalerUnit
from dlms_connector.meter.plan import MAX_ITEMS, NONE_ALONE, Limits


@dataclass(frozen=True, slots=True)
class Killer:
    """An object that broke the association: when, with which error, how often it was proved."""

    at_ms: int
    error: LinkError
    convictions: int


@lru_cache(maxsize=256)
def _shared(refs: frozenset[AttributeRef]) -> frozenset[AttributeRef]:
    """Return a set that is equal, the same for all meters: most have the same lists."""
    return refs


class Learned:
    """What a meter was found to support and not to support; each finding is logged once.

    If something worked before, one failure is not enough: the meter may have been busy for a
    moment, and a finding is kept. A second failure without a success in between counts.
    """

    def __init__(self, meter: str, log: logging.Logger, *, single_reads: bool = False) -> None:
        self._meter, self._log = meter, log
        #: How often a finding was changed that decides what to ask and how: plans are kept by it.
        self.changes = 0
        self.scalers: dict[AttributeRef, ScalerUnit] = {}
        self.max_items = 1 if single_reads else MAX_ITEMS
        self.alone: frozenset[AttributeRef] = NONE_ALONE
        #: Objects also refused alone: the same code in a list needs no second request.
        self.refused: dict[AttributeRef, int] = {}
        #: Objects answered with an exception: it does not mean that the association is gone.
        self.excepted: frozenset[AttributeRef] = NONE_ALONE
        #: Objects that broke the association, and are not read for a while.
        self.killers: dict[AttributeRef, Killer] = {}
        #: The request when an association broke, and how often it was for a single object.
        self.in_flight: tuple[AttributeRef, ...] = ()
        self.deaths: dict[AttributeRef, int] = {}
        #: The length of the longest answered list, and the attributes that lists returned.
        self._longest = 0
        self._listed: frozenset[AttributeRef] = NONE_ALONE
        self._lists_died = self._deadly_size = 0

    def forget(self) -> None:
        """Forget what may be different for another meter at the same address."""
        self.scalers.clear()
        self.refused.clear()
        self.excepted = NONE_ALONE
        self.killers.clear()
        self.deaths.clear()
        self.in_flight = ()
        self.changes += 1

    def forget_scalers(self) -> None:
        """Forget the scalers and units, which are then read with the next values."""
        self.scalers.clear()
        self.changes += 1

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under suspicion: an answer with data then teaches nothing new."""
        return not (
            self._lists_died or self.killers or self.deaths or self.excepted or self.in_flight
        )

    def limits(self, max_pdu: int, overhead: int, services: Set[str]) -> Limits:
        """Return the limits of a request, from the parameters of an association."""
        access = "access" in services
        return Limits(
            max_pdu=max_pdu,
            max_items=self.max_items if access or "multiple-references" in services else 1,
            overhead=overhead,
            alone=self.alone,
            access=access,
        )

    def are_proven(self, refs: Sequence[AttributeRef]) -> bool:
        """Whether lists gave all these attributes, and a list of so many was answered.

        For calls: a list that breaks the association would fail each of them.
        """
        fits = len(refs) <= min(self._longest, self.max_items) and not self.lists_suspect
        return fits and self._listed.issuperset(refs) and self.alone.isdisjoint(refs)

    def is_usual(self, batch: Sequence[AttributeRef]) -> bool:
        """Whether a complete answer teaches nothing: each was in a list before, or is alone."""
        if len(batch) == 1:
            return True
        return len(batch) <= self._longest and self._listed.issuperset(batch)

    def survived(self, ref: AttributeRef) -> None:
        """Note that an attribute was answered when it was asked for alone."""
        self.excepted -= {ref}
        self.killers.pop(ref, None)
        self.deaths.pop(ref, None)

    def list_answered(self, size: int) -> None:
        """Note that a list of this size was answered completely."""
        if size > self._longest:
            self._longest = size
            self.changes += 1
        self._lists_died = 0

    def refuses(self, ref: AttributeRef, code: int) -> None:
        """Note the code with which an attribute was refused when it was asked for alone."""
        if self.refused.get(ref) != code:
            self.refused[ref] = code
            self.changes += 1

    def listed(self, refs: Collection[AttributeRef]) -> None:
        """Note that a list returned attributes."""
        for ref in refs:
            self.deaths.pop(ref, None)
        if not self._listed.issuperset(refs):
            self._listed = _shared(self._listed.union(refs))
            self.changes += 1

    def list_died(self, size: int) -> None:
        """Note that a list led to silence, an invalid reply or a closed connection."""
        self._lists_died += 1
        self._deadly_size = size

    def lists_acquitted(self) -> None:
        """Note that a single object broke the association."""
        self._lists_died = 0

    def lists_convicted(self) -> None:
        """Note that the association did not break when nothing was read in a list."""
        self._lists_died = 0
        self.list_refused(self._deadly_size, "the association broke down over a list")

    @property
    def lists_suspect(self) -> bool:
        """Whether lists may break the association: then all is read singly once."""
        return self._lists_died >= (2 if self._longest else 1)

    def list_refused(self, size: int, reason: str) -> None:
        """Note that a list of this size failed and its members read singly did not."""
        if size <= self._longest:
            self._longest = size - 1
            self.changes += 1
        else:
            self.shorten(size, reason)

    def shorten(self, size: int, reason: str) -> None:
        """Use shorter lists than this size."""
        if size <= self.max_items:
            self.changes += 1
            self.max_items = max(1, size // 2)
            how = f"at most {self.max_items} at once" if self.max_items > 1 else "one by one"
            self._log.info("%s: reads objects %s from now on: %s", self._meter, how, reason)

    def spoils_lists(self, ref: AttributeRef, reason: str) -> None:
        """Note that an attribute failed in a list, or made a list fail."""
        if ref in self._listed:
            self._listed -= {ref}
            self.changes += 1
        elif ref not in self.alone:
            self.alone |= {ref}
            self.changes += 1
            self._log.info("%s: reads %s alone from now on: %s", self._meter, ref, reason)
