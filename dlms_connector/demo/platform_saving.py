"""How ThingsBoard stores: from a queue in memory, telemetry and attributes in separate batches.

A message is acknowledged when it is in the queue. So an attribute may be read back before
telemetry that was sent ahead of it is stored, and what is in the queue is lost with the server.
With the rule chain for receipts, a number that came with telemetry, or as a probe, goes back as a
shared attribute once the rest of its message is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_store import Store

RECEIPT, PROBE = "dlmsReceipt", "dlmsReceiptProbe"


class Saving:
    """The queue and its batches. `notify` sends shared attributes to a device's gateway."""

    def __init__(
        self,
        store: Store,
        manners: Manners,
        notify: Callable[[str, Mapping[str, Any]], object],
        stored: Callable[[], None],
    ) -> None:
        self._store, self._manners, self._notify, self._stored = store, manners, notify, stored
        self._batches: dict[str, list[Callable[[], None]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def telemetry(self, device: str, ts: int, values: Mapping[str, Any]) -> None:
        """Take a message of telemetry: the values of one device at one instant."""
        number = None
        if self._manners.receipts:
            number = values.get(RECEIPT)
            values = {key: value for key, value in values.items() if key != RECEIPT}

        def save() -> None:
            self._store.add_telemetry(device, ts, values)
            if number is not None:
                self._receipt(device, number)

        self._take("telemetry", self._manners.telemetry_s, save)

    def attributes(self, device: str, values: Mapping[str, Any]) -> None:
        """Take a message of client attributes."""
        probe = None
        if self._manners.receipts:
            probe = values.get(PROBE)
            values = {key: value for key, value in values.items() if key != PROBE}

        def save() -> None:
            self._store.set_attributes(device, "client", values)
            if probe is not None:
                self._receipt(device, probe)

        self._take("attributes", self._manners.attributes_s, save)

    def lose(self) -> int:
        """Lose what is in the queue, as a server that is killed; return how much that was."""
        for timer in self._timers.values():
            timer.cancel()
        lost = sum(map(len, self._batches.values()))
        self._timers.clear()
        self._batches.clear()
        return lost

    def _take(self, kind: str, after_s: float, save: Callable[[], None]) -> None:
        if not after_s:
            save()
            return
        self._batches.setdefault(kind, []).append(save)
        if kind not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[kind] = loop.call_later(after_s, self._flush, kind)

    def _flush(self, kind: str) -> None:
        del self._timers[kind]
        for save in self._batches.pop(kind, ()):
            save()
        self._stored()

    def _receipt(self, device: str, number: Any) -> None:
        self._store.set_attributes(device, "shared", {RECEIPT: number})
        self._notify(device, {RECEIPT: number})
