"""What to read of a profile next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Errand:
    """Rows to ask for: those from `start_ms`, up to before `end_ms`.

    `new`: the newest ones. `past`: older ones that were never asked for. `gap`: some that the
    meter did not give when it was asked for them.
    """

    start_ms: int
    end_ms: int
    kind: Literal["new", "past", "gap"]

    def holds(self, ts_ms: int) -> bool:
        """Whether a row is one that was asked for. Others are not believed: their time is wrong."""
        return self.start_ms <= ts_ms < self.end_ms


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a profile is.

    `unread` intervals were never asked for, `gaps` will be asked for again; without a capture
    period they are hours. `oldest_ms` is the start of what is wanted and, as far as is known, held
    by the meter; `newest_ms` the newest row.
    """

    unread: int
    gaps: int
    oldest_ms: int
    newest_ms: int | None
