"""Hands data to the gateway past its report strategies, where these have nothing to decide.

The gateway (3.8.5) remembers each key of each device that it has ever sent, for ever, also of what
is always sent: about half a kilobyte for each. With ten thousand meters of five registers and their
diagnostics this is a tenth of its memory, and the looks into it are a good part of its work. Data
in which everything is ON_RECEIVED is put directly into the queue that it would get into, as the
gateway itself does if its report strategies are disabled.
"""

from __future__ import annotations

from typing import Any

from dlms_converters.report_strategy import is_always_sent

#: The gateway's filter of devices, for which it has no public interface; None if it has none.
_FILTER = "_TBGatewayService__device_filter"


def put_directly(gateway: Any, connector_name: str, connector_id: str, data: Any) -> bool:
    """Put data into the gateway's queue; false if it must take the gateway's own way."""
    if not (_is_plain(gateway) and is_always_sent(data)):
        return False
    gateway.get_converted_data_queue().put((connector_name, connector_id, data))
    return True


def _is_plain(gateway: Any) -> bool:
    """Whether nothing but report strategies comes before the queue; false if that is unknown."""
    return (
        getattr(gateway, _FILTER, gateway) is None
        and hasattr(gateway, "get_converted_data_queue")
        and not gateway.is_latency_metrics_enabled()
    )
