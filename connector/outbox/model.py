"""Messages that leave the connector, and when a failed one is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

FIRST_DELAY: Final = timedelta(milliseconds=200)
DELAY_MAX: Final = timedelta(minutes=10)
NOT_FOUND: Final = 404
FINAL_STATUSES: Final = range(400, 500)
# A counterparty's own word is an error of the protocol. Anything else may come from what stands
# between, and 404 hides that we were not recognised: believed once it was said so often.
BELIEVED_AFTER: Final = 5
RETRYABLE_STATUSES: Final = frozenset({401, 408, 425, 429})  # 401: clocks or keys may catch up


class Kind(StrEnum):
    """What a message belongs to; decides who learns of its delivery."""

    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"
    FRESH_ADDRESS = "fresh-address"  # may be refused without ending its transfer process
    AGREEMENT_END = "agreement-end"  # foreign connectors have no route for it
    AGREEMENT_RECORD = "agreement-record"
    CRAWL_REQUEST = "crawl-request"


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message. Messages of one ``process_key`` leave in order, one at a time."""

    kind: Kind
    process_key: str
    url: str
    audience: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that the receiver will not take.

    ``shown`` is the state of the process that the counterparty shows now, None if it shows
    nothing; ``is_last`` whether the message was tried as often as it may be; ``is_its_word``
    whether the counterparty has said so itself: not what stands between, nor a 404, which
    hides why.
    """

    reason: str
    shown: str | None
    is_last: bool
    is_its_word: bool = True


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the outbox."""

    id: int
    message: OutgoingMessage
    attempts_count: int


def is_final(status: int, body: dict[str, Any]) -> bool:
    """Whether an error status says that trying again is useless."""
    if body.get("retryable") is True:
        return False
    return status in FINAL_STATUSES and status not in RETRYABLE_STATUSES


def is_believed(status: int, body: dict[str, Any], attempts_count: int) -> bool:
    """Whether an error status after ``attempts_count`` failures is the counterparty's last word."""
    if not is_final(status, body):
        return False
    return is_its_word(status, body) or attempts_count + 1 >= BELIEVED_AFTER


def is_its_word(status: int, body: dict[str, Any]) -> bool:
    """Whether an error is the counterparty's own: one of the protocol, and no 404."""
    return status != NOT_FOUND and str(body.get("@type", "")).endswith("Error")


def next_attempt(attempts_count: int, now: datetime) -> datetime:
    """Return when to try again after ``attempts_count`` failures: doubling, bounded."""
    doubled: timedelta = FIRST_DELAY * int(2 ** min(attempts_count, 20))
    return now + min(doubled, DELAY_MAX)
