"""The open calls: each one is answered exactly once.

Used by the gateway's threads and by the meters' loop.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any

from dlms_connector.commands.request import Request

#: A restarted platform numbers its calls anew: after this time, the same number is a new call.
_REPEATED_WITHIN_S = 20.0
_REMEMBERED = 1000

Content = Mapping[str, Any]

#: Sends an answer: device, number, content. Returns false if it could not be delivered.
Send = Callable[[str, int, Content], bool]


@dataclass(slots=True, eq=False)
class _Call:
    device: str
    number: int
    digest: bytes
    taken_at: float
    answered: bool = False
    #: An answer that was not delivered, kept until the platform repeats the call.
    unheard: Content | None = None


class Ledger:
    """Which calls were taken, and which of them are answered."""

    def __init__(self, send: Send, now: Callable[[], float] = monotonic) -> None:
        self._send, self._now = send, now
        self._calls: OrderedDict[tuple[str, int], _Call] = OrderedDict()
        self._open: dict[int, _Call] = {}
        self._lock = Lock()
        self._closing: Content | None = None

    def take(self, request: Request) -> Callable[[Content], None] | None:
        """Return the function that answers a call; None if the call is not to be carried out.

        A repeated call is not carried out again. Its answer is sent again only if it could
        not be delivered before. After `close`, a call is answered at once.
        """
        call = _Call(request.device, request.id, _digest(request), self._now())
        with self._lock:
            before = self._calls.get((request.device, request.id))
            if before and self._same(before, call):
                content, before.unheard = before.unheard, None
                repeated = True
            else:
                repeated = False
                self._remember(call)
                content = self._closing
        if repeated:
            if content is not None:
                self._deliver(before or call, content)
            return None
        if content is not None:
            self._answer(call, content)
            return None
        return lambda answer: self._answer(call, answer)

    def close(self, content: Content) -> None:
        """Answer all open calls, and from now on every new call at once."""
        with self._lock:
            self._closing = content
            waiting = list(self._open.values())
        for call in waiting:
            self._answer(call, content)

    def _same(self, before: _Call, call: _Call) -> bool:
        recent = call.taken_at - before.taken_at < _REPEATED_WITHIN_S
        return before.digest == call.digest and (recent or not before.answered)

    def _remember(self, call: _Call) -> None:
        key = (call.device, call.number)
        self._calls.pop(key, None)
        self._calls[key] = call
        self._open[id(call)] = call
        if len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)

    def _answer(self, call: _Call, content: Content) -> None:
        with self._lock:
            if call.answered:
                return
            call.answered = True
            self._open.pop(id(call), None)
        self._deliver(call, content)

    def _deliver(self, call: _Call, content: Content) -> None:
        if not self._send(call.device, call.number, content):
            call.unheard = content


def _digest(request: Request) -> bytes:
    try:
        said = repr((request.method, request.params))
    except RecursionError:  # the call is refused later for its nesting
        said = request.method
    return hashlib.sha256(said.encode(errors="replace")).digest()
