"""Sockets of meters, with numbers that the gateway's own clients cannot wait for.

The gateway's MQTT client waits with select(), which takes no descriptor above 1023. The system
gives each new socket the lowest free number: after an outage, meters that connect again would take
the low ones, and the gateway could not connect to the platform any more. So they are moved up
where the process may have more than 1024.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
from typing import Any

from dlms_connector.errors import ConnectError
from dlms_connector.link.unreachable import permit

#: FD_SETSIZE of the C library: select() knows the numbers below.
_ABOVE = 1024

_Address = tuple[int, int, int, str, Any]


async def connected(
    host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    """Return a socket that is connected to the first address of a host that answers.

    Raises OSError, UnicodeError, or ConnectError (it may not be used) of the first address if
    none does.
    """
    loop = asyncio.get_running_loop()
    first: OSError | ConnectError | None = None
    for family, kind_there, protocol, _, address in await _addresses(host, port, kind):
        try:
            permit(host, address[0], f"{host}:{port}")
        except ConnectError as error:
            first = first or error
            continue
        made = raised(socket.socket(family, kind_there, protocol))
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            first = first or error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise first or OSError(errno.EADDRNOTAVAIL, "the name has no address")


def raised(made: socket.socket) -> socket.socket:
    """Return the socket with a number above those of select(), if the process may have such."""
    if made.fileno() >= _ABOVE:
        return made
    try:
        number = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    except OSError:  # the limit is not higher, or nothing is free there
        return made
    with made:
        return socket.socket(made.family, made.type, made.proto, fileno=number)


async def _addresses(host: str, port: int, kind: socket.SocketKind) -> list[_Address]:
    try:  # of a number at once, without a thread
        numeric = socket.AI_NUMERICHOST
        return list(socket.getaddrinfo(host, port, type=kind, flags=numeric))
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        return list(await loop.getaddrinfo(host, port, type=kind))
