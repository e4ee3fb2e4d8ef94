"""The thread that delivers what the outbox holds.

At least once, in order within a process, several processes at a time. What a delivery
means is decided by the handler of the message's kind, in the transaction that removes it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from connector.egress import ForeignUrlError, check_url
from connector.outbox import store
from connector.outbox.model import Kind, OutgoingMessage, QueuedMessage, is_final, next_attempt
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.ids import ParticipantId
from schemas.problem import ProblemError

SENDERS: Final = 4
HEADS_MAX: Final = 64
LOOK_SECONDS: Final = 1.0
ERROR_SECONDS: Final = 1.0
OUR_SERVICES: Final = frozenset({Kind.AGREEMENT_RECORD, Kind.CRAWL_REQUEST})
log = structlog.get_logger()


class Handler(Protocol):
    """What follows from a delivery or a final refusal, in one transaction with it."""

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """The receiver has acknowledged the message."""

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, reason: str
    ) -> None:
        """The receiver will never take the message."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """``is_delivered`` None means: try again later."""

    is_delivered: bool | None
    answer: dict[str, Any]
    reason: str = ""


class Dispatcher:
    """Delivers one connector's outbox until stopped.

    Whoever queues a message hands it over after its commit. The table is looked at for what
    was left by an earlier run, what is tried again, and what came while its process was busy.
    """

    def __init__(self, runtime: Runtime, handlers: Mapping[Kind, Handler]) -> None:
        self._runtime = runtime
        self._handlers = handlers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._ended: set[str] = set()  # since the last look began: what it has read of them is old
        self._has_missed = False  # something could not be taken: look again after the next end
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="outbox-send")
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begin delivering."""
        self._runtime.outbox.take = self._take
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent, then return."""
        self._runtime.outbox.take = None
        self._stop.set()
        self._runtime.outbox.give()
        self._thread.join()
        with self._lock:  # nobody is about to submit
            self._pool.shutdown(wait=False)
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = self._runtime.outbox.count
            try:
                wait = self._submit_due()
            except Exception:  # the loop must outlive a database that is away for a moment
                log.exception("outbox_look_failed")
                wait = ERROR_SECONDS
            self._runtime.outbox.wait(seen, wait)

    def _submit_due(self) -> float:
        """Hand due messages to the senders; return how long nothing else is due, in seconds."""
        with self._lock:
            self._ended.clear()
        with self._runtime.database.unit_of_work() as uow:
            heads = store.heads(uow, limit=HEADS_MAX)
        now, wait = self._runtime.clock(), LOOK_SECONDS
        for queued, next_at in heads:
            if next_at > now:
                wait = min(wait, (next_at - now).total_seconds())
                continue
            with self._lock:
                if queued.message.process_key in self._ended:
                    wait = 0.0
                else:
                    self._submit(queued)
        return wait

    def _take(self, queued: QueuedMessage) -> bool:
        """Send a message soon; return False if its process is busy or too many are."""
        with self._lock:
            return self._submit(queued)

    def _submit(self, queued: QueuedMessage) -> bool:
        key = queued.message.process_key
        if self._stop.is_set():
            return False
        if key in self._busy or len(self._busy) >= HEADS_MAX:
            self._has_missed = True
            return False
        self._busy.add(key)
        self._pool.submit(self._deliver, queued)
        return True

    def _deliver(self, queued: QueuedMessage) -> None:
        """Send a message, and those of its process that wait behind it."""
        following: QueuedMessage | None = queued
        try:
            while following is not None and not self._stop.is_set():
                following = self._settle(following, self._attempt(following.message))
        except Exception:
            log.exception("outbox_delivery_failed", kind=queued.message.kind.value)
            self._stop.wait(ERROR_SECONDS)
        finally:
            self._end(queued.message.process_key)

    def _end(self, key: str) -> None:
        with self._lock:
            self._busy.discard(key)
            self._ended.add(key)
            is_wanted = self._has_missed and len(self._busy) <= HEADS_MAX // 2
            if is_wanted:
                self._has_missed = False
        if is_wanted:
            self._runtime.outbox.give()

    def _attempt(self, message: OutgoingMessage) -> _Outcome:
        try:
            return self._send(message)
        except Exception as error:  # such a message must not hold the senders up
            log.exception("outbox_attempt_failed", kind=message.kind.value)
            return _Outcome(None, {}, f"{type(error).__name__}")

    def _send(self, message: OutgoingMessage) -> _Outcome:
        runtime = self._runtime
        try:
            if message.kind not in OUR_SERVICES:
                check_url(runtime.directory, message.url, ParticipantId(message.audience))
            response = runtime.client.call(
                "POST", message.url, audience=message.audience, json=message.body
            )
        except ForeignUrlError as error:
            return _Outcome(is_delivered=False, answer={}, reason=error.detail.ko)
        except ProblemError as error:  # the registry or the receiver is away
            return _Outcome(None, {}, error.detail.ko)
        answer = _json_object(response.content)
        if response.is_success:
            return _Outcome(is_delivered=True, answer=answer)
        is_over = False if is_final(response.status_code, answer) else None
        return _Outcome(is_over, answer, _reason(response.status_code, answer))

    def _settle(self, queued: QueuedMessage, outcome: _Outcome) -> QueuedMessage | None:
        """Store what became of a message; return the next of its process if it is due."""
        runtime, message = self._runtime, queued.message
        handler = self._handlers[message.kind]
        is_over = outcome.is_delivered
        is_patient = message.kind in OUR_SERVICES  # clearing has to learn of every agreement
        tried = queued.attempts_count + 1
        if is_over is None and not is_patient and tried >= runtime.settings.outbox_attempts_max:
            is_over = False
        with runtime.database.unit_of_work() as uow:
            if is_over is None:
                at = next_attempt(queued.attempts_count, runtime.clock())
                store.postpone(uow, queued.id, at)
                uow.after_commit(runtime.outbox.give)  # the thread has to know the time
                return None
            store.remove(uow, queued.id)
            if is_over:
                handler.delivered(uow, runtime, message, outcome.answer)
            else:
                log.info("message_refused", kind=message.kind.value, reason=outcome.reason)
                runtime.standing.give()  # perhaps our credential is not good any more
                handler.refused(uow, runtime, message, outcome.reason)
            following = store.first_of(uow, message.process_key)
        if following is None or following[1] > runtime.clock():
            return None
        return following[0]


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        return parse_message(content) if content else {}
    except MalformedMessageError:
        return {}


def _reason(status: int, answer: dict[str, Any]) -> str:
    reasons = answer.get("reason")
    said = "; ".join(str(r) for r in reasons) if isinstance(reasons, list) else ""
    return said or str(answer.get("detail") or answer.get("code") or f"HTTP {status}")
