"""The stand-in stores late and in batches, and answers with receipts, as ThingsBoard does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dlms_connector.demo.platform_rules import Manners
from dlms_connector.demo.platform_saving import Saving
from dlms_connector.demo.platform_store import Store


class Place:
    """A store with the queue before it, and what was sent back."""

    def __init__(self, **manners: Any) -> None:
        self.store = Store()
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.news = asyncio.Event()
        self.saving = Saving(
            self.store,
            Manners(**manners),
            lambda device, values: self.sent.append((device, values)),
            self.news.set,
        )

    def stamps(self, key: str = "load") -> list[int]:
        return [point.ts for point in self.store.telemetry("M1", key)]


async def test_an_attribute_shows_before_telemetry_that_was_sent_ahead_of_it() -> None:
    place = Place(telemetry_s=30.0, attributes_s=0.01)
    place.saving.telemetry("M1", 1, {"load": 1})
    place.saving.attributes("M1", {"dlmsWatermark": 7})
    assert not place.store.attributes("M1")
    await asyncio.wait_for(place.news.wait(), 30)
    assert place.store.attributes("M1") == {"dlmsWatermark": 7}
    assert not place.stamps()
    assert place.saving.lose() == 1  # acknowledged, and not stored
    assert not place.stamps()


async def test_a_batch_is_stored_at_once() -> None:
    place = Place(telemetry_s=0.01)
    for ts in range(5):
        place.saving.telemetry("M1", ts, {"load": ts})
    assert not place.stamps()
    await asyncio.wait_for(place.news.wait(), 30)
    assert place.stamps() == [0, 1, 2, 3, 4]


def test_receipts_follow_the_storing_and_numbers_are_not_stored() -> None:
    place = Place(receipts=True)
    place.saving.telemetry("M1", 1, {"load": 1, "dlmsReceipt": 5})
    place.saving.telemetry("M1", 2, {"load": 1})
    place.saving.attributes("M1", {"dlmsReceiptProbe": 6, "other": 1})
    assert place.sent == [("M1", {"dlmsReceipt": 5}), ("M1", {"dlmsReceipt": 6})]
    assert not place.stamps("dlmsReceipt")
    assert place.store.attributes("M1") == {"other": 1}
    assert place.store.attributes("M1", "shared") == {"dlmsReceipt": 6}


def test_without_the_rule_chain_the_number_becomes_a_time_series() -> None:
    place = Place()
    place.saving.telemetry("M1", 1, {"load": 1, "dlmsReceipt": 5})
    place.saving.attributes("M1", {"dlmsReceiptProbe": 6})
    assert not place.sent
    assert place.stamps("dlmsReceipt") == [1]
    assert place.store.attributes("M1") == {"dlmsReceiptProbe": 6}
