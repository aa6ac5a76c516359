"""One association with one meter, from the client's side, sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from dlms_connector.config import Device, Dlms, Workarounds
from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import DlmsError, ObjectError
from dlms_connector.protocol.association import Association
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.datalink import make_datalink
from dlms_connector.protocol.security import InvocationCounter
from dlms_connector.protocol.services import (
    LIST_HEADER,
    Access,
    Conversation,
    Directory,
    LogicalNames,
    Selector,
    ShortNames,
)
from dlms_connector.protocol.talk import DataLink, Talk

#: What ciphering adds to a request: tag and length, security control, counter, tag of GCM,
#: and for general ciphering the system title.
CIPHERING_OVERHEAD = 4 + 1 + 4 + 12 + 9


class Services(Protocol):
    """Reading, writing and invoking, in whichever way objects are named."""

    def get(self, ref: AttributeRef) -> Talk[Data | ObjectError]:
        """Read one attribute."""
        ...

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read several attributes in one request."""
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
        """Return what names an attribute in a list."""
        ...


class Client:
    """One association with one meter; every method is a talk that runs to its end.

    Talks must not overlap: a meter answers one request at a time.
    """

    #: Services agreed on, by name; none before `connect`.
    conformance: frozenset[str] = frozenset()
    #: How many octets of an APDU the meter can receive.
    max_pdu: int = 0xFFFF
    #: How often something was written or invoked, or was about to be.
    changes: int = 0
    #: Who the meter says it is, where the association tells.
    server_system_title: bytes | None = None

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
        """`retries` are those of the connection."""
        self._datalink = datalink
        self._framing = dlms.interface_type
        self._association = association
        directory = directory or Directory()
        # HDLC asks again by itself, and is to be set up anew where that was of no use. With one
        # invoke-id for all, nothing would tell the second answer from that to the next question.
        tells_apart = workarounds.fixed_invoke_id is None
        afresh = retries if dlms.interface_type == "WRAPPER" and tells_apart else 0
        self._conversation = conversation = Conversation(
            datalink,
            association,
            workarounds.fixed_invoke_id,
            directory.invoke_ids,
            afresh=afresh,
        )
        skip = frozenset(workarounds.skip_date_time_fields)
        select = Selector(from_utc=dlms.deviation_from_utc, skip=skip).encode
        self._services: Services = LogicalNames(conversation, self._room, select)
        self._access: Services | None = Access(conversation, self._room, select)
        if dlms.referencing == "SN":
            self._services = ShortNames(conversation, self._room, select, directory)
            self._access = None

    @property
    def answered(self) -> int:
        """How many requests the meter has answered and not refused as a whole."""
        return self._conversation.answered

    def connect(self) -> Talk[None]:
        """Set up the data link and the association.

        Raises RefusedError where the meter will not have it, LinkError where it is silent
        or makes no sense.
        """
        yield from self._datalink.connect()
        negotiated = yield from self._association.open(self._datalink)
        self.conformance = negotiated.conformance
        self.max_pdu = negotiated.max_pdu
        self.server_system_title = negotiated.server_system_title

    def get(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """GET attributes: one by itself, several in one request where that was agreed on.

        What the meter will not give is an ObjectError in its place. Raises ServiceError
        where the request as a whole is refused, or the list that comes makes no sense.
        """
        if len(refs) > 1 and (lists := self._lists):
            return (yield from lists.get_list(refs))
        results = []
        for ref in refs:
            results.append((yield from self._services.get(ref)))
        return results

    def set(self, writes: Sequence[tuple[AttributeRef, Data]]) -> Talk[list[ObjectError | None]]:
        """SET attributes, in one request where that was agreed on; None is success."""
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
        """Say goodbye; what goes wrong with that is no error of what was read before."""
        with suppress(DlmsError):
            yield from self._association.close(self._datalink)
        yield from self.clear()

    def break_off(self) -> Talk[None]:
        """Say goodbye where a conversation was cut off.

        Over HDLC only a DISC is sure to be understood then; the wrapper has none.
        """
        if self._framing == "WRAPPER":
            with suppress(DlmsError):
                yield from self._association.close(self._datalink)
        else:
            yield from self.clear()

    def clear(self) -> Talk[None]:
        """End a session that an earlier run may have left behind; the answer is ignored."""
        with suppress(DlmsError):
            yield from self._datalink.disconnect()

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
        """What serves several attributes at once, if anything does."""
        if self._access and "access" in self.conformance:
            return self._access
        return self._services if "multiple-references" in self.conformance else None

    def _room(self) -> int:
        """How many octets a plain request may have."""
        return self.max_pdu - (CIPHERING_OVERHEAD if self._association.ciphered else 0)


def get_one(client: Client, ref: AttributeRef) -> Talk[Data]:
    """GET one attribute. Raises ObjectError where the meter refuses it."""
    (result,) = yield from client.get([ref])
    if isinstance(result, ObjectError):
        raise result
    return result


def make_client(
    device: Device,
    counter: InvocationCounter | None = None,
    directory: Directory | None = None,
) -> Client:
    """Return the client of a configured meter; raises ConfigError if its address does not fit.

    `directory` keeps what is known of a meter from one client to the next.
    """
    dlms, workarounds = device.dlms, device.workarounds
    retries = device.connection.retries
    datalink = make_datalink(dlms, retries, workarounds)
    association = Association(dlms, workarounds, counter)
    return Client(dlms, workarounds, datalink, association, directory, retries=retries)
