"""Keeps log records short enough for the gateway's remote logging.

If a record is larger than the platform's payload size, the gateway's log thread prints it
endlessly, at a hundred megabytes per second, and sends nothing more.
"""

from __future__ import annotations

import logging

#: Most characters of a message, and of the traceback below it. The smallest payload size of
#: the gateway is 8196 octets.
LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 4000

_FORMATTER = logging.Formatter()


def shorten(record: logging.LogRecord) -> bool:
    """Shorten a record in place; a logging filter that passes every record."""
    message = record.getMessage()
    if len(message) > LONGEST_MESSAGE:
        record.msg, record.args = f"{message[: LONGEST_MESSAGE - 1]}…", ()
    if record.exc_info and not record.exc_text:
        text = _FORMATTER.formatException(record.exc_info)
        if len(text) > LONGEST_TRACEBACK:  # its end names the exception
            text = f"…{text[1 - LONGEST_TRACEBACK :]}"
        record.exc_text = text  # the formatters of all handlers take it from here
    return True
