"""The whole way on one machine: meters, the real gateway, and a stand-in for the platform.

Use `stage`. The stand-in is a server of ThingsBoard's MQTT API; the tests use it too.
"""

from dlms_connector.demo import board, picture
from dlms_connector.demo.scene import Scene, stage

__all__ = ["Scene", "board", "picture", "stage"]
