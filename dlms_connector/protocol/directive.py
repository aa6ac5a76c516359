"""Directives: what a talk may ask of the line besides sending bytes.

A talk yields a directive like bytes to send. A driver that does not know directives sends
the bytes it carries, if any. When the directive is done, the talk receives `b""` or the
bytes that arrived meanwhile.
"""

from __future__ import annotations

from typing import Literal


class Directive(bytes):
    """Something to do between sending and receiving."""


class Pause(Directive):
    """Keep the line idle for some seconds.

    `waited_s` is how long the talk has waited for one and the same answer with such pauses.
    """

    seconds: float
    waited_s: float

    def __new__(cls, seconds: float, *, waited_s: float = 0.0) -> Pause:
        """Take the times in seconds."""
        pause = super().__new__(cls)
        pause.seconds, pause.waited_s = seconds, waited_s
        return pause

    def __repr__(self) -> str:
        return f"Pause({self.seconds:g})"


class Breath(Directive):
    """Let other tasks of the loop run: what is being done takes long."""


class Drain(Directive):
    """Wait for nothing: the talk receives what has arrived already."""

    def __repr__(self) -> str:
        return "Drain()"


class LineSettings(Directive):
    """Change a serial line's settings; a link without such settings does nothing.

    The bytes it carries go out first, in the old settings; `hold_s` seconds later the
    settings change, and what arrived until then is discarded.
    """

    baudrate: int
    bytesize: Literal[7, 8]
    parity: Literal["N", "E", "O"]
    stopbits: Literal[1, 2]
    hold_s: float

    def __new__(
        cls,
        baudrate: int,
        bytesize: Literal[7, 8] = 8,
        parity: Literal["N", "E", "O"] = "N",
        stopbits: Literal[1, 2] = 1,
        *,
        send: bytes = b"",
        hold_s: float = 0.0,
    ) -> LineSettings:
        """Take the new settings."""
        settings = super().__new__(cls, send)
        settings.hold_s = hold_s
        settings.baudrate = baudrate
        settings.bytesize = bytesize
        settings.parity = parity
        settings.stopbits = stopbits
        return settings

    def __repr__(self) -> str:
        return f"LineSettings({self.baudrate} {self.bytesize}{self.parity}{self.stopbits})"
