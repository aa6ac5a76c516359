"""Proof that the platform has stored what was sent, and sending again until it has."""

__all__: list[str] = []
