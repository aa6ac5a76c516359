"""TCP to a meter or to a converter with meters behind it."""

from __future__ import annotations

import asyncio
import os

from dlms_connector.link.high_sockets import connected
from dlms_connector.link.tcp_stream import StreamLink, TcpStream
from dlms_connector.link.unreachable import unreachable
from dlms_connector.within import within


class TcpLink(StreamLink):
    """A connection that we open."""

    def __init__(self, host: str, port: int, *, connect_timeout_s: float = 10.0) -> None:
        super().__init__()
        self._host, self._port = host, port
        self._connect_timeout_s = connect_timeout_s

    def __repr__(self) -> str:
        return f"<TcpLink {self._endpoint} {'open' if self.is_open else 'closed'}>"

    async def open(self) -> None:
        """Connect within the connect timeout; raises ConnectError."""
        await self.close()
        stream = TcpStream(self)
        try:
            await within(self._connect_timeout_s, self._connect(stream))
        except BaseException as error:
            # Also when cancelled: a connection that was made meanwhile must be closed.
            await stream.close()
            if isinstance(error, asyncio.TimeoutError):
                reason = f"no answer within {self._connect_timeout_s:g} s"
                raise unreachable(self._endpoint, reason, error) from error
            if isinstance(error, OSError | UnicodeError):
                raise unreachable(self._endpoint, _reason(error), error) from error
            raise
        self._stream = stream

    @property
    def _endpoint(self) -> str:
        return f"{self._host}:{self._port}"

    async def _connect(self, stream: TcpStream) -> None:
        made = await connected(self._host, self._port)
        try:
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=made)
        except BaseException:
            made.close()
            raise


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's error text, without numbers and addresses."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
