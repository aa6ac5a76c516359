"""HDLC, wrapper and mode E sign-on, from the meter's side."""

from dlms_connector.simulator.datalink import hdlc, hdlc_frames, wrapper
from dlms_connector.simulator.datalink.mode_e import SignOn
from dlms_connector.simulator.datalink.readout import Readout

__all__ = ["Readout", "SignOn", "hdlc", "hdlc_frames", "wrapper"]
