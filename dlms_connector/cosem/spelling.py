"""Names as people write them: `long-unsigned`, `longUnsigned` and `LONG_UNSIGNED` are one."""

from __future__ import annotations


def plain(name: str) -> str:
    """Return what the spellings of a name have in common."""
    return "".join(c for c in name if c.isalnum()).casefold()
