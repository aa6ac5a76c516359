"""One association with one meter, from the client's side, sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from dlms_connector.config import Device, Dlms, Workarounds
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import DlmsError, LinkError, ObjectError, ServiceError
from dlms_connector.protocol.association import Association
from dlms_connector.protocol.data import Budget, Data
from dlms_connector.protocol.datalink import make_datalink
from dlms_connector.protocol.security import InvocationCounter
from dlms_connector.protocol.services import (
    ASKED,
    LIST_HEADER,
    Access,
    Allowance,
    Conversation,
    Directory,
    Fence,
    LogicalNames,
    Naming,
    ObjectList,
    Question,
    Selector,
    ShortNames,
    entries_of,
)
from dlms_connector.protocol.talk import Cleared, DataLink, Talk

#: Octets that ciphering adds to a request: tag and length, security control, invocation
#: counter, GCM tag, and for general ciphering the system title with its length.
CIPHERING_OVERHEAD = 4 + 1 + 4 + 12 + 9
#: Octets of an HDLC information field unless more were negotiated, and those of the LLC sublayer.
_USUAL_INFORMATION, _LLC = 128, 3
#: One for all meters: each empty set that is made takes room of its own.
_NO_FIELDS: frozenset[str] = frozenset()


class Services(Protocol):
    """Services to read, write and invoke, by logical name or by short name."""

    def get(self, ref: AttributeRef) -> Talk[Data | ObjectError]:
        """Read one attribute."""
        ...

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read several attributes in one request."""
        ...

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """Read the object list of the association, or its objects of one class."""
        ...

    def set(self, ref: AttributeRef, value: Data) -> Talk[ObjectError | None]:
        """Write one attribute."""
        ...

    def set_list(
        self, writes: Sequence[tuple[AttributeRef, Data]]
    ) -> Talk[list[ObjectError | None]]:
        """Write several attributes in one request."""
        ...

    def action(self, method: MethodRef, argument: Data | None) -> Talk[Data | None]:
        """Invoke a method."""
        ...

    def descriptor(self, ref: AttributeRef) -> bytes:
        """Return the descriptor of an attribute in a list request."""
        ...


class Lists(Protocol):
    """What is known of how a meter answers when several attributes are asked for at once."""

    def are_proven(self, refs: Sequence[AttributeRef]) -> bool:
        """Whether the meter is known to give these attributes in one list."""
        ...


