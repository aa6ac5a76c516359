"""HDLC, wrapper and mode E sign-on, from the meter's side."""

from dlms_connector.simulator.datalink import hdlc, hdlc_frames, wrapper
from dlms_connector.simulator.datalink.mode_e import SignOn

__all__ = ["SignOn", "hdlc", "hdlc_frames", "wrapper"]
