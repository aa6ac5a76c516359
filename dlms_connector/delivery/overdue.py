"""What becomes of entries that are not confirmed in time: again, alone, refused, or released.

The platform acknowledges a message that it does not store: one with a key or value that it does
not accept, and all else in that message. An entry that stays without a receipt while later ones
of its device get theirs is sent again, then alone, and then set aside: told once, not repeated.
Behind each repeat goes a probe, so that there is something later also where all is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from logging import Logger

from dlms_connector.delivery.receipts import Receipts
from dlms_connector.delivery.ways import Settings
from dlms_connector.delivery.window import TRIES, Flight, Window

#: Seconds that an entry that was handed over alone is waited for: after its device was heard, or
#: else.
HEARD_S, ALONE_S = 2.0, 15.0
#: Entries with the same keys that were refused one by one, until all of them are.
_SAME = 3
#: Longest time until an entry is sent again.
_LONGEST_S = 3600.0
#: Hand-overs without any receipt of a device until it counts as one without receipts.
_HOPELESS = 5
#: Least time until an entry is released without proof.
_RELEASE_S = 60.0
_MOST_TOLD = 1000


@dataclass(slots=True)
class Found:
    """What is to be done."""

    refused: list[tuple[int, str]] = field(default_factory=list)
    released: list[int] = field(default_factory=list)


class Overdue:
    """Looks at what is on its way, a few times per `confirmPeriod`."""

    def __init__(self, window: Window, receipts: Receipts, settings: Settings, log: Logger) -> None:
        self._window, self._receipts = window, receipts
        self._settings, self._log = settings, log
        self._silent: set[str] = set()
        self._told: set[tuple[str, frozenset[str]]] = set()
        #: How often entries with these keys were refused, and none of them confirmed since.
        self._bad: dict[tuple[str, frozenset[str]], int] = {}
        self._without_told = False
        self._look_at = 0.0
        self.refused = 0

    def confirmed(self, device: str, flights: Iterable[Flight | None]) -> None:
        """Note that entries of a device were confirmed by receipts."""
        for flight in flights:
            if flight and self._bad:
                self._bad.pop((device, _keys(flight)), None)

    def is_silent(self, device: str) -> None:
        """Note that the platform never answers for a device: proof is given up."""
        if device not in self._silent:
            if not self._silent:
                text = (
                    "%s: the platform takes data but does not answer whether it is stored; what "
                    "is sent leaves the journal without proof from now on; is there a platform "
                    "rule against client attributes? `confirm: none` says the same at once"
                )
                self._log.warning(text, device)
            self._silent.add(device)

    def is_given_up(self, device: str) -> bool:
        """Whether proof is given up for a device."""
        return device in self._silent

    def answers(self, device: str) -> None:
        """Note that the platform answers for a device again."""
        self._silent.discard(device)

    def look(self, now: float) -> Found:
        """Return what is to be done now; entries that are to be sent again wait already."""
        found = Found()
        if now >= self._look_at:
            pause = min(self._settings.period_s / 4, ALONE_S)
            for device, flight in self._window.flights():
                if flight.numbered:
                    if self._window.is_alone(flight.entry.number):
                        pause = min(pause, HEARD_S / 2)
                    self._numbered(device, flight, now, found)
                elif self._is_over(device, flight, now):
                    found.released.append(flight.entry.number)
            self._look_at = now + pause
        return found

    def due(self) -> float | None:
        """Return when to look again, None if nothing is on its way."""
        return self._look_at if self._window.flying else None

    def _is_over(self, device: str, flight: Flight, now: float) -> bool:
        """Whether an entry for which there will be no proof may leave."""
        without = self._settings.confirm == "none" or device in self._silent
        return without and flight.since + max(_RELEASE_S, self._settings.period_s) <= now

    def _numbered(self, device: str, flight: Flight, now: float, found: Found) -> None:
        number = flight.entry.number
        alone = self._window.is_alone(number)
        heard = self._receipts.heard_since(device, flight.since)
        if flight.since + self._wait_s(flight, alone=alone, heard=heard) > now:
            return
        refused = alone or self._bad.get((device, _keys(flight)), 0) >= _SAME
        if heard and refused and flight.tries >= TRIES:
            found.refused.append((number, self._refuse(device, flight)))
            self._window.remove([number])
        elif not heard and flight.tries >= _HOPELESS:
            self._hopeless(device, now)
        else:
            self._window.give_back([number])

    def _wait_s(self, flight: Flight, *, alone: bool, heard: bool) -> float:
        if alone:
            return HEARD_S if heard else ALONE_S
        return min(self._settings.period_s * 2.0 ** (flight.tries - 1), _LONGEST_S)

    def _hopeless(self, device: str, now: float) -> None:
        self._window.lost(device, anew=True)
        if self._settings.confirm == "auto":
            self._receipts.fails(device, now)
            text = "%s: no receipts come for this device any more; watermarks take their place"
            self._log.warning(text, device)
        elif not self._without_told:
            self._without_told = True
            text = (
                "%s: no receipts come, as `confirm: receipts` wants them; all is sent again and "
                "again: install the rule chain, and see that the device's profile uses it"
            )
            self._log.error(text, device)

    def _refuse(self, device: str, flight: Flight) -> str:
        self.refused += 1
        keys = _keys(flight)
        self._bad[device, keys] = self._bad.get((device, keys), 0) + 1
        shown = ", ".join(sorted(keys))[:300]
        if (device, keys) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add((device, keys))
            self._log.error(
                "%s: the platform acknowledges but does not store values (first at %d ms) of: %s; "
                "they are not sent again; look for a key or a value that it does not accept, or "
                "a rule that drops them",
                device,
                flight.entry.ts_ms,
                shown,
            )
        return f"the platform does not store: {shown}"


def _keys(flight: Flight) -> frozenset[str]:
    return frozenset(map(str, flight.entry.values))
