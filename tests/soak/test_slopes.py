"""What grows is told from what wavers."""

from __future__ import annotations

import random

import pytest

from tests.soak.slopes import least, theil_sen


def test_a_line() -> None:
    slope = theil_sen([(float(x), 3.0 * x + 1) for x in range(50)])
    assert (slope.low, slope.each_s, slope.high) == pytest.approx((3.0, 3.0, 3.0))


def test_wild_points_turn_it_hardly() -> None:
    rng = random.Random(1)
    points = [(float(x), 2.0 * x + rng.gauss(0, 5)) for x in range(200)]
    for at in range(0, 200, 5):
        points[at] = (points[at][0], 10_000.0)
    assert theil_sen(points).each_s == pytest.approx(2.0, abs=0.2)


def test_what_does_not_grow_lies_within_the_interval() -> None:
    rng = random.Random(2)
    slope = theil_sen([(float(x), 100 + rng.gauss(0, 3)) for x in range(1000)])
    assert slope.low < 0 < slope.high


def test_what_waits_for_a_while_does_not_grow_and_what_stays_does() -> None:
    rng = random.Random(3)
    waiting = [0 if x % 120 == 60 else rng.randrange(20 * x + 1) for x in range(0, 1200, 10)]
    rests = [(10.0 * n, 1000.0 + each) for n, each in enumerate(waiting)]
    stays = [(at, value + 2 * at) for at, value in rests]
    assert theil_sen(rests).each_s > 0
    assert theil_sen(least(rests, 120.0)).each_s == 0
    assert theil_sen(least(stays, 120.0)).each_s == pytest.approx(2.0, abs=0.1)
    assert least([], 120.0) == []


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_points_tell_nothing(count: int) -> None:
    assert theil_sen([(float(x), float(x)) for x in range(count)]).each_s == 0.0
