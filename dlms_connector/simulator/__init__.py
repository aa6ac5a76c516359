"""Simulated DLMS/COSEM meters, written to the standard: to try a configuration, and to test.

async with simulate([MeterOptions(framing="WRAPPER")]) as endpoints:
    print(endpoints[0].port)
"""

from dlms_connector.simulator.faults import FAULTS, Faults
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.objects.cosem_object import AccessError
from dlms_connector.simulator.options import MeterOptions, microstar
from dlms_connector.simulator.serving.connection import Connection
from dlms_connector.simulator.serving.notification import frame_notification, push
from dlms_connector.simulator.serving.server import Endpoint, dial_in, simulate
from dlms_connector.simulator.serving.terminal import Terminal, simulate_terminal

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
    "frame_notification",
    "microstar",
    "push",
    "simulate",
    "simulate_terminal",
]
