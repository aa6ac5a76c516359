"""Waiting until the gateway has taken over what a connector has handed to it.

`send_to_storage` only puts data into a queue. When a connector is removed, the gateway forgets its
devices as soon as `close` returns, and drops what is still in that queue for them: the last words
of the meters among it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

#: Seconds between two looks; the gateway's thread itself looks every 10 ms.
_PAUSE_S = 0.005


def until_taken(
    gateway: Any, within_s: float, pause: Callable[[], None] = lambda: sleep(_PAUSE_S)
) -> bool:
    """Wait until the gateway has worked off its queue; false if it has not, or is ending."""
    if (queue := _queue_of(gateway)) is None:
        return False
    until = monotonic() + within_s

    def emptied() -> bool:
        while not (empty := queue.empty()):
            if gateway.stopped or monotonic() >= until:
                break
            pause()
        return bool(empty)

    # It takes many out at once and then works them off. What comes after that it takes when it is
    # done with them: here a list of no data, which it passes over.
    if not emptied():
        return False
    queue.put(("", "", []))
    return emptied()


def _queue_of(gateway: Any) -> Any:
    try:
        return gateway.get_converted_data_queue()
    except AttributeError:  # another version than those we know
        return None
