"""How long the caller of a change waits: after that the change is not begun.

The platform gives up after its own timeout, which a call does not carry. Who asked has then been
told that the call failed, and may have acted on it; a relay that switches later is a surprise.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dlms_connector.commands.operations import Attempt
from dlms_connector.errors import CommandError
from dlms_connector.hints import Symptom

#: The platform's shortest timeout in seconds: shorter ones of a widget are raised to it.
PATIENCE_S = 5.0


class GivenUpError(CommandError):
    """The caller has given up before the change was begun: it is not made any more."""

    symptoms = (Symptom.GIVEN_UP,)

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(
            f"{what}: not begun within {seconds:g} s, when the caller has given up; "
            "nothing was done"
        )
        self.seconds = seconds


class Patience:
    """The patience of the caller of one change; `came` is when the call came."""

    def __init__(self, what: str, came: float, seconds: float) -> None:
        self._what, self._seconds = what, seconds
        self._until = came + seconds
        self._over = False

    @property
    def left_s(self) -> float:
        """How many seconds are left to begin."""
        return 0.0 if self._over else max(0.0, self._until - _now())

    @property
    def error(self) -> GivenUpError:
        """What the caller is told once the patience is over."""
        return GivenUpError(self._what, self._seconds)

    def require(self) -> None:
        """Raise GivenUpError once the patience is over."""
        if not self.left_s:
            raise self.error

    def watch(self, future: asyncio.Future[Any], attempt: Attempt) -> None:
        """Let a future fail when the patience is over, unless the change was begun.

        What was told stays true: from then on `require` raises.
        """

        def give_up() -> None:
            if not attempt.begun and not future.done():
                self._over = True
                future.set_exception(self.error)

        timer = asyncio.get_running_loop().call_at(self._until, give_up)
        future.add_done_callback(lambda _: timer.cancel())


def _now() -> float:
    return asyncio.get_running_loop().time()