class Client:
    """One association with one meter; methods that exchange APDUs are talks.

    Talks must not overlap: a meter answers one request at a time.
    """

    def __init__(
        self,
        dlms: Dlms,
        workarounds: Workarounds,
        datalink: DataLink,
        association: Association,
        directory: Directory | None = None,
        *,
        retries: int = 0,
    ) -> None:
        """`retries` is the number of retries of the connection."""
        # All attributes are set here: Python gives each object a table of names of its own, 0.8 kB,
        # if one is set for the first time when there are many objects of the class.
        #: Names of the negotiated services; empty before `connect`.
        self.conformance: frozenset[str] = frozenset()
        #: What replies may hold; set it before a request. Nothing else bounds what a meter says.
        self.allowance: Allowance = ASKED
        #: The largest APDU that the meter can receive, in octets.
        self.max_pdu = 0xFFFF
        #: The entries that had arrived when the association broke over its object list.
        self.list_part: ObjectList | None = None
        #: Number of SET and ACTION calls, counted at their start.
        self.changes = 0
        #: The meter's system title; None if unknown.
        self.server_system_title: bytes | None = None
        #: What polls have found out about lists; None if nobody polls the meter.
        self.lists: Lists | None = None
        self._datalink = datalink
        self._framing = dlms.interface_type
        self._association = association
        directory = directory or Directory()
        # HDLC repeats requests itself; if that fails, the link must be set up again. With a fixed
        # invoke-id, a second answer could not be told from the answer to the next request.
        tells_apart = workarounds.fixed_invoke_id is None
        numbers = dlms.interface_type != "WRAPPER" and not workarounds.connectionless
        afresh = retries if tells_apart and not numbers else 0
        #: The longest APDU that one frame carries.
        self._longest = 0xFFFF
        if workarounds.connectionless and dlms.interface_type != "WRAPPER":
            self._longest = (workarounds.max_info_transmit or _USUAL_INFORMATION) - _LLC
        self._conversation = conversation = Conversation(
            datalink,
            association,
            workarounds.fixed_invoke_id,
            directory.invoke_ids,
            afresh=afresh,
            remarks=directory.remarks,
        )
        fields = workarounds.skip_date_time_fields
        skip = frozenset(fields) if fields else _NO_FIELDS
        select = Selector(from_utc=dlms.deviation_from_utc, skip=skip).encode
        self._names: Naming | None = None
        #: The services that keep encoded questions.
        self._posing: LogicalNames | None = LogicalNames(
            conversation, self._room, select, self._allow
        )
        self._services: Services = self._posing
        self._access: Services | None = Access(conversation, self._room, select, self._allow)
        if dlms.referencing == "SN":
            services = ShortNames(
                conversation, self._room, select, directory, lambda: self.allowance
            )
            self._services, self._names = services, services.names
            self._access = self._posing = None
        # Frames with numbers tell answers apart, and so do invoke-ids.
        numbers = numbers and not workarounds.uncounted_frames
        self._fence: Fence | None = None
        if not numbers and (dlms.referencing == "SN" or not tells_apart):
            by_short_names = dlms.referencing == "SN"
            self._fence = Fence(conversation, directory.fence, by_short_names=by_short_names)

    @property
    def answered(self) -> int:
        """Number of requests that the meter answered and did not refuse as a whole."""
        return self._conversation.answered

    @property
    def only_order_tells(self) -> bool:
        """Whether only their order tells answers apart: no number is in frames or APDUs."""
        return self._fence is not None

    @property
    def is_in_doubt(self) -> bool:
        """Whether that order is in doubt: an answer was passed over, as one to another request."""
        return self._fence is not None and self._conversation.passed_over

    def check_step(self) -> Talk[None]:
        """Where only their order tells answers apart: make sure that none was one too many.

        Behind the last answer that is to be believed. Raises OutOfStepError, LinkError.
        """
        if self._fence is not None:
            yield from self._fence.check()

    def connect(self) -> Talk[None]:
        """Set up the data link and the association.

        Raises RefusedError if the meter refuses, LinkError if it is silent or its reply
        is invalid.
        """
        yield from self._datalink.connect()
        negotiated = yield from self._association.open(self._datalink)
        self.conformance = negotiated.conformance
        self.max_pdu = negotiated.max_pdu
        self.server_system_title = negotiated.server_system_title

    def lacks_names(self, refs: Sequence[AttributeRef] | None) -> bool:
        """Whether the object list must be read for these attributes; None stands for any."""
        return self._names is not None and self._names.lacks(refs)

    def learn_names(self, refs: Sequence[AttributeRef] | None) -> Talk[None]:
        """Read the object list, which may take a minute, if it is needed for these attributes.

        Raises ServiceError if the meter refuses it.
        """
        if self._names is not None:
            yield from self._names.learn(refs)

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """GET attributes, several in one request if that was negotiated.

        The result of an attribute that the meter refuses is an ObjectError. Raises
        ServiceError if the meter refuses the request as a whole, or its list is invalid. The
        request of a `Question` is encoded once.
        """
        if (
            isinstance(refs, Question)
            and self._posing is not None
            and (len(refs) == 1 or self._lists is self._posing)
        ):
            return self._posing.pose(refs)
        return self._get(refs)

    def _get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        if len(refs) > 1 and (lists := self._lists):
            return (yield from lists.get_list(refs))
        results = []
        for ref in refs:
            results.append((yield from self._services.get(ref)))
        return results

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """Read the object list of the association: the entries that are there.

        With `class_id` only the objects of this class, by selective access. Some meters announce
        more entries than they send. Raises ServiceError, and LinkError: then `list_part` is what
        had arrived.
        """
        self.list_part = None
        try:
            return (yield from self._services.object_list(class_id))
        except LinkError as error:
            self.list_part = entries_of(error, ASKED.of_object_list())
            raise

    def set(self, writes: Sequence[tuple[AttributeRef, Data]]) -> Talk[list[ObjectError | None]]:
        """SET attributes, in one request if that was negotiated; None means success."""
        self.changes += 1
        if len(writes) > 1 and (lists := self._lists):
            return (yield from lists.set_list(writes))
        results = []
        for ref, value in writes:
            results.append((yield from self._services.set(ref, value)))
        return results

    def action(self, method: MethodRef, argument: Data | None) -> Talk[Data | None]:
        """Invoke a method and return what it returned. Raises ObjectError."""
        self.changes += 1
        return (yield from self._services.action(method, argument))

    def release(self) -> Talk[None]:
        """Release the association and the data link; errors are ignored, as reading is done."""
        with suppress(DlmsError):
            yield from self._association.close(self._datalink)
        yield from self.clear()

    def break_off(self) -> Talk[Cleared]:
        """End the session after an exchange was interrupted, or one that may be open from before.

        Over HDLC only a DISC is sure to be understood then. The wrapper has no DISC, so the
        association is released.
        """
        if self._framing == "WRAPPER":
            with suppress(DlmsError):
                yield from self._association.close(self._datalink)
            return Cleared.ENDED
        return (yield from self.clear())

    def clear(self) -> Talk[Cleared]:
        """End a data link that an earlier run may have left open; errors are ignored."""
        try:
            had_session = yield from self._datalink.disconnect()
        except DlmsError:
            return Cleared.SILENCE
        return Cleared.NONE if had_session is False else Cleared.ENDED

    def max_items(self, refs: Sequence[AttributeRef]) -> int:
        """Return how many of these attributes, from the first, fit one request."""
        if not self._lists:
            return min(1, len(refs))
        room = self._room() - LIST_HEADER
        for count, ref in enumerate(refs):
            room -= len(self._services.descriptor(ref))
            if room < 0:
                return max(1, count)
        return len(refs)

    @property
    def _lists(self) -> Services | None:
        """The services for several attributes in one request; None if not negotiated."""
        if self._access and "access" in self.conformance:
            return self._access
        return self._services if "multiple-references" in self.conformance else None

    def _allow(self, refs: Sequence[AttributeRef]) -> Budget:
        return self.allowance.budget(refs)

    def _room(self) -> int:
        """Return the largest size of a request before ciphering, in octets."""
        size = min(self.max_pdu, self._longest)
        return size - (CIPHERING_OVERHEAD if self._association.ciphered else 0)


