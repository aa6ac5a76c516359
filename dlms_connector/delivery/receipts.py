"""Which devices are answered by the rule chain that sends receipts, and which are not (yet).

The chain serves a device profile, so what is found for one device holds for its type. A *probe*
is a client attribute with a number that the chain sends back as a receipt. Pure: told the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

#: Telemetry key in which an entry carries its number, and the shared attribute that returns it.
RECEIPT_KEY = "dlmsReceipt"
#: Client attribute with the number of a probe.
PROBE_KEY = "dlmsReceiptProbe"

#: Seconds that a probe is waited for; the answer came within 0.2 s on a real server.
PROBE_S = 5.0
#: Probes without an answer until a type counts as without receipts, and seconds until the next.
_PROBES, _AGAIN_S = 3, 3600.0
_MOST_PROBES = 1000

Known = Literal["yes", "no", "open"]


@dataclass(slots=True)
class _Type:
    known: Known = "open"
    asked: int = 0
    #: When the next probe may be sent, or the one on its way is given up.
    until: float = 0.0
    probes: dict[int, str] = field(default_factory=dict)


class Receipts:
    """What is known about receipts, by type of device.

    `numbers` gives the numbers of probes: smaller than those of entries, and no one's else.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._types: dict[str, _Type] = {}
        #: Devices that got none although their type does: they have a profile without the chain.
        self._without: dict[str, float] = {}
        #: When a device last got a receipt or an answer to a probe.
        self._heard: dict[str, float] = {}

    def known(self, device: str, device_type: str, now: float) -> Known:
        """Return whether receipts come for a device."""
        if self._without.get(device, now) > now:
            return "no"
        return self._types.get(device_type, _Type()).known

    def probe(self, device: str, device_type: str, now: float) -> int | None:
        """Return the number of a probe to be sent for a device now, None if none is due."""
        kind = self._types.setdefault(device_type, _Type())
        if kind.known == "yes" or now < kind.until:
            return None
        if kind.known == "open" and kind.asked >= _PROBES:
            kind.known, kind.until = "no", now + _AGAIN_S
            return None
        # Where there were no receipts an hour ago, entries go on without while it is asked again.
        return self._ask(kind, device, now + (PROBE_S if kind.known == "open" else _AGAIN_S))

    def next_probe(self, device_type: str) -> float:
        """Return when a type can be probed again, or its probe is given up."""
        return self._types[device_type].until

    def challenge(self, device: str, device_type: str, now: float) -> int:
        """Return the number of a probe that asks whether receipts still come for a device."""
        return self._ask(self._types.setdefault(device_type, _Type()), device, now + PROBE_S)

    def received(self, device: str, number: int, now: float) -> bool:
        """Note a receipt; true if it answers one of our probes of this device."""
        for kind in self._types.values():
            if kind.probes.get(number) == device:
                kind.known, kind.asked = "yes", 0
                kind.probes.clear()
                self._without.pop(device, None)
                self._heard[device] = now
                return True
        return False

    def confirmed(self, device: str, now: float) -> None:
        """Note that an entry of a device was confirmed."""
        self._heard[device] = now

    def heard_since(self, device: str, since: float) -> bool:
        """Whether receipts came for a device after a time."""
        return self._heard.get(device, since) > since

    def fails(self, device: str, now: float) -> None:
        """Note that no receipts come for a device of a type that gets them."""
        self._without[device] = now + _AGAIN_S

    def lost(self) -> None:
        """Begin anew after a loss of the connection, where nothing was found yet."""
        for kind in self._types.values():
            if kind.known == "open":
                kind.asked, kind.until = 0, 0.0

    def forget(self, device: str) -> None:
        """Forget a device that was deleted on the platform."""
        self._without.pop(device, None)
        self._heard.pop(device, None)

    def counts(self) -> dict[str, int]:
        """Return how many types get receipts, do not, or are not known yet."""
        kinds = [kind.known for kind in self._types.values()]
        return {known: kinds.count(known) for known in ("yes", "no", "open")}

    def _ask(self, kind: _Type, device: str, until: float) -> int:
        number = next(self._numbers)
        kind.asked += 1
        kind.until = until
        if len(kind.probes) > _MOST_PROBES:  # answers to those are not expected any more
            kind.probes.clear()
        kind.probes[number] = device
        return number
