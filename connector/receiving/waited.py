"""How long we waited for answers: the most processor time that a supplier can have spent on them.

A buyer cannot see its supplier's processor. But what is paid for by compute seconds runs in one
thread while the buyer waits, be it for the answer or for the quote before it. So of what the
supplier says we sign no more than we have waited for that text and not signed for before.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from schemas.ids import AgreementId

KEPT_SECONDS: Final = 900.0  # well beyond the longest query and the minute after its quote
KEPT_MAX: Final = 4096
MS_PER_SECOND: Final = 1000
Key: TypeAlias = tuple[AgreementId, bytes]


class Waited:
    """Milliseconds that we waited, by agreement and text, until they are signed for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: OrderedDict[Key, tuple[int, float]] = OrderedDict()  # ms, since when

    @contextmanager
    def waiting(self, agreement_id: AgreementId, sql: str) -> Iterator[None]:
        """Count the block's time for a text, also if no answer comes."""
        started = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            with self._lock:
                key = _key(agreement_id, sql)
                ms = self._left(key) + math.ceil((ended - started) * MS_PER_SECOND)
                self._put(key, ms)

    def believed(self, agreement_id: AgreementId, sql: str, said_ms: int) -> int:
        """Return how much of what the supplier says we have waited for, and use it up."""
        with self._lock:
            key = _key(agreement_id, sql)
            left = self._left(key)
            believed = min(said_ms, left)
            self._put(key, left - believed)
        return believed

    def _left(self, key: Key) -> int:
        ms, at = self._waits.get(key, (0, -math.inf))
        return ms if self._clock() - at <= KEPT_SECONDS else 0

    def _put(self, key: Key, ms: int) -> None:
        self._waits[key] = ms, self._clock()
        self._waits.move_to_end(key)
        while len(self._waits) > KEPT_MAX:
            self._waits.popitem(last=False)


def _key(agreement_id: AgreementId, sql: str) -> Key:
    return agreement_id, hashlib.sha256(sql.encode(errors="surrogatepass")).digest()
