"""DLMS/COSEM meters for the ThingsBoard IoT Gateway."""

__version__ = "1.0.0"
