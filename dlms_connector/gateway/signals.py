"""SIGTERM ends the gateway in order, as SIGINT does.

The gateway handles SIGINT only. SIGTERM, which systemd, Kubernetes and `kill` send, would end the
process at once: meters keep their associations, and what is in memory is lost. The unit of the
Debian package sends SIGINT and SIGTERM behind it, into the middle of the shutdown.
"""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from typing import Any

#: Handlers of SIGINT that are not the gateway's.
_NOBODYS = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, None)


def end_in_order(gateway: Any) -> bool:
    """Let SIGTERM do what SIGINT does, if nobody else handles it; return whether it will.

    Only the main thread may do that: it is the one in which the gateway opens the connectors of
    its own files. A connector that the platform adds is opened in another; then it is done by the
    main thread, which waits for the gateway's end, when it waits next. The first SIGTERM is taken,
    a second one ends the process at once.
    """
    if not _is_main():
        return _when_it_waits(gateway)
    if signal.getsignal(signal.SIGINT) in _NOBODYS:
        return False
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False

    def terminate(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if not gateway.stopped:  # else it is ending already, perhaps in this very thread
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, terminate)
    return True


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _when_it_waits(gateway: Any) -> bool:
    """Have the main thread do it; false if it is not known how it waits."""
    event = getattr(gateway, "stop_event", None)
    if not isinstance(event, threading.Event):
        return False
    gateway.stop_event = _UntilItWaits(gateway, event)
    return True


class _UntilItWaits:
    """Stands for the gateway's event until its main thread waits for it, a second at a time."""

    def __init__(self, gateway: Any, event: threading.Event) -> None:
        self._gateway, self._event = gateway, event

    def wait(self, timeout: float | None = None) -> bool:
        if _is_main() and self._gateway.stop_event is self:
            self._gateway.stop_event = self._event
            with suppress(Exception):  # it would end the gateway
                end_in_order(self._gateway)
        return self._event.wait(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)
