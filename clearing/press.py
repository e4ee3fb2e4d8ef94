"""One heavy piece of reading work at a time: documents and comparisons share this press.

A PDF or a comparison takes seconds of the processor, and has no transaction open meanwhile. A few
callers wait for their turn; the others are told to come again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.problem import ProblemError
from schemas.wire import Text

WAITING_MAX: Final = 8  # callers; each has a thread of the service's while it waits
WAIT_SECONDS: Final = 30.0


class PressBusyError(ProblemError):
    """Too many documents and comparisons are being made; nothing was done."""

    slug = "press-busy"
    title = Text(ko="문서를 만드는 중입니다", en="Busy making documents")
    status = 503


class Press:
    """Gives turns, one after the other."""

    def __init__(
        self, *, waiting_max: int = WAITING_MAX, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._places = threading.BoundedSemaphore(1 + waiting_max)
        self._turn = threading.Lock()
        self._wait_seconds = wait_seconds

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Do the block alone.

        Raises:
            PressBusyError: Too many wait already, or the wait was too long.
        """
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            if not self._turn.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()


def _busy() -> PressBusyError:
    return PressBusyError(
        ko="다른 문서와 비교를 만드는 중입니다. 잠시 뒤 다시 요청하세요.",
        en="Other documents and comparisons are being made. Ask again in a moment.",
        retryable=True,
    )
