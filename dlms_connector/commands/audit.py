"""One line for every write, action and refusal: who, what, old value, new value, result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from logging import Logger

import simplejson

from dlms_connector.reading import Value
from dlms_converters.json_value import json_value

#: Most characters of an old or new value (it may be a table); the rest is cut off.
_LONGEST = 200
#: Most characters of a sentence: it may quote text of any length.
_LONGEST_SENTENCE = 600


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed a meter, or was meant to.

    `who` is the call or the attribute that asked for it; `result` is `done` or the refusal.
    """

    device: str
    who: str
    what: str
    result: str
    old: Value = None
    new: Value = None

    @property
    def sentence(self) -> str:
        """What happened, without the name of the device."""
        change = ""
        if self.old is not None:
            change = f": {_short(self.old)} -> {_short(self.new)}"
        elif self.new is not None:
            change = f": {_short(self.new)}"
        return f"{self.who}: {self.what}{change}: {shortened(self.result)}"


class Audit:
    """Writes events to the log, and hands them to `tell` (a device event, if configured)."""

    def __init__(self, log: Logger, tell: Callable[[Event], None] = lambda event: None) -> None:
        self._log, self._tell = log, tell

    def note(self, event: Event) -> None:
        """Record an event."""
        self._log.info("%s: audit: %s", event.device, event.sentence)
        self._tell(event)


def shortened(sentence: str) -> str:
    """Return a sentence that fits into a message and a log."""
    if len(sentence) <= _LONGEST_SENTENCE:
        return sentence
    return f"{sentence[:_LONGEST_SENTENCE]}…"


def _short(value: Value) -> str:
    text: str = simplejson.dumps(json_value(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
