"""Who serves what: evenly, by weight, and so that little moves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.sharing import owner

KEYS = [f"endpoint tcp://10.0.{number // 256}.{number % 256}:4059" for number in range(4000)]
#: Of the first keys, with three gateways alike, and with the first twice as strong.
EVER = [2, 1, 2, 1, 0, 0, 2, 1, 1, 2, 1, 1]
EVER_WEIGHTED = [0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 1, 1]


def test_the_rule_is_the_same_for_ever() -> None:
    """A gateway of another version must come to the same: these were worked out by the first."""
    found = [owner(key, (1, 1, 1)) for key in KEYS[:12]]
    assert found == EVER
    assert [owner(key, (2, 1, 1)) for key in KEYS[:12]] == EVER_WEIGHTED


@pytest.mark.parametrize("count", [2, 3, 7])
def test_all_get_alike(count: int) -> None:
    shares = Counter(owner(key, (1,) * count) for key in KEYS)
    for number in range(count):
        assert shares[number] == pytest.approx(len(KEYS) / count, rel=0.1)


def test_weights_count() -> None:
    shares = Counter(owner(key, (2, 1, 1, 0)) for key in KEYS)
    assert shares[0] == pytest.approx(len(KEYS) / 2, rel=0.1)
    assert shares[1] == pytest.approx(len(KEYS) / 4, rel=0.1)
    assert shares[3] == 0


@given(st.text(), st.lists(st.floats(0.1, 100), min_size=1, max_size=8), st.floats(0, 100))
def test_one_more_takes_and_moves_nothing_else(key: str, weights: list[float], more: float) -> None:
    before, after = owner(key, weights), owner(key, [*weights, more])
    assert after in (before, len(weights))


@pytest.mark.parametrize("count", [1, 3, 9])
def test_one_more_takes_its_share(count: int) -> None:
    moved = sum(owner(key, (1,) * count) != owner(key, (1,) * (count + 1)) for key in KEYS)
    assert moved == pytest.approx(len(KEYS) / (count + 1), rel=0.15)


@given(st.text(), st.lists(st.floats(0.1, 100), min_size=2, max_size=6), st.floats(1, 10))
def test_more_weight_takes_nothing_from_itself(
    key: str, weights: list[float], factor: float
) -> None:
    before = owner(key, weights)
    after = owner(key, [weights[0] * factor, *weights[1:]])
    assert after in (before, 0)
