"""Delivery at its seam: a platform that stores later, loses, refuses or keeps silent."""

from __future__ import annotations

import itertools
import logging
import random

import pytest

from dlms_connector.delivery import JournalLimits
from tests.support.delivered import (
    NOW_S,
    PROBE_KEY,
    RECEIPT_KEY,
    WATERMARK_KEY,
    Delivery,
    polled,
    row,
)


def with_chain(**settings: object) -> Delivery:
    delivery = Delivery(("M1", "M2"), **settings)
    delivery.platform.chain = {"Meter"}
    return delivery


def test_receipts_are_found_by_a_probe_and_confirm_every_entry() -> None:
    delivery = with_chain()
    delivery.keep(row("M1", minute) for minute in range(300))
    delivery.run(10)
    assert len(delivery.outbox.proved) == 300
    assert not delivery.outbox.entries
    assert len(delivery.platform.stored) == 300
    assert not any(key == RECEIPT_KEY for _, key, _ in delivery.platform.stored)
    assert len(delivery.platform.of(PROBE_KEY)) == 1
    assert not delivery.platform.of(WATERMARK_KEY)
    assert delivery.mode == "receipts"


def test_values_of_today_do_not_wait_until_it_is_known_whether_receipts_come() -> None:
    delivery = Delivery()
    delivery.courier.journal([polled("M1", int(NOW_S * 1000))])
    delivery.keep([row("M1", 1), row("M1", 600)])
    delivery.run(2)
    assert {ts for _, _, ts in delivery.platform.stored} == {
        int(NOW_S * 1000),
        row("M1", 1).ts_ms,
    }
    delivery.run(120)
    assert len(delivery.outbox.proved) == 3


def test_what_went_before_the_probe_was_answered_is_proved_by_receipts() -> None:
    delivery = with_chain()
    delivery.courier.journal([polled("M1", int(NOW_S * 1000))])
    delivery.keep([row("M1", 1), row("M2", 2)])
    delivery.run(10)
    assert len(delivery.outbox.proved) == 3
    numbers = [
        values[RECEIPT_KEY]
        for _, batch in delivery.platform.sent
        for _, values in batch
        if RECEIPT_KEY in values
    ]
    assert sorted(numbers) == sorted(delivery.outbox.proved)
    assert not delivery.platform.of(WATERMARK_KEY)


def test_a_gateway_that_ends_before_the_probe_was_answered_loses_nothing() -> None:
    delivery = with_chain()
    delivery.keep(row("M1", minute) for minute in range(60))
    delivery.run(0.1)
    delivery.platform.cut()
    delivery.restart()
    delivery.run(30)
    assert len(delivery.outbox.proved) == 60
    assert len(delivery.platform.stored) == 60


def test_without_the_chain_watermarks_confirm_and_no_number_is_ever_sent() -> None:
    delivery = Delivery()
    delivery.keep(row("M1", minute) for minute in range(300))
    delivery.run(120)
    assert len(delivery.outbox.proved) == 300
    assert not any(
        RECEIPT_KEY in values for _, batch in delivery.platform.sent for _, values in batch
    )
    # One round for the rows of today, which go at once, one for those behind the probes.
    assert len(delivery.platform.of(WATERMARK_KEY)) == 4
    assert delivery.mode == "watermarks"


def test_a_watermark_that_shows_early_confirms_nothing() -> None:
    delivery = Delivery(confirm="watermarks")
    delivery.platform.answers = False
    delivery.keep([row("M1", 1)])
    delivery.run(4)
    (at, _, first), *_ = delivery.platform.of(WATERMARK_KEY)
    assert at >= 3.0  # a margin behind the data
    delivery.courier.answer("M1", first)
    delivery.courier.answer("M1", first)  # twice the first is not the second
    delivery.courier.step()
    assert not delivery.outbox.proved


