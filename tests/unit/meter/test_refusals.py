"""A meter that refuses all that it gave before is asked over another association."""

from __future__ import annotations

import logging

import pytest

from tests.support import fake_time
from tests.support.fake_meter import ref
from tests.unit.meter.test_meter import CODES, Bench, read_keys

REFUSED = 9


def associations(bench: Bench) -> int:
    return bench.fake.count("connect")


async def settled() -> Bench:
    bench = Bench()
    for _ in range(3):
        await bench.poll()
    assert associations(bench) == 1
    return bench


def test_another_association_is_tried_once_and_again_after_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        bench = await settled()
        good = dict(bench.fake.values)
        for done in (1, 2):
            bench.fake.values = dict.fromkeys(good, REFUSED)
            for _ in range(4):
                assert not read_keys(await bench.poll())
            assert associations(bench) == 1 + done
            bench.fake.values = dict(good)
            for _ in range(2):
                assert read_keys(await bench.poll()) == set(CODES)
            assert associations(bench) == 1 + done

    with caplog.at_level(logging.INFO):
        fake_time.run(test())
    told = [record.getMessage() for record in caplog.records]
    assert sum("refuses all that it gave before" in line for line in told) == 2


def test_what_is_refused_beside_what_is_given_costs_no_association() -> None:
    async def test() -> None:
        bench = await settled()
        for code in CODES[1:]:
            bench.fake.values[ref(code)] = REFUSED
        for _ in range(3):
            assert read_keys(await bench.poll()) == {CODES[0]}
        assert associations(bench) == 1

    fake_time.run(test())


def test_what_was_never_given_costs_no_association() -> None:
    async def test() -> None:
        bench = Bench()
        bench.fake.values = dict.fromkeys(bench.fake.values, REFUSED)
        for _ in range(3):
            assert not read_keys(await bench.poll())
        assert associations(bench) == 1

    fake_time.run(test())


def test_one_that_is_always_refused_and_asked_for_alone_costs_one_association() -> None:
    async def test() -> None:
        bench = await settled()
        bench.fake.values[ref(CODES[1])] = REFUSED
        for _ in range(3):
            await bench.meter.poll(bench.due[1:2])
            await bench.meter.poll(bench.due[:1])
        assert associations(bench) == 2

    fake_time.run(test())
