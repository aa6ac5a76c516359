"""The whole way on one machine: meters, the real gateway, and a stand-in for the platform."""
