"""Spellings of a name: `long-unsigned`, `longUnsigned` and `LONG_UNSIGNED` are the same."""

from __future__ import annotations


def plain(name: str) -> str:
    """Return a name in lower case without punctuation, equal for all its spellings."""
    return "".join(c for c in name if c.isalnum()).casefold()
