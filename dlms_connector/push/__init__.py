"""Meters that talk first: what they send unasked becomes readings."""

__all__: list[str] = []
