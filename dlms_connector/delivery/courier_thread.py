"""The thread in which a courier works. It wakes when something happens, or is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from logging import Logger
from threading import Condition, Thread

from dlms_connector.delivery.courier import Courier

News = Callable[[Courier], object]

#: Seconds until a step that failed is tried again.
_AFTER_FAULT_S = 5.0


class CourierThread:
    """Runs `courier` in a thread of its own; `put` tells it what happened, from any thread."""

    def __init__(self, courier: Courier, log: Logger) -> None:
        self._courier, self._log = courier, log
        self._news: deque[News] = deque()
        self._wake = Condition()
        self._closing = False
        self._complained: set[type[Exception]] = set()
        self._thread: Thread | None = None

    def start(self, name: str) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, news: News) -> None:
        """Tell what happened; never blocks."""
        with self._wake:
            self._news.append(news)
            self._wake.notify()

    def close(self, within_s: float) -> bool:
        """End after the work at hand; true if the thread has ended."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is None:
            return True
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        due: float | None = 0.0
        while True:
            news, closing = self._next(due)
            for each in news:
                self._do(each)
            if closing:
                self._do(Courier.finish)
                return
            due = self._step()

    def _next(self, due: float | None) -> tuple[list[News], bool]:
        with self._wake:
            if not self._news and not self._closing and due != 0.0:
                self._wake.wait(due)
            news = [*self._news]
            self._news.clear()
            return news, self._closing

    def _step(self) -> float | None:
        due: list[float | None] = [_AFTER_FAULT_S]
        self._do(lambda courier: due.__setitem__(0, courier.step()))
        return due[0]

    def _do(self, work: Callable[[Courier], object]) -> None:
        try:
            work(self._courier)
        except Exception as error:  # the gateway's, or ours: what waits must go on
            if type(error) not in self._complained:
                self._complained.add(type(error))
                kind = type(error).__name__
                self._log.exception("delivery failed and goes on: %s: %s", kind, error)
