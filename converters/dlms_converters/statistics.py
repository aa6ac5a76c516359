"""The gateway's statistics of a connector."""

from __future__ import annotations

from contextlib import suppress

from thingsboard_gateway.gateway.statistics.statistics_service import StatisticsService


def count_message(logger_name: str, name: str, count: int) -> None:
    """Add to a counter of the gateway, which identifies a connector by its logger.

    The gateway replaces its counters while others add to them, which sometimes raises
    KeyError. That is ignored, because a count must not cost a reading.
    """
    with suppress(KeyError):
        StatisticsService.count_connector_message(logger_name, name, count=count)
