"""Group commit: batches that arrive at the same time are booked in one transaction.

There is no thread of its own. Whoever comes first leads: it books what is waiting, itself
included, and then lets the first who came meanwhile lead. So a single sender never waits for
others, and under load the costs of a transaction are shared.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from clearing.log.service import Log
from clearing.metering.desk import Batch
from clearing.metering.service import take_all
from databank.kit.app import consume_token
from databank.kit.clock import Clock
from databank.kit.db import Database
from schemas.problem import NotAuthenticatedError, ProblemError
from schemas.token import Claims

GROUP_BATCHES_MAX: Final = 64
GROUP_BYTES_MAX: Final = 32 * 2**20
Outcome = str | Exception  # a receipt, or why there is none


@dataclass(eq=False)
class _Waiting:
    """A batch with its sender's token, and later its outcome; or it is asked to lead."""

    batch: Batch
    claims: Claims
    wake: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None


class Committer:
    """Books batches of many callers together."""

    def __init__(self, database: Database, log: Log, *, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False

    def book(self, batch: Batch, claims: Claims) -> str:
        """Use the caller's token up and book its batch; return the receipt.

        Raises:
            ProblemError: The token was used before, or the batch is refused (`take_all`).
        """
        mine = _Waiting(batch, claims)
        with self._lock:
            self._queue.append(mine)
            is_leader, self._is_led = not self._is_led, True
        if not is_leader:
            mine.wake.wait()
        if mine.outcome is None:
            self._lead()
        if isinstance(mine.outcome, Exception):
            raise mine.outcome
        assert mine.outcome is not None
        return mine.outcome

    def _lead(self) -> None:
        """Book one group, the caller's batch first, and hand on."""
        with self._lock:
            group = self._next_group()
        try:
            self._commit(group)
        finally:
            with self._lock:
                following = self._queue[0] if self._queue else None
                self._is_led = following is not None
            for waiting in group:
                waiting.outcome = waiting.outcome or RuntimeError("the booking was interrupted")
                waiting.wake.set()
            if following is not None:
                following.wake.set()

    def _next_group(self) -> list[_Waiting]:
        group, size = [self._queue.popleft()], 0
        while self._queue and len(group) < GROUP_BATCHES_MAX:
            size += len(self._queue[0].batch.signed.body)
            if size > GROUP_BYTES_MAX:
                break
            group.append(self._queue.popleft())
        return group

    def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = self._run(group)
        except Exception as error:  # noqa: BLE001 - handed to the callers
            if len(group) > 1:  # one of them may be at fault: each for itself
                for waiting in group:
                    self._commit([waiting])
                return
            outcomes = [error]
        for waiting, outcome in zip(group, outcomes, strict=True):
            waiting.outcome = outcome

    def _run(self, group: Sequence[_Waiting]) -> list[Outcome]:
        with self._database.unit_of_work() as uow:
            refused: dict[int, ProblemError] = {}
            for number, waiting in enumerate(group):
                try:
                    consume_token(uow, waiting.claims)
                except NotAuthenticatedError as problem:
                    refused[number] = problem
            good = [w.batch for number, w in enumerate(group) if number not in refused]
            booked = iter(take_all(uow, good, self._log, now=self._clock()) if good else [])
            return [refused[n] if n in refused else next(booked) for n in range(len(group))]