def test_watermarks_only_while_something_is_unconfirmed_and_once_per_period() -> None:
    delivery = Delivery(confirm="watermarks", period_s=60.0)
    for minute in range(20):
        delivery.keep([row("M1", minute)])
        delivery.run(10)
    delivery.run(100)
    assert len(delivery.outbox.proved) == 20
    times = [at for at, _, _ in delivery.platform.of(WATERMARK_KEY)][::2]
    assert all(b - a >= 60 for a, b in itertools.pairwise(times))
    before = len(delivery.platform.told)
    delivery.run(3600)
    assert len(delivery.platform.told) == before


def test_thousands_of_devices_are_paced() -> None:
    names = [f"M{number}" for number in range(2_000)]
    delivery = Delivery(names, confirm="watermarks")
    delivery.keep(row(name, 1) for name in names)
    delivery.run(100)
    times = [at for at, _, _ in delivery.platform.of(WATERMARK_KEY)]
    worst = max(sum(1 for at in times if second <= at < second + 1) for second in range(100))
    assert worst <= 50
    delivery.run(150)
    assert len(delivery.outbox.proved) == 2_000


@pytest.mark.parametrize("chain", [True, False])
def test_what_a_lost_connection_takes_along_is_sent_again(chain: bool) -> None:
    delivery = with_chain() if chain else Delivery()
    delivery.keep(row("M1", minute) for minute in range(500))
    chance = random.Random(7)
    for _ in range(30):
        delivery.run(chance.uniform(0.1, 8.0))
        stored = {ts for _, key, ts in delivery.platform.stored if key == "load"}
        for number in delivery.outbox.proved:  # nothing is confirmed that is not stored
            assert number not in delivery.outbox.entries
        assert len(delivery.outbox.proved) <= len(stored)
        delivery.platform.cut()
    delivery.run(300)
    assert len(delivery.outbox.proved) == 500
    assert len(delivery.platform.stored) == 500


def test_nothing_is_handed_over_without_a_connection() -> None:
    delivery = with_chain()
    delivery.platform.online = False
    delivery.keep(row("M1", minute) for minute in range(10))
    delivery.run(86_400)
    assert not delivery.platform.sent
    delivery.platform.online = True
    delivery.run(10)
    assert len(delivery.outbox.proved) == 10


def test_after_a_restart_all_that_is_unconfirmed_is_sent_again() -> None:
    delivery = with_chain()
    delivery.platform.online = False
    delivery.keep(row("M1", minute) for minute in range(2500))
    delivery.platform.online = True
    delivery.restart()
    delivery.run(30)
    assert len(delivery.outbox.proved) == 2500


def test_foreign_and_forged_numbers_confirm_nothing() -> None:
    delivery = with_chain()
    delivery.keep([row("M1", 1), row("M2", 1)])
    delivery.run(0.3)  # the probe is answered, the data is on its way
    delivery.platform.chain = None
    delivery.run(0.2)
    first, second = sorted(delivery.outbox.entries)
    for device, number in (("M1", second), ("M2", first), ("M1", 7), ("M3", first)):
        delivery.courier.receipt(device, number)
    for nonsense in (None, True, str(first), float(first), {"a": first}):
        delivery.courier.receipt("M1", nonsense)
    delivery.courier.finish()
    assert not delivery.outbox.proved
    delivery.courier.receipt("M2", second)
    delivery.courier.receipt("M2", second)
    delivery.courier.finish()
    assert delivery.outbox.proved == {second}


