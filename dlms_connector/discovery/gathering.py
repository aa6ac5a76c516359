"""Reads the objects of an association, and goes on in a new one where an object ends it.

As the poller does: what was read is kept, a list that failed is read singly, and an object that
is silent, malformed or costs the association is left out and told.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from dlms_connector.cosem import CLASSES, AttributeRef
from dlms_connector.discovery.candidates import Referencing
from dlms_connector.discovery.object_list import (
    ListedObject,
    Listing,
    part_of,
    read_object_list,
    read_objects_of_class,
    usual_objects,
)
from dlms_connector.errors import (
    DlmsError,
    LinkClosedError,
    LinkError,
    ObjectError,
    ProtocolError,
    ServiceError,
)
from dlms_connector.protocol import Client
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.services import ObjectList
from dlms_connector.protocol.talk import Talk

DATA, REGISTER, EXTENDED_REGISTER, DEMAND_REGISTER = 1, 3, 4, 5
PROFILE_GENERIC, CLOCK, SAP_ASSIGNMENT, DISCONNECT_CONTROL = 7, 8, 17, 70

#: The attribute with the value, for each class that is read; for profiles the capture objects.
VALUE_ATTRIBUTES = {
    DATA: 2,
    REGISTER: 2,
    EXTENDED_REGISTER: 2,
    DEMAND_REGISTER: 2,
    CLOCK: 2,
    SAP_ASSIGNMENT: 2,
    DISCONNECT_CONTROL: 2,
    PROFILE_GENERIC: 3,
}
#: Attributes per request: meters answer long lists late.
_AT_ONCE = 16
_MOST_OBJECTS = 5000
#: After so many lists that failed, all is read singly.
_MOST_BAD_LISTS = 2
#: After so many breaks, an object list is not asked for as a whole again.
_MOST_LIST_BREAKS = 2
#: Most broken associations: in all, and one after the other with nothing read in between.
_MOST_BREAKS = 40
_MOST_IN_VAIN, _MOST_IN_VAIN_AT_FIRST = 8, 3

#: Receives the number of attributes read so far, and of all attributes to read.
Progress = Callable[[int, int], None]
Read = Mapping[AttributeRef, Data | DlmsError]


class Gathering:
    """What one client shows. After a LinkError, call `broke` and run `talk` again.

    With `worth` only a client is read that lists more readable attributes than that.
    """

    def __init__(
        self,
        progress: Progress | None = None,
        *,
        referencing: Referencing = "LN",
        values: bool = True,
        worth: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        #: When the time of each clock was read, in seconds of our clock.
        self.clocks: dict[AttributeRef, float] = {}
        self._by_name = referencing == "LN"
        self._progress, self._values, self._worth = progress, values, worth
        self.listing: Listing | None = None
        #: Why usual objects were tried instead of the object list.
        self.unlisted: DlmsError | None = None
        #: Whether it was not read, because it lists no more than `worth`.
        self.dismissed = False
        #: Why the rest was not read; None if all was.
        self.given_up: DlmsError | None = None
        self.read: dict[AttributeRef, Data | DlmsError] = {}
        self._wanted: tuple[AttributeRef, ...] = ()
        self._asked: tuple[AttributeRef, ...] = ()  # in the request in flight
        self._suspects: set[AttributeRef] = set()
        self._deaths: Counter[AttributeRef] = Counter()
        #: What came of an object list that broke off, how often it did, and the classes that are
        #: asked for alone then.
        self._part: Listing | None = None
        self._list_breaks = 0
        self._classes = list(VALUE_ATTRIBUTES)
        self._bad_lists = self._breaks = self._in_vain = 0

    @property
    def answered(self) -> bool:
        """Whether the meter gave any value."""
        return any(
            isinstance(result, Data) and ref.attribute == VALUE_ATTRIBUTES[ref.class_id]
            for ref, result in self.read.items()
        )

    @property
    def size(self) -> int:
        """How many attributes were to be read."""
        return len(self._wanted)

    def talk(self, client: Client) -> Talk[None]:
        """Read what is left to read. Raises DlmsError if the client gives nothing."""
        if not self._wanted:
            yield from self._list(client)
            self.dismissed = bool(self._worth) and self.size <= self._worth
        if self._values and not self.dismissed:
            yield from self._read(client)
        if self.listing is None and not self.answered:
            raise self.unlisted or ServiceError("reading objects", "the meter gives none")

    def broke(self, error: DlmsError) -> bool:
        """Note that the association broke; false if it makes no sense to open another."""
        asked, self._asked = self._asked, ()
        if len(asked) > 1:
            self._doubt(asked)
        elif asked:
            self._died(asked[0], error)
        elif self.listing is None and self._part is None:
            self.unlisted = error
        self._breaks += 1
        # Of a list that breaks off, each part is bounded.
        self._in_vain += self.listing is not None or self._part is None
        most = _MOST_IN_VAIN if self.answered else _MOST_IN_VAIN_AT_FIRST
        return self._breaks < _MOST_BREAKS and self._in_vain < most

    def give_up(self, error: DlmsError) -> None:
        """Note that nothing more can be read."""
        self.given_up = error

    def skipped(self) -> Iterator[tuple[AttributeRef, DlmsError]]:
        """Yield the attributes that cost the association, with the error."""
        for ref, result in self.read.items():
            if isinstance(result, LinkError):
                yield ref, result

    def _list(self, client: Client) -> Talk[None]:
        if self.unlisted is None:
            try:
                yield from self._list_in_parts(client)
                self._in_vain = 0
            except (ObjectError, ServiceError) as error:
                self.unlisted = error
        # Without the list no short name is known.
        if self.unlisted is not None and not (self._values and self._by_name):
            raise self.unlisted
        self._wanted = tuple(_wanted(self.objects))

    def _list_in_parts(self, client: Client) -> Talk[None]:
        """Read the object list; where it breaks off each time, what came, and single classes."""
        if self._part is None or self._list_breaks < _MOST_LIST_BREAKS:
            try:
                self.listing = yield from read_object_list(client)
                return
            except LinkError:
                self._keep_part(client.list_part)
                raise
        while self._classes:
            try:
                found = yield from read_objects_of_class(client, self._classes.pop(0))
            except (ObjectError, ServiceError):
                break  # no selective access
            except LinkError:
                self._list_breaks += 1
                if self._list_breaks == 2 * _MOST_LIST_BREAKS:
                    self._classes.clear()
                raise
            self._part = self._part.with_more(found)
        self.listing = self._part

    def _keep_part(self, listed: ObjectList | None) -> None:
        """Keep what came of a list that broke off, if it is more than before."""
        if listed is None:
            return
        with suppress(ProtocolError):
            part = part_of(listed)
            self._list_breaks += 1
            if self._part is None or len(part.objects) > len(self._part.objects):
                self._part = part

    @property
    def objects(self) -> tuple[ListedObject, ...]:
        """The listed objects; without a list the usual ones."""
        if self.listing is not None:
            return self.listing.objects[:_MOST_OBJECTS]
        return tuple(usual_objects())

    def _read(self, client: Client) -> Talk[None]:
        """Read attributes, several per request unless the meter refuses that."""
        while batch := self._next(client):
            self._asked = batch
            try:
                results: Sequence[Data | DlmsError] = yield from client.get(batch)
            except ServiceError as error:
                if len(batch) > 1:
                    self._doubt(batch)
                    continue
                results = [_refused(batch[0], error)]
            self._asked = ()
            self._in_vain = 0
            self.read.update(zip(batch, results, strict=True))
            self.clocks.update((ref, self._now()) for ref in batch if ref.class_id == CLOCK)
            if self._progress:
                self._progress(len(self.read), len(self._wanted))

    def _next(self, client: Client) -> tuple[AttributeRef, ...]:
        """Return what to ask next: lists first, then what failed in a list, what died last."""
        left = [ref for ref in self._wanted if ref not in self.read]
        if fresh := [ref for ref in left if ref not in self._suspects]:
            most = 1 if self._bad_lists >= _MOST_BAD_LISTS else _AT_ONCE
            batch = fresh[:most]
            return tuple(batch[: max(1, client.max_items(batch))])
        return tuple(sorted(left, key=lambda ref: self._deaths[ref])[:1])

    def _doubt(self, batch: Iterable[AttributeRef]) -> None:
        """Read the attributes of a list that failed singly."""
        self._suspects.update(batch)
        self._bad_lists += 1

    def _died(self, ref: AttributeRef, error: DlmsError) -> None:
        """Note that an attribute cost the association; it is asked again if only noise may do so.

        A silent one was asked several times, and a malformed answer comes again.
        """
        self._suspects.add(ref)
        self._deaths[ref] += 1
        if self._deaths[ref] > 1 or not isinstance(error, LinkClosedError):
            self.read[ref] = error


def value_of(one: ListedObject) -> AttributeRef:
    """Return the attribute with the value; the object's class must have one."""
    return AttributeRef(one.class_id, one.obis, VALUE_ATTRIBUTES[one.class_id])


def scaler_of(one: ListedObject) -> AttributeRef | None:
    """Return the attribute with scaler and unit, if there is one."""
    row = CLASSES.get(one.class_id)
    index = row.scalers.get(VALUE_ATTRIBUTES[one.class_id]) if row else None
    return AttributeRef(one.class_id, one.obis, index) if index else None


def _wanted(listed: Iterable[ListedObject]) -> Iterator[AttributeRef]:
    for one in listed:
        attribute = VALUE_ATTRIBUTES.get(one.class_id)
        if attribute is None or not one.may_read(attribute):
            continue
        if (scaler := scaler_of(one)) is not None:
            yield scaler
        yield value_of(one)


def _refused(ref: AttributeRef, error: ServiceError) -> ObjectError:
    """Return a refusal of the request as one of the object, so that discovery goes on."""
    refusal = ObjectError(f"reading {ref}", 250)
    refusal.__cause__ = error
    return refusal
