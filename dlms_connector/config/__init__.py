"""The configuration: parsed once, strictly, into frozen values."""
