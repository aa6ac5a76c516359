"""Simulated DLMS/COSEM meters, written to the standard: to try a configuration, and to test.

It shares no code with `protocol`, on purpose: an error made twice would stay hidden. The rooms
from the bottom up: `encoding`, `objects`, then `meter`, `security`, `datalink`, `services`,
`serving`.

async with simulate([MeterOptions(framing="WRAPPER")]) as endpoints:
    print(endpoints[0].port)
"""

from dlms_connector.simulator import faults, meter, options, recording
from dlms_connector.simulator.faults import FAULTS, Faults
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects.cosem_object import AccessError
from dlms_connector.simulator.options import MeterOptions, microstar
from dlms_connector.simulator.serving import (
    Connection,
    Endpoint,
    Terminal,
    dial_in,
    frame_notification,
    push,
    simulate,
    simulate_terminal,
)

__all__ = [
    "FAULTS",
    "AccessError",
    "Connection",
    "Endpoint",
    "Faults",
    "Meter",
    "MeterOptions",
    "Terminal",
    "dial_in",
    "faults",
    "frame_notification",
    "meter",
    "microstar",
    "options",
    "push",
    "recording",
    "simulate",
    "simulate_terminal",
]
