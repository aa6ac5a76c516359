"""Why an endpoint could not be opened, or may not be: as a row of the table of hints."""

from __future__ import annotations

import asyncio
import errno
import socket

from dlms_connector.config import allowed_hosts
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


def permit(host: str, address: str, endpoint: str) -> None:
    """Raise ConnectError if this process may not connect to an address that a host stands for.

    The address is that which is connected to: a name that is not allowed itself may stand for
    another one at each look-up.
    """
    hosts = allowed_hosts()
    if hosts is not None and not (hosts.takes_name(host) or hosts.takes_address(address)):
        told = "" if host == address else f", its address {address},"
        raise denied(endpoint, f"{host}{told} is not in DLMS_ALLOW_HOSTS")


def permit_port(port: str) -> None:
    """Raise ConnectError if this process may not open a serial port."""
    hosts = allowed_hosts()
    if hosts is not None and not hosts.takes_port(port):
        raise denied(port, "it is not in DLMS_ALLOW_HOSTS")


def denied(endpoint: str, reason: str) -> ConnectError:
    """Return the error for what must not be connected to."""
    return ConnectError(endpoint, reason).showing(Symptom.NOT_ALLOWED)


def _number(error: BaseException | None) -> int:
    """Return the system's number of an error, or of what caused it: libraries wrap it."""
    while error is not None:
        number = getattr(error, "errno", None)
        if isinstance(number, int):
            return number
        error = error.__cause__ or error.__context__
    return 0
