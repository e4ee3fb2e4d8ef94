"""Results of quoted queries, kept for a moment so that the query itself need not run again.

Rule 1: what is kept is what the worker answered, before any decision: it leaves only by the
way that every answer takes, decided, recorded and paid anew.
Rule 2: it is for the transfer process, file and text that were quoted, and is taken out once.
Rule 3: one for each transfer process, in memory only, within a time and a size for all.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.dataplane.pool import Result

KEPT_SECONDS: Final = 60.0  # for a person to read a quote and say yes
KEPT_BYTES_MAX: Final = 64 * 2**20  # of all results together
ONE_BYTES_MAX: Final = KEPT_BYTES_MAX // 4
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    key: Key
    result: Result
    ends_at: float


class KeptResults:
    """The results of the latest quotes, by transfer process, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._timer: threading.Timer | None = None

    @property
    def bytes_count(self) -> int:
        """How much is kept."""
        with self._lock:
            return self._bytes()

    def take(self, process_id: str, key: Key) -> tuple[Result, float] | None:
        """Take the result of a quote out, with the time at which it ends."""
        with self._lock:
            self._sweep()
            found = self._kept.get(process_id)
            if found is None or found.key != key:
                return None
            del self._kept[process_id]
            return found.result, found.ends_at

    def put(self, process_id: str, key: Key, result: Result, *, ends_at: float) -> None:
        """Keep a result until ``ends_at`` (monotonic), in place of its process's last one."""
        with self._lock:
            self._kept.pop(process_id, None)
            if sum(map(len, result.pieces)) > ONE_BYTES_MAX:
                return
            self._kept[process_id] = _Kept(key, result, ends_at)
            while self._bytes() > KEPT_BYTES_MAX:
                self._kept.popitem(last=False)
            if self._timer is None:
                self._start_timer()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            if self._timer is not None:
                self._timer.cancel()

    def _bytes(self) -> int:
        return sum(len(piece) for kept in self._kept.values() for piece in kept.result.pieces)

    def _sweep(self) -> None:
        now = time.monotonic()
        for process_id in [pid for pid, kept in self._kept.items() if kept.ends_at <= now]:
            del self._kept[process_id]

    def _start_timer(self) -> None:
        """Forget what is over also while nobody asks."""
        wait = min(kept.ends_at for kept in self._kept.values()) - time.monotonic()
        self._timer = threading.Timer(max(wait, 0.0), self._on_time)
        self._timer.daemon = True
        self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._sweep()
            self._timer = None
            if self._kept:
                self._start_timer()
