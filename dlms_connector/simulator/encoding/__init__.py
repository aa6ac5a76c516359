"""A-XDR data, ACSE APDUs and exceptions, as the simulated meter reads and writes them."""

from dlms_connector.simulator.encoding import acse, data, exceptions

__all__ = ["acse", "data", "exceptions"]
