"""One thread that kills what is late: a thread for each query would cost more than the query."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count


class Watchdog:
    """Calls what overran its time; its thread runs from the first deadline until ``close``."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, _Watched]] = []
        self._numbers = count()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf  # when the thread looks again without being told
        self._is_closed = False

    @contextmanager
    def deadline(self, seconds: float, overrun: Callable[[], None]) -> Iterator[threading.Event]:
        """Call ``overrun`` unless the block ends in time; the event says that it was called."""
        watched = _Watched(overrun)
        self._watch(time.monotonic() + seconds, watched)
        try:
            yield watched.is_late
        finally:
            watched.end()

    def close(self) -> None:
        """End the thread; nothing is watched any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _watch(self, at: float, watched: _Watched) -> None:
        with self._changed:
            while self._due and self._due[0][2].is_over:
                heapq.heappop(self._due)  # most are over long before they are due
            heapq.heappush(self._due, (at, next(self._numbers), watched))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="query-clock", daemon=True)
                self._thread.start()
            elif at < self._wakes_at:
                self._changed.notify()

    def _run(self) -> None:
        while (late := self._next_late()) is not None:
            late.call()

    def _next_late(self) -> _Watched | None:
        with self._changed:
            while not self._is_closed:
                self._wakes_at = self._due[0][0] if self._due else math.inf
                left = self._wakes_at - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            return None


class _Watched:
    """Something with a deadline, which either ends or is called late, never both."""

    def __init__(self, overrun: Callable[[], None]) -> None:
        self.is_late = threading.Event()
        self.is_over = False
        self._overrun = overrun
        self._lock = threading.Lock()

    def end(self) -> None:
        with self._lock:
            self.is_over = True

    def call(self) -> None:
        with self._lock:
            if self.is_over:
                return
            self.is_over = True
            self.is_late.set()
            self._overrun()
