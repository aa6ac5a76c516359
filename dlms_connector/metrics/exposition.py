"""The metrics as prometheus-client writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from dlms_connector.metrics.description import Metric
from dlms_connector.metrics.tally import Histogram


@dataclass(frozen=True, slots=True)
class Measured:
    """What a scrape finds of one metric: values by the values of its labels, or a histogram."""

    metric: Metric
    values: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    histogram: Histogram | None = None


#: Called at each scrape, in the thread that serves it.
Measure = Callable[[], Iterable[Measured]]


def registry_of(measure: Measure) -> CollectorRegistry:
    """Return a registry that measures at each scrape, and holds nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Live(measure))
    return registry


class _Live(Collector):
    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def collect(self) -> Iterator[Family]:
        for one in self._measure():
            yield _family(one)

    def describe(self) -> Sequence[Family]:
        """Name nothing in advance: that would measure."""
        return ()


def _family(one: Measured) -> Family:
    metric = one.metric
    if one.histogram is not None:
        family = HistogramMetricFamily(metric.name, metric.means)
        family.add_metric([], one.histogram.buckets(), one.histogram.sum)
        return family
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made: CounterMetricFamily | GaugeMetricFamily = kind(
        metric.name, metric.means, labels=metric.labels
    )
    for labels, value in one.values.items():
        made.add_metric(labels, value)
    return made
