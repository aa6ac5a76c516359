"""Delivery through the gateway: the records, the thread that empties them, and what it needs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from logging import Logger
from pathlib import Path
from time import monotonic
from typing import Any

from dlms_connector.config import Configuration, Device
from dlms_connector.delivery import (
    RECEIPT_KEY,
    Audit,
    AuditThread,
    Courier,
    CourierThread,
    JournalLimits,
    PlatformRest,
    Settings,
)
from dlms_connector.gateway.renames import Renames
from dlms_connector.gateway.session import session
from dlms_connector.gateway.upkeep import Upkeep
from dlms_connector.platform_keys import UNCONFIRMED
from dlms_connector.records import Entry, EntryError, Records, Slice, Source
from dlms_converters import diagnostics
from dlms_converters.kept import split, telemetry

FILE = "records.sqlite"
#: The records get this time to close, also if the thread took all there was.
_LEAST_S = 0.1

#: Called with whether a slice is kept, and why not.
Kept = Callable[[bool, str], None]


class GatewaysPlatform:
    """The platform as the delivery thread sees it through the gateway.

    `send` hands data to the gateway's storage and returns whether it took it; `answer` is called
    with a device and the value of an attribute that was asked for.
    """

    def __init__(
        self,
        gateway: Any,
        renames: Renames,
        send: Callable[[Any], bool],
        answer: Callable[[str, Any], None],
    ) -> None:
        self._gateway, self._renames = gateway, renames
        self._send, self._answer = send, answer

    def session(self) -> object | None:
        """Return an object that identifies the present connection; None if there is none."""
        return session(self._gateway)

    def send(
        self, device: str, device_type: str, entries: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> bool:
        """Hand telemetry to the gateway; false if it did not take it."""
        return self._send(telemetry(device, device_type, entries))

    def tell(self, device: str, device_type: str, attributes: Mapping[str, Any]) -> bool:
        """Hand client attributes to the gateway; false if it did not take them."""
        return self._send(diagnostics.attributes(device, device_type, attributes))

    def ask(self, device: str, key: str) -> None:
        """Request a client attribute, by the device's name on the platform."""
        name = self._renames.name_of(device)
        # Where no answer comes, the gateway keeps what it would have called: a whole fleet of
        # before, unless that may go.
        answered = partial(_answered, weakref.ref(self), device, key)
        self._gateway.request_device_attributes(name, None, [key], answered)

    def answered(self, device: str, key: str, content: Any) -> None:
        """Take the answer, in the MQTT thread; it has no value where the attribute is not set."""
        if isinstance(content, Mapping):
            values = content.get("values")
            found = values.get(key) if isinstance(values, Mapping) else content.get("value")
            self._answer(device, found)


def _answered(
    asked: weakref.ref[GatewaysPlatform], device: str, key: str, content: Any, *_: Any
) -> None:
    if (platform := asked()) is not None:
        platform.answered(device, key, content)


