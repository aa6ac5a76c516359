"""SIGTERM ends the gateway in order, as SIGINT does.

The gateway handles SIGINT only. SIGTERM, which systemd, Kubernetes and `kill` send, would end the
process at once: meters keep their associations, and what is in memory is lost. The unit of the
Debian package sends SIGINT and SIGTERM behind it, into the middle of the shutdown.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

#: Handlers of SIGINT that are not the gateway's.
_NOBODYS = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, None)


def end_in_order(gateway: Any) -> bool:
    """Let SIGTERM do what SIGINT does, if nobody else handles it; return whether it will.

    Only the main thread may do that: it is the one in which the gateway opens the connectors of
    its own files. The first SIGTERM is taken, a second one ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
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