def test_refused_values_are_found_told_once_and_not_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivery = with_chain(period_s=10.0)
    delivery.platform.refuses = {"<bad"}
    delivery.keep(row("M1", minute, load=1, **{"<bad": 2}) for minute in range(20))
    delivery.keep(row("M1", 100 + minute) for minute in range(20))
    with caplog.at_level(logging.ERROR):
        delivery.run(600)
    assert len(delivery.outbox.proved) == 20
    assert len(delivery.outbox.set_aside) == 20
    assert not delivery.outbox.entries
    told = [record.getMessage() for record in caplog.records if "<bad" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("M1: ")
    sent = sum(len(batch) for _, batch in delivery.platform.sent)
    delivery.run(3600)
    assert sum(len(batch) for _, batch in delivery.platform.sent) == sent
    assert delivery.courier.status()["refused"] == 20


def test_refused_where_nothing_else_is_sent() -> None:
    """Then the probe behind the entry shows that receipts still come."""
    delivery = with_chain(period_s=10.0)
    delivery.platform.refuses = {"<bad"}
    delivery.keep([row("M1", 1, **{"<bad": 2})])
    delivery.run(300)
    assert len(delivery.outbox.set_aside) == 1


def test_a_device_whose_profile_has_no_chain_falls_back_to_watermarks() -> None:
    delivery = with_chain(period_s=5.0)
    delivery.keep([row("M1", 1)])
    delivery.run(5)
    assert delivery.mode == "receipts"
    delivery.platform.chain = set()
    delivery.keep([row("M2", 1)])
    delivery.run(600)
    assert len(delivery.outbox.proved) == 2


def test_two_entries_of_one_instant_are_never_merged() -> None:
    """The gateway merges them, and one of the numbers would be lost."""
    delivery = with_chain()
    delivery.keep([polled("M1", 1000, a=1), polled("M1", 1000, b=2), polled("M1", 1000, c=3)])
    delivery.run(20)
    assert len(delivery.outbox.proved) == 3
    assert len(delivery.platform.stored) == 3


def test_a_row_that_was_read_again_goes_after_the_first_reading() -> None:
    delivery = with_chain()
    delivery.platform.online = False
    delivery.keep([row("M1", 1, load=1)])
    delivery.keep([row("M1", 1, load=2)])
    delivery.platform.online = True
    delivery.run(20)
    assert set(delivery.platform.stored.values()) == {2}


def test_history_does_not_delay_what_is_new() -> None:
    delivery = Delivery(("M1", "M2"), confirm="watermarks")
    names = ("M1", "M2")
    delivery.keep(row(name, 200 + minute) for name in names for minute in range(8_000))
    delivery.run(1)
    at = delivery.platform.now
    delivery.courier.journal([polled("M2", int(NOW_S * 1000))])
    delivery.run(3)
    found = [device for device, batch in delivery.platform.sent if "voltage" in batch[0][1]]
    assert found == ["M2"]
    assert delivery.platform.now - at < 5


def test_the_journal_costs_one_commit_per_second() -> None:
    delivery = with_chain()
    for number in range(100):
        delivery.courier.journal([polled("M1", 1000 * number)])
        delivery.run(0.1)
    delivery.run(20)
    assert len(delivery.outbox.proved) == 100
    assert delivery.outbox.commits <= 2 * 31


def test_a_platform_away_for_days_costs_bounded_memory_and_disk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = JournalLimits(max_age_s=3600.0, max_bytes=10**9)
    delivery = with_chain(journal=limits, most_history=50)
    delivery.platform.online = False
    delivery.keep(row("M1", minute) for minute in range(60))
    with caplog.at_level(logging.WARNING):
        for hour in range(48):
            stamp = int((NOW_S + 3600 * hour) * 1000)
            delivery.courier.journal(polled("M1", stamp + index) for index in range(10))
            delivery.run(3600)
    assert delivery.courier.is_full  # history waits at the meter
    assert len(delivery.outbox.entries) <= 60 + 20
    status = delivery.courier.status()
    assert isinstance(status["dropped"], int)
    assert status["dropped"] >= 450
    assert len([one for one in caplog.records if "dropped" in one.getMessage()]) == 1
    delivery.platform.online = True
    delivery.run(60)
    assert not delivery.outbox.entries
    assert not delivery.courier.is_full


def test_a_full_disk_stops_no_reading(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and so is its end."""
    delivery = with_chain()
    delivery.outbox.fails = True
    for ts in (1, 2):
        delivery.courier.journal([polled("M1", ts)])
        delivery.run(5)
    assert len(delivery.platform.stored) == 2
    delivery.outbox.fails = False
    with caplog.at_level(logging.INFO):
        for ts in (3, 4):
            delivery.courier.journal([polled("M1", ts)])
            delivery.run(20)
    assert len(delivery.outbox.proved) == 2
    told = [one.getMessage() for one in caplog.records if "sent without being kept" in one.message]
    problem = "polled readings cannot be kept, and are sent without being kept"
    assert told == [f"{problem}: records.sqlite: disk full", f"over: {problem}"]


def test_without_proof_entries_leave_after_a_margin() -> None:
    delivery = Delivery(confirm="none")
    delivery.keep([row("M1", 1)])
    delivery.run(30)
    assert delivery.outbox.entries
    delivery.run(120)
    assert len(delivery.outbox.unproved) == 1
    assert not delivery.platform.of(WATERMARK_KEY)
    assert delivery.courier.status()["withoutProof"] == 1


def test_a_platform_that_never_answers_is_told_once_and_proof_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    delivery = Delivery(period_s=10.0)
    delivery.platform.answers = False
    delivery.keep([row("M1", 1)])
    with caplog.at_level(logging.WARNING):
        delivery.run(4 * 3600)
    assert len(delivery.outbox.unproved) == 1
    assert len([one for one in caplog.records if "does not answer" in one.getMessage()]) == 1


def test_a_device_deleted_on_the_platform_is_sent_again() -> None:
    delivery = Delivery(confirm="watermarks")
    delivery.keep([row("M1", 1)])
    delivery.run(3.5)
    delivery.platform.stored.clear()
    delivery.platform.attributes.clear()
    delivery.courier.deleted("M1")
    delivery.run(120)
    assert len(delivery.platform.stored) == 1
    assert len(delivery.outbox.proved) == 1


def test_a_device_that_is_deleted_while_the_disk_is_full_is_read_again_later() -> None:
    delivery = Delivery(confirm="watermarks")
    delivery.outbox.fails = True
    delivery.courier.deleted("M1")
    delivery.run(30)
    assert delivery.lacking == []
    delivery.outbox.fails = False
    delivery.run(30)
    assert delivery.lacking == [row("M1", 1).source]
    assert delivery.outbox.forgotten == ["M1"]


def test_a_gateway_that_takes_nothing_is_tried_ever_more_rarely() -> None:
    delivery = with_chain(confirm="receipts")
    delivery.platform.takes = False
    delivery.keep([row("M1", 1)])
    delivery.run(600)
    delivery.platform.takes = True
    delivery.run(70)
    assert len(delivery.outbox.proved) == 1


def test_a_device_made_for_a_meter_that_pushes() -> None:
    """What an earlier run left of it waits until it is made again."""
    delivery = Delivery(("M1",), confirm="receipts")
    delivery.platform.chain = {"Meter"}
    delivery.keep([row("M1", 1)])
    delivery.outbox.keep([row("Pushes", 1)])
    delivery.run(30)
    assert len(delivery.outbox.proved) == 1
    delivery.courier.adopt("Pushes")
    delivery.run(30)
    assert len(delivery.outbox.proved) == 2


@pytest.mark.parametrize("confirm", ["watermarks", "receipts"])
def test_what_the_gateway_failed_to_take_is_not_confirmed_by_what_it_took_later(
    confirm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hand-over that raises has sent nothing, however much of the device follows."""
    delivery = with_chain(confirm=confirm)
    delivery.keep([row("M1", 5)])

    def fails(*_: object) -> bool:
        raise ValueError("the gateway's fault")

    with monkeypatch.context() as patch:
        patch.setattr(delivery.platform, "send", fails)
        with pytest.raises(ValueError, match="fault"):
            delivery.courier.step()
    delivery.keep([row("M1", 4)])
    delivery.run(120)
    assert len(delivery.platform.stored) == 2
    assert len(delivery.outbox.proved) == 2
