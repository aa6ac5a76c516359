"""Whether something grows: a line through points that a few wild ones do not turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist, median

#: Points at most: pairs of them are looked at.
_MOST = 400


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth per second; with 95 % certainty it lies between `low` and `high`.

    The interval is that for independent points. Those of one process are not quite that.
    """

    each_s: float
    low: float
    high: float
    middle: float


def least(points: Sequence[tuple[float, float]], stretch_s: float) -> Sequence[tuple[float, float]]:
    """Return the lowest point of each stretch: what comes and goes within one does not grow."""
    found: dict[int, tuple[float, float]] = {}
    for at, value in points:
        number = int((at - points[0][0]) // stretch_s)
        found[number] = min(found.get(number, (at, value)), (at, value), key=lambda one: one[1])
    return list(found.values())


def theil_sen(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the median of the slopes between all pairs of points (Theil 1950, Sen 1968).

    Up to 29 % of the points may be anything without changing it much.
    """
    if len(points) < 3:  # a line through two points tells nothing
        return Slope(0.0, 0.0, 0.0, points[0][1] if points else 0.0)
    points = sorted(points)[:: 1 + len(points) // _MOST]
    slopes = sorted(
        (b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]
    )
    count = len(points)
    spread = NormalDist().inv_cdf(0.975) * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    first = max(0, round((len(slopes) - spread) / 2))
    last = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return Slope(median(slopes), slopes[first], slopes[last], median(y for _, y in points))
