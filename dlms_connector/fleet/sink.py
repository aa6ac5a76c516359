"""Who receives what the meters give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from dlms_connector.config import Device, Profile
from dlms_connector.errors import DlmsError
from dlms_connector.reading import Poll, Reading
from dlms_connector.records import Slice

MeterState = Literal["online", "offline", "backoff", "refused", "misconfigured"]

#: The reason for which a slice is not kept if there is no room for it.
FULL = "full"
#: Takes whether a slice was kept, and if not, why (`FULL`, or a sentence); call it from any thread.
Kept = Callable[[bool, str], None]


class Sink(Protocol):
    """Receiver of what meters give. Called in the loop's thread; must not block or raise."""

    def polled(self, device: Device, poll: Poll) -> None:
        """Take the result of a poll."""
        ...

    def state(self, device: Device, state: MeterState, error: DlmsError | None) -> None:
        """Take a meter's new state, and the error if it is not online."""
        ...

    def history(
        self,
        device: Device,
        profile: Profile,
        part: Slice,
        readings: Sequence[Reading],
        done: Kept,
    ) -> None:
        """Take what a slice of a profile held; call `done` once it is on the disk, or is not."""
        ...
