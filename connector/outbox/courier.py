"""One delivery at a time: what is due, one attempt, and what follows from its outcome.

At least once, in order within a process. What a delivery means is decided by the handler of
the message's kind, in the transaction that removes it. No thread stands here: who calls
``attempt`` and ``settle``, and when, is the dispatcher's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from connector.egress import ForeignUrlError, check_url
from connector.outbox import store
from connector.outbox.model import (
    Kind,
    OutgoingMessage,
    QueuedMessage,
    Refused,
    is_believed,
    is_final,
    is_its_word,
    next_attempt,
)
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.ids import ParticipantId
from schemas.problem import ProblemError

HEADS_MAX: Final = 64
OUR_SERVICES: Final = frozenset({Kind.AGREEMENT_RECORD, Kind.CRAWL_REQUEST})
log = structlog.get_logger()


class Handler(Protocol):
    """What follows from a delivery or a final refusal, in one transaction with it."""

    def state_url(self, uow: UnitOfWork, message: OutgoingMessage) -> str | None:
        """Return where the counterparty shows the state of the message's process, if it does."""

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """The receiver has acknowledged the message."""

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, refused: Refused
    ) -> bool:
        """The receiver will not take the message; return whether to try it again later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    ``is_delivered`` None means: try again later. The rest is as in ``Refused``.
    """

    is_delivered: bool | None
    answer: dict[str, Any]
    reason: str = ""
    shown: str | None = None
    is_its_word: bool = True


class Courier:
    """Delivers one connector's outbox, message by message."""

    def __init__(self, runtime: Runtime, handlers: Mapping[Kind, Handler]) -> None:
        self._runtime = runtime
        self._handlers = handlers

    def heads(self) -> list[tuple[QueuedMessage, datetime]]:
        """Return the first message of each process and when it is due, earliest first."""
        with self._runtime.database.unit_of_work() as uow:
            return store.heads(uow, limit=HEADS_MAX)

    def attempt(self, queued: QueuedMessage) -> Outcome:
        """Try once to deliver a message.

        Nobody else may deliver a message of the same process until it is settled.
        """
        try:
            return self._send(queued)
        except ForeignUrlError as error:
            return Outcome(is_delivered=False, answer={}, reason=error.detail.ko)
        except ProblemError as error:  # the registry or the receiver is away
            return Outcome(None, {}, error.detail.ko)
        except Exception as error:  # such a message must not hold the senders up
            log.exception("outbox_attempt_failed", kind=queued.message.kind.value)
            return Outcome(None, {}, f"{type(error).__name__}")

    def _send(self, queued: QueuedMessage) -> Outcome:
        runtime, message = self._runtime, queued.message
        is_ours = message.kind in OUR_SERVICES
        if not is_ours:
            check_url(runtime.directory, message.url, ParticipantId(message.audience))
        response = runtime.client.call(
            "POST", message.url, audience=message.audience, json=message.body
        )
        answer, status = _json_object(response.content), response.status_code
        if response.is_success:
            return Outcome(is_delivered=True, answer=answer)
        reason = _reason(status, answer)
        if is_ours:
            return Outcome(False if is_final(status, answer) else None, answer, reason)
        if not is_believed(status, answer, queued.attempts_count):
            return Outcome(None, answer, reason)
        looked = self._looked(message, reason)
        return replace(looked, is_its_word=is_its_word(status, answer))

    def _looked(self, message: OutgoingMessage, reason: str) -> Outcome:
        """See what the counterparty holds after its refusal; without an answer, try again."""
        runtime = self._runtime
        with runtime.database.unit_of_work() as uow:
            url = self._handlers[message.kind].state_url(uow, message)
        if url is None:
            return Outcome(is_delivered=False, answer={}, reason=reason)
        check_url(runtime.directory, url, ParticipantId(message.audience))
        response = runtime.client.call("GET", url, audience=message.audience)
        answer = _json_object(response.content)
        if not response.is_success and not is_final(response.status_code, answer):
            return Outcome(None, {}, reason)
        shown = answer.get("state") if response.is_success else None
        return Outcome(
            is_delivered=False,
            answer={},
            reason=reason,
            shown=shown if isinstance(shown, str) else None,
        )

    def settle(self, queued: QueuedMessage, outcome: Outcome) -> QueuedMessage | None:
        """Store what became of a message; return the next of its process if it is due."""
        runtime, message = self._runtime, queued.message
        handler = self._handlers[message.kind]
        is_over = outcome.is_delivered
        is_patient = message.kind in OUR_SERVICES  # clearing has to learn of every agreement
        tried = queued.attempts_count + 1
        is_last = not is_patient and tried >= runtime.settings.outbox_attempts_max
        if is_over is None and is_last:
            is_over = False
        # the disk may forget that a message was delivered: then it is delivered again
        with runtime.database.unit_of_work(waits_for_disk=not outcome.is_delivered) as uow:
            if store.is_waiting(uow, queued):  # else what overtook it has made it void
                if is_over:
                    store.take_out(uow, queued)
                    handler.delivered(uow, runtime, message, outcome.answer)
                elif is_over is None or not self._give_up(uow, queued, outcome, is_last=is_last):
                    at = next_attempt(queued.attempts_count, runtime.clock())
                    store.postpone(uow, queued.id, at)
                    uow.after_commit(runtime.outbox.give)  # the thread has to know the time
            following = store.first_of(uow, message.process_key)
        if following is None or following[1] > runtime.clock():
            return None
        return following[0]

    def _give_up(
        self, uow: UnitOfWork, queued: QueuedMessage, outcome: Outcome, *, is_last: bool
    ) -> bool:
        """Take a refused message out, unless its handler wants another try."""
        runtime, message = self._runtime, queued.message
        log.info("message_refused", kind=message.kind.value, reason=outcome.reason)
        runtime.standing.give()  # perhaps our credential is not good any more
        refused = Refused(outcome.reason, outcome.shown, is_last, outcome.is_its_word)
        if self._handlers[message.kind].refused(uow, runtime, message, refused):
            return False
        store.remove(uow, queued)
        return True


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        return parse_message(content) if content else {}
    except MalformedMessageError:
        return {}


def _reason(status: int, answer: dict[str, Any]) -> str:
    reasons = answer.get("reason")
    said = "; ".join(str(r) for r in reasons) if isinstance(reasons, list) else ""
    return said or str(answer.get("detail") or answer.get("code") or f"HTTP {status}")
