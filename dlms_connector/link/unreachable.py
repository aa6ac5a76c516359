"""Why an endpoint could not be opened: what the system says, as a row of the table of hints."""

from __future__ import annotations

import asyncio
import errno
import socket

from dlms_connector.errors import ConnectError
from dlms_connector.hints import Symptom

_NETWORK = {
    errno.ECONNREFUSED: Symptom.NOBODY_LISTENS,
    errno.EHOSTUNREACH: Symptom.NO_ROUTE,
    errno.ENETUNREACH: Symptom.NO_ROUTE,
    errno.EHOSTDOWN: Symptom.NO_ROUTE,
    errno.ETIMEDOUT: Symptom.NO_CONNECT_ANSWER,
}
_PORT = {
    errno.ENOENT: Symptom.PORT_MISSING,
    errno.ENXIO: Symptom.PORT_MISSING,
    errno.ENODEV: Symptom.PORT_MISSING,
    errno.EACCES: Symptom.PORT_DENIED,
    errno.EPERM: Symptom.PORT_DENIED,
    errno.EBUSY: Symptom.PORT_BUSY,
    errno.EAGAIN: Symptom.PORT_BUSY,  # another process holds its lock
}


def unreachable(endpoint: str, reason: str, error: BaseException) -> ConnectError:
    """Return the error for a host that could not be connected to."""
    if isinstance(error, asyncio.TimeoutError):
        symptom = Symptom.NO_CONNECT_ANSWER
    elif isinstance(error, socket.gaierror | UnicodeError):
        symptom = Symptom.NAME_UNKNOWN
    else:
        symptom = _NETWORK.get(_number(error), Symptom.UNREACHABLE)
    return ConnectError(endpoint, reason).showing(symptom)


def unopened(port: str, reason: str, error: BaseException) -> ConnectError:
    """Return the error for a serial port that could not be opened."""
    symptom = _PORT.get(_number(error), Symptom.UNREACHABLE)
    return ConnectError(port, reason).showing(symptom)


def unheard(door: str, reason: str) -> ConnectError:
    """Return the error for a port that cannot be listened at."""
    return ConnectError(door, f"cannot listen: {reason}").showing(Symptom.CANNOT_LISTEN)


def _number(error: BaseException | None) -> int:
    """Return the system's number of an error, or of what caused it: libraries wrap it."""
    while error is not None:
        number = getattr(error, "errno", None)
        if isinstance(number, int):
            return number
        error = error.__cause__ or error.__context__
    return 0
