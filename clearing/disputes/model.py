"""Who may do what in a dispute, and when. Pure.

``open`` and ``evidence`` run; the other statuses are final. Both sides add evidence until
``evidence_until``. The operator decides once both sides were heard, that is when each has spoken
or that time is over, and before ``ends_at``. Then it is too late for everybody, and what both
sides have signed stands: the part of the claim by which their counts differ is refunded, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from schemas.dispute import (
    OPERATOR,
    DisputeMove,
    DisputeReason,
    DisputeStatus,
    MoveKind,
)
from schemas.ids import AgreementId, ParticipantId

RUNNING: Final = frozenset({DisputeStatus.OPEN, DisputeStatus.EVIDENCE})
_ENDS: Final = {
    MoveKind.SETTLED: DisputeStatus.SETTLED,
    MoveKind.DECIDED: DisputeStatus.DECIDED,
    MoveKind.EXPIRED: DisputeStatus.EXPIRED,
    MoveKind.WITHDRAWN: DisputeStatus.WITHDRAWN,
}


class Fault(Enum):
    """Why a move is refused, in order of precedence."""

    ENDED = auto()
    TOO_LATE = auto()
    TOO_EARLY = auto()
    NOT_YOURS = auto()
    NOTHING_PROPOSED = auto()
    OTHER_AMOUNT = auto()
    MORE_THAN_CLAIMED = auto()
    TOO_MUCH = auto()


@dataclass(frozen=True, slots=True)
class Terms:
    """How long the parts of a dispute last."""

    evidence: timedelta = timedelta(days=10)
    decision: timedelta = timedelta(days=20)  # after the evidence

    @classmethod
    def of_days(cls, evidence: float, decision: float) -> Terms:
        """Return terms of so many days."""
        return cls(timedelta(days=evidence), timedelta(days=decision))


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute and its moves so far; the first is its opening."""

    id: str
    agreement_id: AgreementId
    provider_id: ParticipantId
    consumer_id: ParticipantId
    period: str
    reason: DisputeReason
    claimed_won: int
    difference_won: int
    opened_at: datetime
    evidence_until: datetime
    ends_at: datetime
    moves: tuple[DisputeMove, ...]

    @property
    def status(self) -> DisputeStatus:
        """Where it stands."""
        return status_of(self.moves)

    @property
    def is_running(self) -> bool:
        """Whether it may still end in one way or another."""
        return self.status in RUNNING

    @property
    def opened_by(self) -> str:
        """A participant, or ``operator`` for what a close held by itself."""
        return self.moves[0].by

    @property
    def refunded_won(self) -> int | None:
        """What was refunded of the supply, once it has ended."""
        last = self.moves[-1]
        return None if last.kind not in _ENDS else last.amount_won or 0

    @property
    def refund_at_expiry(self) -> int:
        """What is refunded if nobody decides: the smaller of each signed count stands."""
        return min(self.claimed_won, self.difference_won)

    def other_side(self, party: str) -> ParticipantId:
        """Return the other party."""
        return self.provider_id if party == self.consumer_id else self.consumer_id


def status_of(moves: Sequence[DisputeMove]) -> DisputeStatus:
    """Return where a dispute with these moves stands."""
    if (end := _ENDS.get(moves[-1].kind)) is not None:
        return end
    has_evidence = any(move.kind is MoveKind.EVIDENCE for move in moves)
    return DisputeStatus.EVIDENCE if has_evidence else DisputeStatus.OPEN


def fault_of(
    dispute: Dispute, kind: MoveKind, by: str, *, amount: int = 0, now: datetime
) -> Fault | None:
    """Return the first reason why somebody may not do something now, if there is one.

    Args:
        dispute: The dispute.
        kind: What it is about to do; not ``opened``.
        by: One of its parties, or ``operator``.
        amount: What it proposes, agrees to or decides, in won of supply.
        now: The time.
    """
    if not dispute.is_running:
        return Fault.ENDED
    if kind is MoveKind.EXPIRED:
        return None if now >= dispute.ends_at else Fault.TOO_EARLY
    ends_at = dispute.evidence_until if kind is MoveKind.EVIDENCE else dispute.ends_at
    if now >= ends_at:
        return Fault.TOO_LATE
    if kind is MoveKind.DECIDED and not was_heard(dispute, now):
        return Fault.TOO_EARLY
    if not _is_theirs(dispute, kind, by):
        return Fault.NOT_YOURS
    if kind is MoveKind.SETTLED:
        proposed = proposal_of(dispute, dispute.other_side(by))
        if proposed is None:
            return Fault.NOTHING_PROPOSED
        if proposed != amount:
            return Fault.OTHER_AMOUNT
    return Fault.MORE_THAN_CLAIMED if amount > dispute.claimed_won else None


def _is_theirs(dispute: Dispute, kind: MoveKind, by: str) -> bool:
    if kind is MoveKind.DECIDED:
        return by == OPERATOR
    if kind is MoveKind.WITHDRAWN:  # what both have signed differently is the buyer's to give up
        is_held = dispute.opened_by == OPERATOR or dispute.refund_at_expiry > 0
        return by == (dispute.consumer_id if is_held else dispute.opened_by)
    return by in (dispute.provider_id, dispute.consumer_id)


def was_heard(dispute: Dispute, now: datetime) -> bool:
    """Whether each side has spoken, or had its time to."""
    spoken = {
        move.by for move in dispute.moves if move.kind in (MoveKind.OPENED, MoveKind.EVIDENCE)
    }
    return now >= dispute.evidence_until or {dispute.provider_id, dispute.consumer_id} <= spoken


def proposal_of(dispute: Dispute, party: str) -> int | None:
    """Return what a side has proposed last."""
    found = (m for m in reversed(dispute.moves) if m.by == party and m.kind is MoveKind.PROPOSED)
    return next((move.amount_won for move in found), None)


def claim_of(reason: DisputeReason, *, wanted: int | None, remaining: int, difference: int) -> int:
    """Return what a dispute is about, in won of supply; 0 if there is nothing to contest.

    Counts are contested as far as both sides have signed and differ: what a buyer has not signed
    in time is final as the supplier metered it.

    Args:
        reason: What is contested.
        wanted: What the opener claims; None for all that may be.
        remaining: What statements say of the month, less what was contested before.
        difference: By what both signed counts differ in this month.
    """
    most = min(remaining, difference) if reason is DisputeReason.COUNT else remaining
    return max(0, most if wanted is None else min(wanted, most))
