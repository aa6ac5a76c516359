"""What is noticed of a meter besides its answers: counted, told, and passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import inf

from dlms_connector.errors import DlmsError, SecurityError
from dlms_connector.meter.diagnostics import Statistics
from dlms_connector.protocol.remarks import Remarks

#: Replies that may be forged are told again when there were none for so long.
_AGAIN_S = 3600.0


class Noticed:
    """What is noticed of one meter; `remarks` takes it from the protocol.

    `unasked` gets the meter's name and each APDU that answers nothing, as received.
    """

    def __init__(
        self,
        name: str,
        statistics: Statistics,
        log: logging.Logger,
        unasked: Callable[[str, bytes], None],
    ) -> None:
        self._name, self._statistics, self._log, self._pass_on = name, statistics, log, unasked
        #: What was refused beside the true answer since the last poll, when that was, and when it
        #: last was before.
        self._refused: DlmsError | None = None
        self._refused_at = self._refused_before = -inf
        self.remarks = Remarks(self._on_quirk, self._on_unasked, self._on_refused)

    def tell_refused(self, *, outage: bool) -> None:
        """Tell of refused replies after a poll, unless an outage is told that they have led to."""
        error, self._refused = self._refused, None
        if error is None or outage:
            return
        if self._refused_at - self._refused_before > _AGAIN_S:
            self._log.warning(
                "%s: refused beside the true answer: %s (%s)", self._name, error, error.hint
            )
        self._refused_before = self._refused_at

    def dismantle(self) -> None:
        """Let go of what holds this in turn: nothing is noticed any more."""
        self.remarks = Remarks()

    def _on_quirk(self, what: str) -> None:
        """Log what the meter does; it is told once."""
        self._log.info("%s: %s; this is taken as it is meant", self._name, what)

    def _on_unasked(self, apdu: bytes) -> None:
        self._statistics.unasked += 1
        self._pass_on(self._name, apdu)
        tag = apdu[:1].hex().upper() or "nothing"
        self._log.debug("%s: sent %d octets unasked (tag %s)", self._name, len(apdu), tag)

    def _on_refused(self, error: DlmsError) -> None:
        self._statistics.forged += 1
        if isinstance(error, SecurityError):
            error.counted = True
        self._refused, self._refused_at = error, asyncio.get_running_loop().time()
        self._log.debug("%s: %s; the true answer is waited for", self._name, error)
