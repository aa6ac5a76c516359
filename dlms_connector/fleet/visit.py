"""A short turn of a meter for its history, between polls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk


@dataclass(frozen=True, slots=True)
class Visit:
    """What to read, about how long it takes in seconds, and who is told of the result.

    `brings` says that it brings a slice that is to be kept, `limit_s` when it is broken off.

    `begun` is called before it, then `read` with the result and the time it took within the
    association, or `failed` with the error.
    """

    talk: Callable[[Client], Talk[Any]]
    seconds: float
    read: Callable[[Any, float], None]
    failed: Callable[[Exception], None]
    begun: Callable[[], None] = lambda: None
    brings: bool = False
    limit_s: float = 30.0
