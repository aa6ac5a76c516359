"""Meters on sockets, pseudo-terminals and in memory; meters that call in or push."""

from dlms_connector.simulator.serving.connection import Connection
from dlms_connector.simulator.serving.notification import frame_notification, push
from dlms_connector.simulator.serving.sample import sample_configuration
from dlms_connector.simulator.serving.server import Endpoint, dial_in, simulate
from dlms_connector.simulator.serving.terminal import Terminal, simulate_terminal

__all__ = [
    "Connection",
    "Endpoint",
    "Terminal",
    "dial_in",
    "frame_notification",
    "push",
    "sample_configuration",
    "simulate",
    "simulate_terminal",
]
