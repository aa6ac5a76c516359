"""A log for commands that show everything themselves."""

from __future__ import annotations

import logging


def silent_log(command: str) -> logging.Logger:
    """Return a logger without output, for a command of this name."""
    log = logging.getLogger(f"dlms_connector.{command}")
    log.propagate = False
    log.addHandler(logging.NullHandler())
    return log
