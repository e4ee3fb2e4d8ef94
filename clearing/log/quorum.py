"""Whether enough witnesses know what the log has signed.

Where a quorum is asked for, nothing is added before so many witnesses have cosigned since the
start, nor while what was signed longer ago than the grace lacks their cosignatures. So a log that
was put back to an older copy is found out before it says anything new.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from databank.kit.clock import Clock, system_clock
from schemas.problem import ProblemError
from schemas.wire import Text


class NotWitnessedError(ProblemError):
    """Too few witnesses have cosigned the log; trying again later may help."""

    slug = "log-not-witnessed"
    title = Text(ko="청산 기록의 증인이 모자랍니다", en="Too few witnesses of the log")
    status = 503


class Quorum:
    """Counts witnesses since the start; safe to use from several threads."""

    def __init__(
        self, needed: int, *, grace_seconds: float = 0.0, clock: Clock = system_clock
    ) -> None:
        self.needed = needed
        self._grace = timedelta(seconds=grace_seconds)
        self._clock = clock
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._signed_size = 0
        self._waiting_since: datetime | None = None

    def signed(self, size: int) -> None:
        """Note that the log has signed a checkpoint of ``size`` leaves."""
        with self._lock:
            self._signed_size = max(self._signed_size, size)
            if self._waiting_since is None and size > self._witnessed_size:
                self._waiting_since = self._clock()

    def cosigned(self, witness: str, size: int) -> None:
        """Note that a witness has cosigned ``size`` leaves."""
        with self._lock:
            before = self._witnessed_size
            self._sizes[witness] = max(size, self._sizes.get(witness, 0))
            if self._witnessed_size > before or self._has_all:
                self._waiting_since = None if self._has_all else self._clock()

    def check(self) -> None:
        """Let pass if enough witnesses know enough.

        Raises:
            NotWitnessedError: They do not.
        """
        with self._lock:
            count, since = len(self._sizes), self._waiting_since
        is_heard = count >= self.needed
        is_late = self.needed and since is not None and self._clock() - since > self._grace
        if is_heard and not is_late:
            return
        raise NotWitnessedError(
            ko=f"증인 {self.needed}곳이 서명해야 기록을 이어 갑니다. 지금까지 {count}곳이 "
            "응답했습니다. 증인 커넥터가 켜져 있고 등록되어 있는지 확인하세요. 곧 다시 시도합니다.",
            en=f"The log goes on when {self.needed} witnesses cosign it; {count} have answered. "
            "See that the witnessing connectors run and are registered. Try again soon.",
            retryable=True,
        )

    @property
    def _witnessed_size(self) -> int:
        """The largest tree that enough witnesses have cosigned since the start."""
        sizes = sorted(self._sizes.values(), reverse=True)
        place = max(self.needed, 1) - 1
        return sizes[place] if place < len(sizes) else -1

    @property
    def _has_all(self) -> bool:
        return self._witnessed_size >= self._signed_size
