"""Spares the gateway writing its file of devices anew for each device that it gets to know.

The gateway keeps its devices in `connected_devices.json` and writes all of them whenever one is
added or leaves. With ten thousand new meters these are ten thousand files of two megabytes, and
they took most of the time until the last meter had its first value on the platform. There is no
public interface for this. Without it, or if a gateway has it no more, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from logging import Logger
from typing import Any

_NAME = "_TBGatewayService__save_persistent_devices"
#: The file is written after so many times the time that the last writing took, at least.
_SHARE = 20
#: How long the file is left alone if the gateway has not read it: it reads it soon after its start.
_PATIENCE_S = 120.0


class DeviceFile:
    """Has the gateway's file of devices written soon after changes, instead of at each.

    `write` is called a few times per second. What the file lacks if the process is killed within
    that time, the gateway learns again from the next values.
    """

    def __init__(
        self,
        gateway: Any,
        log: Logger,
        clock: Callable[[], float],
        is_read: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_read` tells whether the gateway has read the file since it was started."""
        self._gateway, self._log, self._clock = gateway, log, clock
        self._is_read, self._patient_until = is_read, clock() + _PATIENCE_S
        self._original: Callable[[], object] | None = None
        self._changed = False
        self._not_before = 0.0

    def write(self) -> None:
        """Write the file if it is out of date and its time has come."""
        self.take_over()
        if not (self._is_read() or self._clock() >= self._patient_until):
            return
        if not self._changed or self._original is None:
            return
        if (started := self._clock()) >= self._not_before:
            self._changed = False  # before writing: a change meanwhile counts
            try:
                self._original()
            except RuntimeError:  # the gateway's other threads add devices while it looks at them
                self._changed = True
            ended = self._clock()
            self._not_before = ended + _SHARE * (ended - started)

    def give_back(self) -> None:
        """Let the gateway write the file itself again, and write what is still to be written."""
        if self._original is None:
            return
        with suppress(AttributeError):
            if self._present() == self._note:
                delattr(self._gateway, _NAME)
        if self._changed:
            self._changed = False
            with suppress(OSError):  # nothing may keep the connector from ending
                self._original()
        self._original = None

    def take_over(self) -> None:
        """Write instead of the gateway from now on."""
        if self._original is None and self._present() is None:
            original = getattr(self._gateway, _NAME, None)
            if callable(original):
                self._original = original
                setattr(self._gateway, _NAME, self._note)
                self._log.debug("the gateway's file of devices is written at intervals")

    def _present(self) -> object:
        """Return what stands in for the gateway's own: another connector may be first."""
        return getattr(self._gateway, "__dict__", {}).get(_NAME)

    def _note(self) -> None:
        self._changed = True
