"""DLMS/COSEM meters for the ThingsBoard IoT Gateway."""

__version__ = "0.1.0"
