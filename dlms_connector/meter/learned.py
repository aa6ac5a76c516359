"""What polling taught about one meter, kept for the life of the process."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import LinkError
from dlms_connector.interpret import ScalerUnit
from dlms_connector.meter.plan import MAX_ITEMS, Limits


@dataclass(frozen=True, slots=True)
class Killer:
    """When an object killed the association, how it died, and how often this was proved."""

    at_ms: int
    error: LinkError
    convictions: int


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
        #: Objects that killed the association, and are left alone for a while.
        self.killers: dict[AttributeRef, Killer] = {}
        #: What was asked when an association died, and how often that was an object alone.
        self.in_flight: tuple[AttributeRef, ...] = ()
        self.deaths: dict[AttributeRef, int] = {}
        #: The longest list, and the attributes, that lists were answered with.
        self._longest = 0
        self._listed: set[AttributeRef] = set()
        self._lists_died = self._deadly_size = 0

    def forget(self) -> None:
        """Forget what another meter at the same address would not have in common."""
        self.scalers.clear()
        self.refused.clear()
        self.excepted.clear()
        self.killers.clear()
        self.deaths.clear()
        self.in_flight = ()

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

    def survived(self, ref: AttributeRef) -> None:
        """Note that an attribute was answered when it was asked for alone."""
        self.excepted.discard(ref)
        self.killers.pop(ref, None)
        self.deaths.pop(ref, None)

    def list_answered(self, size: int) -> None:
        """Note that a list of this size came back whole."""
        self._longest, self._lists_died = max(size, self._longest), 0

    def listed(self, ref: AttributeRef) -> None:
        """Note that a list brought an attribute."""
        self._listed.add(ref)
        self.deaths.pop(ref, None)

    def list_died(self, size: int) -> None:
        """Note that a list ended in silence, rubbish or a closed connection."""
        self._lists_died += 1
        self._deadly_size = size

    def lists_acquitted(self) -> None:
        """Note that it was a single object that killed the association."""
        self._lists_died = 0

    def lists_convicted(self) -> None:
        """Note that the association lived once nothing was asked for in a list."""
        self._lists_died = 0
        self.list_refused(self._deadly_size, "the association broke down over a list")

    @property
    def lists_suspect(self) -> bool:
        """Whether lists may be what kills the association: better ask singly for once."""
        return self._lists_died >= (2 if self._longest else 1)

    def list_refused(self, size: int, reason: str) -> None:
        """Note that a list of this size failed and its members read singly did not."""
        if size <= self._longest:
            self._longest = size - 1
        else:
            self.shorten(size, reason)

    def shorten(self, size: int, reason: str) -> None:
        """Put less in a list than this."""
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
