"""One association as the meter holds it: rights, GET, SET, ACTION, ACCESS, Read and Write."""

from dlms_connector.simulator.services.replay import Replay
from dlms_connector.simulator.services.session import Session

__all__ = ["Replay", "Session"]
