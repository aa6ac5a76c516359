"""Spares the gateway going through all its devices for each device that it remembers.

When it starts, the gateway (3.8.5) reads its file of devices, and after each device adds all that
it has read so far once more: fifty million times for ten thousand devices, each with a task for
another thread. That takes minutes, and gigabytes of memory. There is no public interface for this.
Without it, or if a gateway has it no more, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView
from contextlib import contextmanager
from threading import Event, get_ident
from typing import Any

_DEVICES = "_TBGatewayService__connected_devices"
_LOAD = "_TBGatewayService__load_persistent_devices"


class _Devices(dict[str, Any]):
    """The gateway's devices; to the thread that loads them, it shows the last one only."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        self._loader: int | None = None
        self._last: dict[str, Any] = {}

    def __setitem__(self, name: str, device: Any) -> None:
        super().__setitem__(name, device)
        if get_ident() == self._loader:
            self._last = {name: device}

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the names of all devices, or of the last one that was loaded."""
        return self._last.keys() if get_ident() == self._loader else super().keys()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Be loaded by this thread."""
        self._loader, self._last = get_ident(), {}
        try:
            yield
        finally:
            self._loader, self._last = None, {}


def load_each_once(gateway: Any) -> Callable[[], bool]:
    """Let the gateway add each device once; call it when the gateway makes its connectors.

    Returns what tells whether the gateway has read its file: what it writes before is all that is
    left of the file.
    """
    devices = getattr(gateway, "__dict__", {}).get(_DEVICES)
    load: Callable[[], object] | None = getattr(gateway, _LOAD, None)
    # Later, devices are in use by several threads, and loaded already.
    if gateway.tb_client is not None or type(devices) is not dict or load is None:
        return lambda: True
    watched = _Devices(devices)
    read = Event()

    def each_once() -> None:
        try:
            with watched.loading():
                load()
        finally:
            read.set()

    setattr(gateway, _DEVICES, watched)
    setattr(gateway, _LOAD, each_once)
    return read.is_set
