"""The thread that ends what is due: agreements whose time is up, negotiations nobody answers.

It sleeps until the next of them is due, and is woken when an agreement is made that ends before.
The alarm looks at the clock meanwhile: who sets it, or a machine that slept, changes what is due.
A negotiation that begins while it sleeps is due later than all that it knows of.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

import structlog

from connector.agreement import service as agreeing
from connector.agreement import store as agreements
from connector.negotiation import service as negotiating
from connector.negotiation import store as negotiations
from connector.negotiation.decide import Move, refusal_for
from connector.negotiation.machine import Message
from connector.runtime import Runtime
from schemas.refusal import RefusalCode

BATCH: Final = 100
SLEEP_MAX: Final = timedelta(hours=1)  # negotiations begin meanwhile
ERROR_PAUSE: Final = timedelta(seconds=5)
log = structlog.get_logger()


class Deadlines:
    """Watches one connector's deadlines until stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the present round, then return."""
        self._stop.set()
        self._runtime.deadlines.give()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            alarm, clock = self._runtime.deadlines, self._runtime.clock
            seen = alarm.count
            try:
                next_at = end_what_is_due(self._runtime)
            except Exception:  # the loop outlives a database that is away for a moment
                log.exception("deadlines_failed")
                next_at = clock() + ERROR_PAUSE
            alarm.sleep_until(seen, next_at, clock=clock)


def end_what_is_due(runtime: Runtime) -> datetime:
    """End what is due now; return until when nothing else is."""
    now, patience = runtime.clock(), timedelta(days=runtime.settings.negotiation_days)
    while _expire(runtime, now) or _give_up(runtime, now - patience):
        pass
    with runtime.database.unit_of_work() as uow:
        silent_since = negotiations.oldest_open_at(uow)
        ends = agreements.next_end(uow)
    dues = [now + SLEEP_MAX, ends, silent_since + patience if silent_since else None]
    return min(due for due in dues if due is not None)


def _expire(runtime: Runtime, now: datetime) -> bool:
    with runtime.database.unit_of_work() as uow:
        due = agreements.due(uow, now, limit=BATCH)
        for agreement in due:
            agreeing.expire(uow, runtime, agreement)
            log.info("agreement_expired", agreement_id=agreement.id)
    return len(due) == BATCH


def _give_up(runtime: Runtime, before: datetime) -> bool:
    with runtime.database.unit_of_work() as uow:
        stalled = negotiations.stalled(uow, before=before, limit=BATCH)
        for negotiation in stalled:
            refusal = refusal_for(RefusalCode.NO_ANSWER)
            negotiating.act(uow, runtime, negotiation, Move(Message.TERMINATE, refusal=refusal))
            log.info("negotiation_given_up", pid=negotiation.pid)
    return len(stalled) == BATCH
