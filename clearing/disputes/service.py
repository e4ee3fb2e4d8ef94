"""Opening disputes, adding to them, and ending them; each move is a sealed leaf of the log.

A transaction that adds a move locks the dispute first, then, where it ends one, the period, then
accounts, and the log last. Who opens one holds the period's lock and locks no dispute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from clearing.agreements.model import Agreement
from clearing.agreements.service import look_up
from clearing.agreements.store import find_agreements
from clearing.attestation.service import Compared
from clearing.disputes import money, store
from clearing.disputes.model import Dispute, Fault, Terms, claim_of, fault_of
from clearing.disputes.refusals import (
    FAULTS,
    MOVES_MAX,
    DisputeStateError,
    check_openings,
    nothing_left,
)
from clearing.log.quorum import NotWitnessedError
from clearing.log.service import Log, LogBrokenError
from clearing.settlement.store import lock_period
from databank.kit.db import Database, UnitOfWork
from schemas.dispute import (
    OPERATOR,
    DisputeList,
    DisputeMove,
    DisputeReason,
    DisputeStatus,
    DisputeView,
    EvidenceRequest,
    MoveKind,
    OpenRequest,
    SealedMove,
)
from schemas.ids import AgreementId, ParticipantId
from schemas.money import MICRO_PER_WON
from schemas.problem import NotFoundError
from schemas.seal import SealKind

logger = structlog.get_logger()
HELD: Final = (
    "마감 때 양쪽이 서명한 수량이 달라 차이를 보류했습니다. "
    "(Both sides signed, and differ: the difference is held at the close.)"
)
EXPIRED: Final = (
    "기한까지 판정이 없어, 양쪽이 모두 서명한 만큼만 청구됩니다. "
    "(Nobody decided in time: what both sides have signed stands.)"
)


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody does: its kind, words, amount and files."""

    kind: MoveKind
    by: str
    text: str = ""
    amount_won: int | None = None
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An agreement's month that is to be contested, with both sides' counts of it."""

    agreement: Agreement
    period: str
    counts: Compared

    @property
    def difference_won(self) -> int:
        """By how much the counts differ, in whole won of supply."""
        return self.counts.difference_micro // MICRO_PER_WON


def open_dispute(
    uow: UnitOfWork,
    found: Found,
    request: OpenRequest,
    by: ParticipantId,
    log: Log,
    *,
    terms: Terms,
    now: datetime,
) -> DisputeView:
    """Open a dispute by one of the parties, and keep back what it is about.

    Opening the same again, while it runs, returns what was opened.

    Raises:
        NothingToDisputeError: No statement says the month yet, all of it was contested, or this
            side has contested it as often as it may.
        DisputeStateError: This side runs another dispute about this month.
    """
    lock_period(uow, request.period)
    record = found.agreement.record
    about = store.disputes_about(uow, record.agreement_id, request.period)
    for other in about:
        if other.is_running and other.opened_by == by:
            if _is_same(other, request):
                return view_of(uow, other)
            raise DisputeStateError(
                ko=f"이 달에 연 분쟁 {other.id}이(가) 진행 중입니다. 거기에 증거를 더하거나 "
                "무른 뒤 다시 여세요.",
                en=f"Your dispute {other.id} about this month is running. Add evidence there, or "
                "withdraw it first.",
                dispute_id=other.id,
            )
    check_openings(about, by)
    lines = store.lines_of(uow, record.agreement_id, request.period)
    stated = sum(each.line.amounts.supply for each in lines)
    contested = sum(e.claimed_won for e in about if e.status is not DisputeStatus.WITHDRAWN)
    claim = claim_of(
        request.reason,
        wanted=request.amount_won,
        remaining=stated - contested,
        difference=found.difference_won,
    )
    if not lines or claim < (request.amount_won or 1):
        raise nothing_left(
            request,
            is_stated=bool(lines),
            remaining=stated - contested,
            difference=found.difference_won,
        )
    opening = Said(MoveKind.OPENED, by, request.text, claim, request.files or None)
    dispute = _new(found, request.reason, claim, opening, terms, number=len(about) + 1, now=now)
    _put(uow, [dispute], log, now=now)
    return view_of(uow, dispute)


def _is_same(dispute: Dispute, request: OpenRequest) -> bool:
    opening = dispute.moves[0]
    same = (opening.reason, opening.text, opening.files or ())
    return same == (request.reason, request.text, request.files) and request.amount_won in (
        None,
        dispute.claimed_won,
    )


def _new(
    found: Found,
    reason: DisputeReason,
    claim: int,
    opening: Said,
    terms: Terms,
    *,
    number: int,
    now: datetime,
) -> Dispute:
    record = found.agreement.record
    cause = f"{record.agreement_id}\x1f{found.period}\x1f{number}"
    id_ = f"D{hashlib.sha256(cause.encode()).hexdigest()[:16]}"
    evidence_until = now + terms.evidence
    move = DisputeMove(
        dispute_id=id_,
        number=1,
        kind=MoveKind.OPENED,
        by=opening.by,
        at=now,
        agreement_id=record.agreement_id,
        period=found.period,
        text=opening.text,
        amount_won=claim,
        reason=reason,
        comparison=found.counts.comparison,
        difference_won=found.difference_won,
        files=opening.files,
    )
    return Dispute(
        id=id_,
        agreement_id=record.agreement_id,
        provider_id=record.provider_id,
        consumer_id=record.consumer_id,
        period=found.period,
        reason=reason,
        claimed_won=claim,
        difference_won=found.difference_won,
        opened_at=now,
        evidence_until=evidence_until,
        ends_at=evidence_until + terms.decision,
        moves=(move,),
    )


def _put(uow: UnitOfWork, opened: Sequence[Dispute], log: Log, *, now: datetime) -> None:
    money.hold_all(uow, opened, now=now)
    for dispute in opened:
        store.add_dispute(uow, dispute)
        _seal(uow, dispute.moves[0], log, is_end=False)


def _seal(uow: UnitOfWork, move: DisputeMove, log: Log, *, is_end: bool) -> None:
    seal = log.seal(uow, SealKind.DISPUTE, move.subject, move.sha256)
    store.add_move(uow, SealedMove(move=move, seal=seal), is_end=is_end)


def plan_holds(
    uow: UnitOfWork, found: Sequence[Found], terms: Terms, *, now: datetime
) -> list[Dispute]:
    """Return the disputes that hold what both sides have signed differently, and nobody held yet.

    Args:
        uow: The transaction.
        found: Agreements' months, each with both counts.
        terms: How long they last.
        now: The time.
    """
    planned = []
    for each in found:
        id_ = each.agreement.record.agreement_id
        about = store.disputes_about(uow, id_, each.period)
        lines = store.lines_of(uow, id_, each.period)
        contested = sum(e.claimed_won for e in about if e.status is not DisputeStatus.WITHDRAWN)
        counted = sum(e.claimed_won for e in about if e.reason is DisputeReason.COUNT)
        claim = claim_of(
            DisputeReason.COUNT,
            wanted=None,
            remaining=sum(line.line.amounts.supply for line in lines) - contested,
            difference=each.difference_won - counted,
        )
        if claim > 0:
            opening, number = Said(MoveKind.OPENED, OPERATOR, HELD), len(about) + 1
            reason = DisputeReason.COUNT
            planned.append(_new(each, reason, claim, opening, terms, number=number, now=now))
    return planned


def hold(uow: UnitOfWork, planned: Sequence[Dispute], log: Log, *, now: datetime) -> None:
    """Open disputes that a close has planned, in the same transaction."""
    _put(uow, planned, log, now=now)


def rehearse(uow: UnitOfWork, planned: Sequence[Dispute], *, now: datetime) -> None:
    """Open disputes without a seal, in a transaction that is rolled back."""
    money.hold_all(uow, planned, now=now)
    for dispute in planned:
        store.add_dispute(uow, dispute)
        store.add_move(uow, SealedMove(move=dispute.moves[0], seal=""), is_end=False)


def add_evidence(
    uow: UnitOfWork,
    dispute_id: str,
    party: ParticipantId,
    request: EvidenceRequest,
    log: Log,
    *,
    now: datetime,
) -> DisputeView:
    """Add evidence of one side; the same again changes nothing.

    Raises:
        NotFoundError: The caller has no such dispute.
        DisputeStateError: It has ended, or the time for evidence is over.
    """
    dispute = _locked(uow, dispute_id, party)
    files = request.files or None
    for move in dispute.moves:
        if (move.by, move.text, move.files) == (party, request.text, files):
            return view_of(uow, dispute)
    return _add(uow, dispute, Said(MoveKind.EVIDENCE, party, request.text, None, files), log, now)


def move(
    uow: UnitOfWork,
    dispute_id: str,
    said: Said,
    log: Log,
    *,
    now: datetime,
) -> DisputeView:
    """Propose, agree to the other side's proposal, withdraw, or decide.

    Raises:
        NotFoundError: The caller has no such dispute.
        DisputeStateError: The dispute does not allow it.
    """
    party = None if said.by == OPERATOR else ParticipantId(said.by)
    dispute = _locked(uow, dispute_id, party)
    last = dispute.moves[-1]
    same = (last.kind, last.by, last.text, last.amount_won or 0)
    if same == (said.kind, said.by, said.text, said.amount_won or 0):
        return view_of(uow, dispute)
    return _add(uow, dispute, said, log, now)


def expire(database: Database, log: Log, *, now: datetime) -> int:
    """End the disputes whose time is over, each in a transaction of its own; return how many.

    One that cannot be ended stays as it is and is logged with why; the others end. It is tried
    again whenever somebody looks.

    Raises:
        LogBrokenError: The log takes nothing, so no dispute can end.
        NotWitnessedError: The same, for want of witnesses.
    """
    with database.unit_of_work() as uow:
        ids = store.overdue(uow, now)
    ended = 0
    for id_ in ids:
        try:
            with database.unit_of_work() as uow:
                dispute = _locked(uow, id_, None)
                if dispute.is_running:
                    _add(uow, dispute, Said(MoveKind.EXPIRED, OPERATOR, EXPIRED), log, now)
                    ended += 1
        except (LogBrokenError, NotWitnessedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this dispute's alone
            logger.warning("dispute_not_ended", dispute_id=id_, why=repr(error))
    return ended


_ENDING: Final = (MoveKind.SETTLED, MoveKind.DECIDED, MoveKind.EXPIRED, MoveKind.WITHDRAWN)


def _add(uow: UnitOfWork, dispute: Dispute, said: Said, log: Log, now: datetime) -> DisputeView:
    log.check_addable()
    fault = fault_of(dispute, said.kind, said.by, amount=said.amount_won or 0, now=now)
    if fault is None and said.kind not in _ENDING:
        if sum(move.by == said.by for move in dispute.moves) >= MOVES_MAX:
            fault = Fault.TOO_MUCH
    if fault is not None:
        ko, en = FAULTS[fault]
        raise DisputeStateError(
            ko=f"분쟁 {dispute.id} ({dispute.status}): {ko}. databank dispute show로 확인하세요.",
            en=f"Dispute {dispute.id} ({dispute.status}): {en}. See databank dispute show.",
            dispute_status=dispute.status.value,
        )
    amount, parts = said.amount_won, None
    if is_end := said.kind in _ENDING:
        amount = _refund_of(dispute, said)
        lock_period(uow, dispute.period)  # others about it may end now, and take the same won back
        parts = money.end(uow, dispute, amount, now=now)
    added = DisputeMove(
        dispute_id=dispute.id,
        number=len(dispute.moves) + 1,
        kind=said.kind,
        by=said.by,
        at=now,
        agreement_id=dispute.agreement_id,
        period=dispute.period,
        text=said.text,
        amount_won=amount,
        reason=dispute.reason if is_end else None,
        files=said.files,
        parts=parts,
    )
    _seal(uow, added, log, is_end=is_end)
    return view_of(uow, replace(dispute, moves=(*dispute.moves, added)))


def _refund_of(dispute: Dispute, said: Said) -> int:
    if said.kind is MoveKind.WITHDRAWN:
        return 0
    return dispute.refund_at_expiry if said.kind is MoveKind.EXPIRED else said.amount_won or 0


def _locked(uow: UnitOfWork, dispute_id: str, party: ParticipantId | None) -> Dispute:
    dispute = store.find_dispute(uow, dispute_id, lock=True)
    return _visible(dispute, dispute_id, party)


def _visible(dispute: Dispute | None, dispute_id: str, party: ParticipantId | None) -> Dispute:
    if dispute is None or party not in (None, dispute.provider_id, dispute.consumer_id):
        raise NotFoundError(
            ko=f"분쟁 {dispute_id}을(를) 찾을 수 없습니다. databank dispute list로 확인하세요.",
            en=f"There is no dispute {dispute_id} of yours. See databank dispute list.",
        )
    return dispute


def one_dispute(uow: UnitOfWork, dispute_id: str, party: ParticipantId | None) -> DisputeView:
    """Return a dispute to one of its parties, or (None) to the operator.

    Raises:
        NotFoundError: The caller has no such dispute.
    """
    return view_of(uow, _visible(store.find_dispute(uow, dispute_id), dispute_id, party))


def all_disputes(uow: UnitOfWork, party: ParticipantId | None) -> DisputeList:
    """Return a party's disputes, or (None) everybody's; the newest first."""
    found = store.disputes(uow, party=party)
    return DisputeList(disputes=tuple(view_of(uow, each) for each in found))


def agreement_of(uow: UnitOfWork, agreement_id: AgreementId, party: ParticipantId) -> Agreement:
    """Return an agreement to one of its parties.

    Raises:
        NotFoundError: There is none that this party takes part in.
    """
    return look_up(uow, agreement_id, party)


def view_of(uow: UnitOfWork, dispute: Dispute) -> DisputeView:
    """Return all of a dispute."""
    agreement = find_agreements(uow, [dispute.agreement_id])[dispute.agreement_id]
    return DisputeView(
        dispute_id=dispute.id,
        agreement_id=dispute.agreement_id,
        dataset_title=agreement.record.dataset_title,
        provider_id=dispute.provider_id,
        consumer_id=dispute.consumer_id,
        period=dispute.period,
        reason=dispute.reason,
        status=dispute.status,
        opened_by=dispute.opened_by,
        opened_at=dispute.opened_at,
        evidence_until=dispute.evidence_until,
        ends_at=dispute.ends_at,
        claimed_won=dispute.claimed_won,
        held_won=money.held_won(uow, dispute),
        refunded_won=dispute.refunded_won,
        moves=tuple(store.moves_of(uow, dispute.id)),
    )
