"""Keeps what is logged short enough for the gateway's remote logging.

A record beyond the platform's payload size makes the gateway's log thread print it for ever,
at a hundred megabytes per second, and send no more.
"""

from __future__ import annotations

import logging

#: Characters of a message, and of the traceback below it. The least payload size of the
#: gateway is 8196 octets.
LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 4000

_FORMATTER = logging.Formatter()


def shorten(record: logging.LogRecord) -> bool:
    """Shorten a record in place; a filter of loggers that lets all pass."""
    message = record.getMessage()
    if len(message) > LONGEST_MESSAGE:
        record.msg, record.args = f"{message[: LONGEST_MESSAGE - 1]}…", ()
    if record.exc_info and not record.exc_text:
        text = _FORMATTER.formatException(record.exc_info)
        if len(text) > LONGEST_TRACEBACK:  # its end says what happened
            text = f"…{text[1 - LONGEST_TRACEBACK :]}"
        record.exc_text = text  # the formatters of all handlers take it from here
    return True
