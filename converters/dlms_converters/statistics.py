"""What the gateway counts of a connector."""

from __future__ import annotations

from contextlib import suppress

from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService


def count_message(logger_name: str, name: str, count: int) -> None:
    """Add to a counter of the gateway's; its logger is what it knows a connector by.

    The gateway replaces its counters while others add to them, which raises now and then:
    a count is not worth a reading.
    """
    with suppress(KeyError):
        StatisticsService.count_connector_message(logger_name, name, count=count)
