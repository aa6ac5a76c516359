"""Whether it is still the same meter, and what its clock shows: to know before reading history."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dlms_connector.config import Device
from dlms_connector.cosem import CLOCK_CLASS, AttributeRef
from dlms_connector.errors import ObjectError, ServiceError
from dlms_connector.interpret import interpret, moment_of, options_of
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.talk import Talk

#: What may identify a meter (IEC 62056-6-1, -6-2): its serial number, its logical device name.
_IDENTITIES = (
    AttributeRef(1, Obis.parse("0-0:96.1.0"), 2),
    AttributeRef(1, Obis.parse("0-0:42.0.0"), 2),
)
_CLOCK = AttributeRef(CLOCK_CLASS, Obis.parse("0-0:1.0.0"), 2)
#: How often both are asked, in seconds.
_IDENTITY_EVERY_S, _CLOCK_EVERY_S = 86_400.0, 3600.0
#: A clock that is further off, or has moved so far since it was asked last, is told of.
_TELL_MS = 60_000
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Checked:
    """What the meter told; None if unknown.

    `serial` is its identity behind the OBIS code of its object, `ahead_ms` how far its clock is
    ahead of ours.
    """

    serial: str | None
    ahead_ms: int | None


class MeterCheck:
    """Asks for identity and clock when it is time; times are in seconds of the loop's clock."""

    def __init__(self, device: Device, now_ms: Callable[[], int], log: logging.Logger) -> None:
        self._name, self._options = device.device_name, options_of(device.dlms)
        self._now_ms, self._log = now_ms, log
        self._identities: tuple[AttributeRef, ...] = _IDENTITIES
        self._identity_due = self._clock_due = 0.0
        #: How far the clock was ahead when this was told last.
        self._told_ms = 0
        self.ahead_ms: int | None = None

    def due(self) -> float:
        """Return when to ask again."""
        return min(self._identity_due, self._clock_due)

    def forget(self) -> None:
        """Ask soon: it may be another meter."""
        self._identity_due = self._clock_due = 0.0
        self._identities = _IDENTITIES

    def talk(self, client: Client, now: float) -> Talk[Checked]:
        """Ask for what is due; what the meter refuses stays unknown."""
        serial = None
        if self._identity_due <= now:
            serial = yield from self._serial(client)
        return Checked(serial, (yield from self._ahead(client)))

    def checked(self, found: Checked, now: float) -> None:
        """Note what the meter told; log it if its clock jumped or is far off."""
        if self._identity_due <= now:
            self._identity_due = now + _IDENTITY_EVERY_S
        self.postpone(now)
        if found.ahead_ms is None:
            return
        self.ahead_ms = found.ahead_ms
        if abs(found.ahead_ms - self._told_ms) < _TELL_MS:
            return
        was_off, self._told_ms = abs(self._told_ms) >= _TELL_MS, found.ahead_ms
        if abs(found.ahead_ms) >= _TELL_MS:
            self._log.warning(
                "%s: its clock is %.0f s %s: rows of its profiles have its time, and the newest "
                "are read when it shows theirs; the call `syncClock` sets it",
                self._name,
                abs(found.ahead_ms) / 1000,
                "ahead" if found.ahead_ms > 0 else "behind",
            )
        elif was_off:
            self._log.info("%s: its clock is right again", self._name)
            self._told_ms = 0

    def postpone(self, now: float) -> None:
        """Ask for the clock later."""
        self._clock_due = now + _CLOCK_EVERY_S

    def _serial(self, client: Client) -> Talk[str | None]:
        for ref in self._identities:
            try:
                data = yield from get_one(client, ref)
            except ObjectError:
                continue
            except ServiceError:
                return None  # perhaps only this time: another object would look like another meter
            text = interpret(ref, data, None, self._options)[0]
            if isinstance(text, str | int) and str(text).strip():
                self._identities = (ref,)  # one that answered once is compared with itself
                # With its object: in an association with other rights another one may answer,
                # which does not make it another meter.
                return f"{ref.obis} {str(text).strip()[:_LONGEST]}"
        return None

    def _ahead(self, client: Client) -> Talk[int | None]:
        try:
            data = yield from get_one(client, _CLOCK)
        except (ObjectError, ServiceError):
            return None
        moment, options = moment_of(data), self._options
        instant = moment.instant(options.zone, from_utc=options.from_utc) if moment else None
        if instant is None or instant.tzinfo is None:
            return None
        return round(instant.timestamp() * 1000) - self._now_ms()
