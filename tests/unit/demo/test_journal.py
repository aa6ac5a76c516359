"""The journal of packets."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from dlms_connector.demo.journal import Journal, Packet


def packet(number: int = 0, kind: str = "Publish", topic: str = "t") -> Packet:
    return Packet(float(number), 1, "in", kind, topic)


async def test_packets_are_selected_by_type_topic_direction_and_time() -> None:
    journal = Journal()
    journal.note(packet(1, topic="a"))
    journal.note(packet(2, topic="b"))
    journal.note(Packet(3.0, 1, "out", "PubAck"))
    assert [one.at for one in journal.select()] == [1, 2]
    assert [one.at for one in journal.select("Publish", "b")] == [2]
    assert [one.at for one in journal.select(since=2)] == [2]
    assert [one.type for one in journal.select(direction="out")] == ["PubAck"]
    assert len(journal) == len(list(journal)) == 3


async def test_a_bounded_journal_counts_what_it_forgets() -> None:
    journal = Journal(most=2)
    for number in range(5):
        journal.note(packet(number))
    assert [one.at for one in journal] == [3, 4]
    assert journal.counts["in", "Publish"] == 5


async def test_numbers_are_exact() -> None:
    assert Packet(0, 1, "in", "Publish", payload=b'{"a": 0.10}').json == {"a": Decimal("0.10")}
    assert Packet(0, 1, "in", "PingReq").json is None


async def test_waiting_sees_what_comes_later() -> None:
    journal = Journal()
    waiting = asyncio.create_task(journal.wait_for(lambda: journal.select("PingReq")))
    for kind in ("Publish", "PingReq"):
        await asyncio.sleep(0)
        journal.note(packet(kind=kind))
    assert [one.type for one in await waiting] == ["PingReq"]


async def test_waiting_takes_no_time_for_what_is_there() -> None:
    assert await Journal().wait_for(lambda: "there", 0) == "there"


async def test_waiting_in_vain() -> None:
    with pytest.raises(asyncio.TimeoutError):
        await Journal().wait_for(lambda: None, 0)


async def test_what_changes_without_a_packet_is_seen_at_the_end() -> None:
    looks = iter([False, True])
    assert await Journal().wait_for(lambda: next(looks), 0)
