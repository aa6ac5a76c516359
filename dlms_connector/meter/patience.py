"""How long a meter may be silent in one turn.

Alone on its line, or while nobody else is due, a meter has its timeout for each try. Where
others wait for the line, all its silences of a turn together are one timeout: requests are
repeated within that time as far as its replies are known to be fast, and the rest has to wait
for its next turn.
"""

from __future__ import annotations

from math import inf

from dlms_connector.config import Device

#: Less is not waited for a reply: a frame takes its time on slow lines.
_LEAST_S = 1.5
#: Alone on its line, a meter may at least be so long without an answer that says it is ready.
_LEAST_BUSY_S = 30.0
#: A reply may take this many times as long as the slowest one before.
_SLOWER = 2.0
_NEARLY = 0.99
#: They begin at 300 baud.
_SLOW_BEGINNING = ("HDLC_WITH_MODE_E", "IEC_62056_21")
#: Time for the answer to a last DISC, which nobody needs.
_FAREWELL_S = 0.3


class Patience:
    """The silence that is left to a meter in its turn; times are in seconds."""

    def __init__(self, device: Device) -> None:
        connection = device.connection
        self._timeout_s = connection.timeout_ms / 1000
        self._share_s = max(_LEAST_S, self._timeout_s / (connection.retries + 1))
        if device.dlms.interface_type in _SLOW_BEGINNING:
            self._share_s = self._timeout_s
        self._busy_s = max(_LEAST_BUSY_S, self._timeout_s * (connection.retries + 1))
        self._slowest_s = 0.0
        self._left_s = inf

    def begin(self, *, hurried: bool) -> None:
        """Begin a turn; `hurried` says that others wait for the line."""
        self._left_s = self._timeout_s if hurried else inf

    @property
    def is_over(self) -> bool:
        """Whether the meter has been silent as long as it may be in this turn."""
        return self._left_s <= 0

    @property
    def reply_s(self) -> float:
        """The time for the next reply."""
        if self._left_s == inf:
            return self._timeout_s
        share = max(self._share_s, _SLOWER * self._slowest_s)
        # What would be left is too short for one more try: then this one may take it.
        last = self._left_s - share < share * _NEARLY
        return max(0.0, self._left_s if last else share)

    def silent(self, seconds: float) -> None:
        """Note that no reply came for so long."""
        self._left_s -= seconds

    def put_off(self, seconds: float) -> None:
        """Note that the meter has said for so long that it has no answer yet.

        It is not silent, but may not go on for longer than it may be silent in all its tries;
        where others wait for the line, for one timeout.
        """
        if seconds >= (self._busy_s if self._left_s == inf else self._timeout_s):
            self._left_s = 0.0

    def heard(self, seconds: float) -> None:
        """Note that a reply came after so long."""
        self._slowest_s = max(self._slowest_s, seconds)

    def for_farewell(self) -> None:
        """Allow a short time for ending the session of a silent meter."""
        self._left_s = max(self._left_s, _FAREWELL_S)
