"""How long a read takes is learned; the first reads are small."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.fleet.tempo import Tempo


def learned(fixed_s: float, row_s: float, reads: int = 30) -> Tempo:
    """Return the tempo of a meter after some reads, each as large as it may be."""
    tempo = Tempo()
    for number in range(reads):
        rows = max(1, tempo.rows(2.0 if number % 2 else 1.0))
        tempo.read(rows, fixed_s + row_s * rows)
    return tempo


def test_the_first_read_is_small_and_the_next_at_most_twice_as_large() -> None:
    tempo = Tempo()
    assert tempo.rows(0.7) == 0
    assert tempo.rows(inf) == 4
    tempo.read(4, 0.2)
    assert tempo.rows(inf) == 8


@given(st.floats(0.01, 1.0), st.floats(0.0005, 0.05))
def test_what_it_promises_is_kept(fixed_s: float, row_s: float) -> None:
    tempo = learned(fixed_s, row_s)
    for seconds in (0.5, 1.0, 2.0):
        rows = tempo.rows(seconds)
        assert fixed_s + row_s * rows <= seconds or rows == 0


@given(st.floats(0.01, 0.3), st.floats(0.001, 0.05))
def test_most_of_the_time_is_used(fixed_s: float, row_s: float) -> None:
    rows = learned(fixed_s, row_s).rows(2.0)
    assert fixed_s + row_s * rows > 0.9


def test_a_meter_that_becomes_slow_gets_smaller_reads() -> None:
    tempo = learned(0.1, 0.01)
    before = tempo.rows(2.0)
    for _ in range(20):
        rows = max(1, tempo.rows(2.0))
        tempo.read(rows, 0.1 + 0.1 * rows)
    assert tempo.rows(2.0) < before / 4


def test_reads_without_rows_tell_the_fixed_time_only() -> None:
    tempo = Tempo()
    tempo.read(0, 0.3)
    assert 0.3 <= tempo.seconds(1) < 1
    assert tempo.rows(2.0) >= 1


def test_a_time_too_short_for_a_row_is_none() -> None:
    assert learned(0.5, 0.1).rows(0.2) == 0
    assert learned(0.5, 0.1).seconds(10) == pytest.approx(1.25 * 1.5, rel=0.2)
