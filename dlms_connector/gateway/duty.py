"""Which of the configured meters are this gateway's now: its share of them, while it is on duty.

The share is that of the loaded configuration. Duty may change at any moment, by a file that a
cluster manager writes; then all that works for the meters is made anew, or ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from logging import Logger
from pathlib import Path
from threading import Event, Thread
from typing import Any

from dlms_connector.config import Configuration
from dlms_connector.gateway.session import session
from dlms_connector.sharing import WHOLE_FLEET, RoleFile, Share
from dlms_connector.state import begin_tenure

#: Seconds between two looks at the file: with the time to let go of the meters, a change is done
#: within a second.
LOOK_S = 0.2
#: Seconds until a change is asked for again that was not made.
_AGAIN_S = 5.0

ACTIVE, STANDBY = "active", "standby"


class Duty:
    """A gateway's duty as it is when this is made; `changed` is called when it is another.

    `changed` is called in a thread of its own, and again after a while if nobody closes this.
    """

    def __init__(
        self,
        configuration: Configuration,
        share: Share | None,
        log: Logger,
        changed: Callable[[], None],
    ) -> None:
        standby = configuration.standby
        self.share = share or WHOLE_FLEET
        self._file = RoleFile(Path(standby.active_file)) if standby is not None else None
        self._log, self._changed = log, changed
        self._ended = Event()
        self._told_in: object | None = None
        self._folder: Path | None = None
        #: Whether the meters are polled.
        self.active = self._file is None or self._file.is_active()

    @property
    def is_shared(self) -> bool:
        """Whether another gateway may have served the same meters before, or will."""
        return self._file is not None or self.share.count > 1

    @property
    def is_paired(self) -> bool:
        """Whether another gateway has the same meters, and one of both polls them."""
        return self._file is not None

    @property
    def refusal(self) -> str:
        """What callers are told while this gateway is not on duty; empty while it is."""
        if self.active or self._file is None:
            return ""
        return (
            f"this gateway is on standby: {self._file.path} is not there, so another gateway "
            "serves the meters; call them through that one"
        )

    def attributes(self) -> Mapping[str, str]:
        """Return what the platform is told of it, as attributes of the gateway's own device."""
        role = {"dlmsRole": ACTIVE if self.active else STANDBY} if self._file is not None else {}
        share = {"dlmsShare": str(self.share)} if self.share.count > 1 else {}
        return {**role, **share}

    def tell(self, gateway: Any) -> None:
        """Send the attributes once in each session; call it often, in a thread that may wait.

        Not through the gateway's storage, which takes nothing for the gateway itself.
        """
        now = session(gateway)
        if now is None or now is self._told_in:
            return
        self._told_in = now
        if told := self.attributes():
            gateway.tb_client.client.send_attributes(dict(told))

    def take(self, folder: Path | None) -> Path | None:
        """Return the folder of the state for use; None if it cannot be used.

        It is noted there that invocation counters may have been used elsewhere.
        """
        self._folder = folder
        if folder is not None:
            share = str(self.share) if self.share.count > 1 else ""
            try:
                begin_tenure(folder, share, anew=self.is_paired)
            except OSError as error:
                self._log.error("nothing is kept in %s: %s", folder, error)
                self._folder = None
        return self._folder

    def retire(self) -> None:
        """Let commands ask the meters for their counters: from now on another gateway counts."""
        if self.is_paired and self.active:
            self.take(self._folder)

    def begin(self, name: str) -> None:
        """Say what it is, and watch the file, if there is one."""
        if self._file is None:
            return
        told = "is there: active" if self.active else "is not there: on standby, no meter is asked"
        self._log.info("%s %s", self._file.path, told)
        Thread(target=self._watch, args=(self._file,), name=f"{name} role", daemon=True).start()

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _watch(self, file: RoleFile) -> None:
        while not self._ended.wait(LOOK_S):
            if file.is_active() != self.active:
                self._changed()
                self._ended.wait(_AGAIN_S)