def get_one(client: Client, ref: AttributeRef) -> Talk[Data]:
    """GET one attribute. Raises ObjectError where the meter refuses it."""
    (result,) = yield from client.get([ref])
    if isinstance(result, ObjectError):
        raise result
    return result


def ask(
    client: Client, refs: Sequence[AttributeRef]
) -> Talk[list[Data | ObjectError | ServiceError]]:
    """GET attributes in the way in which polls get them: the error of each is its result.

    Of a meter that is polled, a list is asked for only if polls have proved it; what fails in it
    is asked for alone. Raises ServiceError if the meter refuses every request.
    """
    results: dict[AttributeRef, Data | ObjectError | ServiceError] = {}
    if len(refs) > 1 and (client.lists is None or client.lists.are_proven(refs)):
        with suppress(ServiceError):  # it offers lists but refuses this one
            found = yield from client.get(refs)
            results.update(zip(refs, found, strict=True))
    for ref in refs:
        if not isinstance(results.get(ref), Data):
            results[ref] = yield from _alone(client, ref)
    refusals = [one for one in results.values() if isinstance(one, ServiceError)]
    if len(refusals) == len(results):
        raise refusals[0]
    return [results[ref] for ref in refs]


def _alone(client: Client, ref: AttributeRef) -> Talk[Data | ObjectError | ServiceError]:
    try:
        (result,) = yield from client.get([ref])
    except ServiceError as error:
        return error
    return result


def make_client(
    device: Device,
    counter: InvocationCounter | None = None,
    directory: Directory | None = None,
) -> Client:
    """Return the client of a configured meter; raises ConfigError if its address does not fit.

    `directory` keeps data about the meter (such as short names) from one client to the next.
    """
    dlms, workarounds = device.dlms, device.workarounds
    retries = device.connection.retries
    directory = directory or Directory()
    directory.tell(device.base_names)
    datagrams = device.connection.type == "udp"
    datalink = make_datalink(dlms, retries, workarounds, directory.remarks, datagrams=datagrams)
    association = Association(dlms, workarounds, counter, directory.remarks)
    return Client(dlms, workarounds, datalink, association, directory, retries=retries)
