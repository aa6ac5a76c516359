"""What the gateway's report strategies have nothing to decide of goes past them."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import pytest
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.report_strategy_config import ReportStrategyConfig

from dlms_connector.gateway.storing import put_directly
from dlms_converters import diagnostics
from dlms_converters.device_data import DeviceData

ON_CHANGE = ReportStrategyConfig({"type": "ON_CHANGE"})


class Gateway:
    """The seam to a gateway's queue."""

    def __init__(self, *, filtered: bool = False, measures: bool = False) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self._TBGatewayService__device_filter = object() if filtered else None
        self._measures = measures

    def get_converted_data_queue(self) -> SimpleQueue[Any]:
        return self.queue

    def is_latency_metrics_enabled(self) -> bool:
        return self._measures


def test_what_is_always_sent() -> None:
    gateway = Gateway()
    data = diagnostics.telemetry("M1", "T", 1, {"a": 1, "b": 2})
    assert put_directly(gateway, "DLMS", "id", data)
    assert gateway.queue.get_nowait() == ("DLMS", "id", data)


@pytest.mark.parametrize(
    "gateway",
    [Gateway(filtered=True), Gateway(measures=True), object()],
    ids=["filtered", "measures", "other"],
)
def test_not_where_more_stands_in_the_way(gateway: Any) -> None:
    assert not put_directly(gateway, "DLMS", "id", diagnostics.attributes("M1", "T", {"a": 1}))


@pytest.mark.parametrize(
    "key", [DatapointKey("a", ON_CHANGE), DatapointKey("a")], ids=["on_change", "undecided"]
)
def test_not_if_a_strategy_has_to_decide(key: DatapointKey) -> None:
    data = diagnostics.telemetry("M1", "T", 1, {"b": 2})
    data.add_to_attributes({key: 1})
    assert not put_directly(Gateway(), "DLMS", "id", data)
    assert not put_directly(Gateway(), "DLMS", "id", {"deviceName": "M1"})
    assert isinstance(data, DeviceData)
