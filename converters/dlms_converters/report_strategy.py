"""When the gateway sends a value: set per key, else per device, else per connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thingsboard_gateway.gateway.constants import ReportStrategy
from thingsboard_gateway.gateway.entities.converted_data import ConvertedData
from thingsboard_gateway.gateway.entities.report_strategy_config import ReportStrategyConfig

#: Everything that is read is sent.
ON_RECEIVED = ReportStrategyConfig({"type": "ON_RECEIVED"})


class ReportStrategyError(ValueError):
    """A `reportStrategy` that the gateway does not accept."""


def is_always_sent(data: Any) -> bool:
    """Whether all values of converted data are ON_RECEIVED by strategies of their own."""
    if not isinstance(data, ConvertedData):
        return False
    keys = (key for entry in data.telemetry for key in entry.values)
    return all(map(is_on_received, keys)) and all(map(is_on_received, data.attributes))


def is_on_received(key: Any) -> bool:
    """Whether the value of a key is sent each time, by a strategy of the key's own."""
    strategy = getattr(key, "report_strategy", None)
    return strategy is not None and strategy.report_strategy is ReportStrategy.ON_RECEIVED


def report_strategy(raw: Mapping[str, Any] | None) -> ReportStrategyConfig | None:
    """Read a `reportStrategy` section, already checked by the configuration's model.

    `DISABLED` switches the gateway's filter off, as it does at the gateway's own level; it
    becomes ON_RECEIVED, because on a single key the gateway would send only one value.
    Raises ReportStrategyError with a sentence for the author.
    """
    if raw is None:
        return None
    if str(raw.get("type")).upper() == "DISABLED":
        return ON_RECEIVED
    try:
        return ReportStrategyConfig(dict(raw))
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportStrategyError(f"reportStrategy: the gateway refuses it: {error}") from error
