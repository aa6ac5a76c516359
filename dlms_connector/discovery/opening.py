"""What one client shows: an association, opened again where an object breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.config import Device
from dlms_connector.discovery.association import Patience, in_association
from dlms_connector.discovery.description import Description, description_of
from dlms_connector.discovery.draft import Request
from dlms_connector.discovery.entry import items_of
from dlms_connector.discovery.gathering import Gathering, Progress
from dlms_connector.discovery.search import MakeLink
from dlms_connector.errors import DlmsError, LinkError, RefusedError
from dlms_connector.interpret import options_of
from dlms_connector.protocol import Client
from dlms_connector.protocol.services import Directory
from dlms_connector.protocol.talk import Talk

#: A meter with a broken session may be silent or refuse for a while: it is asked so often, and
#: each time after longer.
_MOST_REFUSALS = 3
_REST_FACTOR = 5


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a client showed, with the sections of its entry."""

    description: Description
    size: int
    dlms: Mapping[str, Any]
    workarounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measured(self) -> int:
        """The number of measured values, as in an entry."""
        return len(items_of(self.description)["timeseries"])

    @property
    def rank(self) -> tuple[int, int, int]:
        """A sort key: the client that gives most is the greatest."""
        objects = self.description.objects
        return self.measured, sum(one.is_read for one in objects), len(objects)


class Opening:
    """Opens the association of a device, and reads what it shows."""

    def __init__(
        self, request: Request, device: Device, make_link: MakeLink, reading: Progress | None
    ) -> None:
        self._request, self._device = request, device
        self._make_link, self._reading = make_link, reading
        self._patience = Patience()
        self._client: Client | None = None
        #: Short names are read once, and invoke-ids continue over all associations.
        self._directory = Directory()

    @property
    def let_in(self) -> bool:
        """Whether the association was opened."""
        return self._client is not None

    async def gather(self, worth: int = 0) -> tuple[Description, int] | None:
        """Read the objects; return them and how many attributes there were to read.

        Return None if there are no more than `worth`. Raises DlmsError if no association could
        be opened, or if the client gave nothing.
        """
        referencing = self._device.dlms.referencing
        gathering = Gathering(self._reading, referencing=referencing, worth=worth)
        refused = 0
        while True:
            before = self._client
            try:
                await self._once(gathering)
                break
            except DlmsError as error:
                if self._client is not before:  # opened, and broken by what was asked
                    again = isinstance(error, LinkError) and gathering.broke(error)
                    refused = 0
                else:
                    refused += 1
                    again = self._client is not None and self._may_retry(error, refused)
                if not again and not gathering.answered:
                    raise
                if not again:
                    gathering.give_up(error)
                    break
                await asyncio.sleep(self._rest_s(refused))
        if gathering.dismissed:
            return None
        options = options_of(self._device.dlms)
        return description_of(gathering, self._client, options), gathering.size

    async def again(self) -> DlmsError | None:
        """Open the association once more; return why that failed, if it did.

        A meter may accept one invocation counter and no other: that shows the second time.
        """
        try:
            await self._once(None)
        except DlmsError as error:
            return error
        return None

    def _may_retry(self, error: DlmsError, refused: int) -> bool:
        """Whether to open again where that failed after a broken session."""
        proves = self._device.dlms.authentication != "NONE"
        return refused < _MOST_REFUSALS and not (proves and isinstance(error, RefusedError))

    def _rest_s(self, refused: int) -> float:
        """Return the seconds without traffic that a meter needs after a broken session."""
        quiet_s = self._device.workarounds.quiet_after_failure_ms / 1000
        return quiet_s + _REST_FACTOR * refused * self._request.pace.reopen_s

    async def _once(self, gathering: Gathering | None) -> None:
        def job(client: Client) -> Talk[None]:
            self._client = client
            if gathering is not None:
                yield from gathering.talk(client)

        await in_association(
            self._device, self._make_link, job,
            directory=self._directory,
            reopen_s=self._request.pace.reopen_s,
            patience=self._patience,
            state_dir=self._request.state_dir,
        )  # fmt: skip