class Delivering:
    """Keeps what was read until the platform has stored it.

    Without records (`open` was not called, or failed), nothing is kept: history is refused, and
    polled readings go their usual way.
    """

    def __init__(
        self,
        gateway: Any,
        renames: Renames,
        configuration: Configuration,
        devices: Collection[str],
        log: Logger,
        send: Callable[[Any], bool],
    ) -> None:
        self._log, self._devices = log, frozenset(devices)
        self._platform = GatewaysPlatform(gateway, renames, send, self._answer)
        journal = configuration.journal
        limits = journal and JournalLimits(
            max_age_s=journal.max_age_s, max_bytes=journal.max_megabytes * 1_000_000
        )
        self._settings = Settings(
            confirm=configuration.confirm,
            period_s=configuration.confirm_period_ms / 1000,
            journal=limits or None,
        )
        self._courier: Courier | None = None
        self._thread: CourierThread | None = None
        self._session: object | None = None
        self._configured = configuration.devices
        self._place: tuple[Path | None, str] | None = None
        self._upkeep: Upkeep | None = None
        self._access, self._name_there = configuration.platform, renames.name_of
        self._audit: Audit | None = None
        self._auditing: AuditThread | None = None
        self.records: Records | None = None
        #: Called in a thread of its own with a profile of which the platform lacks rows.
        self.lacks: Callable[[Source], None] = lambda source: None

    def open(self, folder: Path | None, name: str) -> None:
        """Open the records in the folder of the state, if they are wanted, and start the thread.

        Where that is not possible it is told, and polls go on without.
        """
        self._place = folder, name
        wanted = self._settings.journal or any(one.profiles for one in self._configured)
        if not wanted or self.records is not None:
            return
        if folder is None:
            self._log.error("profiles are not read and no journal is kept: there is no folder")
            return
        try:
            self.records = Records.open(folder / FILE, self._log)
        except OSError as error:
            self._log.error("profiles are not read and no journal is kept: %s", error)
            return
        self._courier = Courier(
            self.records, self._platform, self._devices, self._settings, self._log,
            lacks=lambda source: self.lacks(source),
        )  # fmt: skip
        self._thread = CourierThread(self._courier, self._log)
        self._thread.start(f"{name} delivering")
        self._upkeep = Upkeep(
            self.records, self._configured, self._devices, self._send_totals, self._log
        )
        if (access := self._access) is not None:
            rest = PlatformRest(
                access.url,
                username=access.username,
                password=access.password,
                api_key=access.api_key,
            )
            self._audit = Audit(self.records, rest, self._name_there, self._log)
            self._auditing = AuditThread(self._audit, self._log, lambda one: self.lacks(one))
            self._auditing.start(f"{name} auditing")

    def serve(self, configured: Sequence[Device], devices: Collection[str]) -> None:
        """Deliver for these devices from now on; records are opened if the first wants them."""
        self._configured, self._devices = tuple(configured), frozenset(devices)
        if self._courier is None and self._place is not None:
            self.open(*self._place)
        elif (upkeep := self._upkeep) is not None:
            self._put(lambda courier: upkeep.serve(configured, devices))
            self._put(lambda courier: courier.serve(devices))

    def close(self, within_s: float) -> bool:
        """End the thread; what is not confirmed is sent again at the next start.

        Returns false if not all was written in time.
        """
        until = monotonic() + within_s
        if self._auditing is not None:
            self._auditing.close()
        written = self._thread is None or self._thread.close(within_s)
        if self.records is not None:
            self.records.close(max(_LEAST_S, until - monotonic()))
        return written

    # What happens, in any thread

    def history(self, part: Slice, entries: Sequence[Entry], done: Kept) -> None:
        """Keep the rows of a slice and send them."""
        if self.records is None or self._courier is None:
            done(False, "no records are kept")
        elif entries and self._courier.is_full:
            done(False, "full")
        else:
            try:
                kept = self.records.keep(part, entries)
            except (OSError, EntryError) as error:
                done(False, str(error))
                return
            if kept:
                self._put(lambda courier: courier.add(kept))
            if self._audit is not None and part.source.profile is not None:
                self._audit.saw(part.source, part.period_s, [entry.values for entry in entries])
            done(True, "")

    def journal(self, data: Any) -> Any:
        """Take what is to be kept of a poll; return the rest, which is sent at once."""
        if self._settings.journal is None or self._courier is None or data is None:
            return data
        kept, rest = split(data)
        if kept:
            source, kind = Source(data.device_name), data.device_type
            entries = [Entry(source, kind, ts_ms, values) for ts_ms, values in kept]
            self._put(lambda courier: courier.journal(entries))
        return rest

    def take_receipts(self, content: Any) -> Any:
        """Take what is ours of shared attributes; return the others, None if there are none."""
        data = content.get("data") if isinstance(content, Mapping) else None
        if not isinstance(data, Mapping) or RECEIPT_KEY not in data:
            return content
        device, number = content.get("device"), data[RECEIPT_KEY]
        if isinstance(device, str):
            self._put(lambda courier: courier.receipt(device, number))
        others = {key: value for key, value in data.items() if key != RECEIPT_KEY}
        return {**content, "data": others} if others else None

    def adopt(self, device: str) -> None:
        """Deliver for one more device, which was made for a meter that pushes."""
        self._devices |= {device}
        if (upkeep := self._upkeep) is not None:
            self._put(lambda courier: upkeep.adopt(device))
        self._put(lambda courier: courier.adopt(device))

    def deleted(self, device: str) -> None:
        """Note that a device was deleted on the platform, and its rows with it.

        It comes back with its next data. Its profiles are read again, as far as they are wanted.
        """
        self._put(lambda courier: courier.deleted(device))

    def reconcile(self) -> None:
        """Notice that a connection began or ended, and that upkeep is due; called often."""
        if self._thread is not None:
            now = self._platform.session()
            if now is not self._session:
                self._session = now
                self._put(lambda courier: None)
        if (upkeep := self._upkeep) is not None and upkeep.take():
            self._put(lambda courier: upkeep.step())

    def unconfirmed(self, device: str) -> Mapping[str, int]:
        """Return how much of a device is not confirmed, as telemetry."""
        if self._courier is None:
            return {}
        return {UNCONFIRMED.name: self._courier.unconfirmed(device)}

    def status(self) -> Mapping[str, Any]:
        """Return the state of delivery, for users."""
        if self._courier is None:
            return {"mode": "none", "reason": "there are no profiles and no journal, or no records"}
        audit = {"audit": self._auditing.last} if self._auditing is not None else {}
        return {**self._courier.status(), **audit}

    def _send_totals(
        self, device: str, device_type: str, ts_ms: int, values: Mapping[str, int]
    ) -> bool:
        return self._platform.send(device, device_type, [(ts_ms, values)])

    def _answer(self, device: str, value: Any) -> None:
        self._put(lambda courier: courier.answer(device, value))

    def _put(self, news: Callable[[Courier], None]) -> None:
        if self._thread is not None:
            self._thread.put(news)
