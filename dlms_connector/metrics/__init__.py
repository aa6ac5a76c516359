"""Metrics for Prometheus: their description, what is counted, and a server for scrapes.

`exposition` and `server` need the extra `metrics`; they are imported where it is configured.
"""

from dlms_connector.metrics.description import METRICS, STATES, Metric
from dlms_connector.metrics.tally import LATE_BOUNDS, Histogram, Tally, result_of

__all__ = [
    "LATE_BOUNDS",
    "METRICS",
    "STATES",
    "Histogram",
    "Metric",
    "Tally",
    "description",
    "exposition",
    "result_of",
    "server",
]
