"""Moments on a command line."""

from __future__ import annotations

from datetime import datetime

import click


def moment(text: str, option: str) -> datetime:
    """Read a day or a moment in ISO 8601, with or without an offset. Raises BadParameter."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a day or a moment such as 2026-05-01 or 2026-05-01T00:00:00Z",
            param_hint=option,
        ) from None
