"""Serves the metrics over HTTP, in a thread of its own that ends when it is told to.

A few scrapes may run at once; a client that says nothing is hung up on. What is served has no
secrets, and there is no log-in: who may read it is decided by where the server listens.
"""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Lock, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

_AT_ONCE = 8
_SILENT_S = 5.0
#: The kernel's queue of connections that are not accepted yet.
_QUEUE = 16


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Log nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = _QUEUE
    timeout = 0

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily) -> None:
        self.address_family = family
        self._places = BoundedSemaphore(_AT_ONCE)
        self._lock = Lock()
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind, without looking up the name of the host: that may take long."""
        self.server_name, self.server_port = str(self.server_address[0]), 0
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_port = self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up or say nothing sensible."""

    def hang_up(self) -> None:
        """End what is being served."""
        with self._lock:
            for request in self._open:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)


class MetricsServer:
    """Listens at once; raises OSError where it cannot. End it by `close`."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, name: str) -> None:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        self._server = _Server((str(address[0]), int(address[1])), family)
        self._server.set_app(make_wsgi_app(registry))
        self._wakes, self._waker = socket.socketpair()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port where it listens."""
        return int(self._server.server_port)

    def close(self, within_s: float = 1.0) -> None:
        """Free the port, end the thread, and hang up on whoever is being served."""
        with suppress(OSError):
            self._waker.send(b"!")
        self._thread.join(within_s)
        self._server.hang_up()

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._server, selectors.EVENT_READ)
                selector.register(self._wakes, selectors.EVENT_READ)
                while all(key.fileobj is not self._wakes for key, _ in selector.select()):
                    self._server.handle_request()
        finally:
            self._server.server_close()
            self._wakes.close()
            self._waker.close()
