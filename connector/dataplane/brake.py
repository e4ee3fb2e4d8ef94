"""The processor time of one job in the SQL worker: measured, and bounded where that is asked.

Processor time and not the clock: a busy neighbour makes an answer late, but not dear. The engine
has one thread, so a job takes at most as much as has passed; to be sure, no more than that is told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import duckdb

COMPUTE_LIMIT: Final = "compute_limit"  # what the worker says of a job that was stopped
NS_PER_MS: Final = 1_000_000
AGAIN_SECONDS: Final = 0.005  # a statement that begins just then forgets an interruption


class OverComputeError(Exception):
    """The job took as much processor time as it may."""


class Brake:
    """Counts a job's processor time from now on; stops what the engine runs once it is used up."""

    def __init__(self, ms_max: int | None, interrupt: Callable[[], None]) -> None:
        self._started = time.process_time_ns(), time.monotonic_ns()
        self._ns_max = None if ms_max is None else ms_max * NS_PER_MS
        self._interrupt = interrupt
        self._is_done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._ns_max is not None:
            self._thread = threading.Thread(target=self._watch, name="brake", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        self._is_done.set()
        if self._thread is not None:
            self._thread.join()
        if error is not None:
            self.check()  # whatever words the interruption comes back with

    @property
    def ms(self) -> int:
        """Whole milliseconds so far, cut off below one."""
        return self._ns() // NS_PER_MS

    def check(self) -> None:
        """Raise if the job took as much as it may.

        Raises:
            OverComputeError: It did.
        """
        if self._ns_max is not None and self._ns() > self._ns_max:
            raise OverComputeError

    def _ns(self) -> int:
        processor, clock = self._started
        return min(time.process_time_ns() - processor, time.monotonic_ns() - clock)

    def _watch(self) -> None:
        assert self._ns_max is not None
        while (left := self._ns_max - self._ns()) >= 0:
            if self._is_done.wait(left / 1e9 + 0.0005):
                return
        while not self._is_done.wait(AGAIN_SECONDS):
            with suppress(duckdb.Error):  # one that is being opened or closed
                self._interrupt()
