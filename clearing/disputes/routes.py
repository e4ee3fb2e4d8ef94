"""Routes of disputes: for both parties, and for the operator who decides."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request

from clearing.attestation.service import compared
from clearing.context import Clearing, ClearingDep
from clearing.disputes import service
from clearing.disputes.service import Found, Said
from clearing.log.quorum import NotWitnessedError
from clearing.log.service import LogBrokenError
from databank.kit.app import AdminDep, ParticipantDep, get_context
from schemas.dispute import (
    OPERATOR,
    AcceptanceRequest,
    DecisionRequest,
    DisputeList,
    DisputeView,
    EvidenceRequest,
    MoveKind,
    OpenRequest,
    ProposalRequest,
    WithdrawalRequest,
)
from schemas.ids import ParticipantId

router: Final = APIRouter(tags=["disputes"])
IdPath = Annotated[str, Path(max_length=80)]


@router.post("/disputes")
def open_dispute(
    wish: OpenRequest, request: Request, caller: ParticipantDep, clearing: ClearingDep
) -> DisputeView:
    """분쟁 열기: contest a stated month of an agreement; what is contested is kept back."""
    context = get_context(request)
    now, reading = context.clock(), context.database.unit_of_work
    service.expire(context.database, clearing.log, now=now)
    with reading() as uow:
        agreement = service.agreement_of(uow, wish.agreement_id, caller.id)
    with clearing.press.turn():
        counts = compared(reading, agreement, wish.period, silence=clearing.silence, now=now)
    found = Found(agreement, wish.period, counts)
    with reading() as uow:
        return service.open_dispute(
            uow, found, wish, caller.id, clearing.log, terms=clearing.dispute_terms, now=now
        )


@router.get("/disputes")
def list_disputes(request: Request, caller: ParticipantDep, clearing: ClearingDep) -> DisputeList:
    """The caller's disputes, as supplier and as buyer."""
    return _list(request, clearing, caller.id)


@router.get("/disputes/{dispute_id}")
def get_dispute(
    dispute_id: IdPath, request: Request, caller: ParticipantDep, clearing: ClearingDep
) -> DisputeView:
    """One of the caller's disputes with all that both sides and the operator said."""
    return _show(request, clearing, dispute_id, caller.id)


@router.post("/disputes/{dispute_id}/evidence")
def add_evidence(
    dispute_id: IdPath,
    wish: EvidenceRequest,
    request: Request,
    caller: ParticipantDep,
    clearing: ClearingDep,
) -> DisputeView:
    """Add evidence, while its time runs."""
    context = get_context(request)
    now = context.clock()
    service.expire(context.database, clearing.log, now=now)
    with context.database.unit_of_work() as uow:
        return service.add_evidence(uow, dispute_id, caller.id, wish, clearing.log, now=now)


@router.post("/disputes/{dispute_id}/proposals")
def propose(
    dispute_id: IdPath,
    wish: ProposalRequest,
    request: Request,
    caller: ParticipantDep,
    clearing: ClearingDep,
) -> DisputeView:
    """Say which refund this side would agree to."""
    said = Said(MoveKind.PROPOSED, caller.id, wish.text, wish.amount_won)
    return _move(request, clearing, dispute_id, said)


@router.post("/disputes/{dispute_id}/acceptance")
def accept(
    dispute_id: IdPath,
    wish: AcceptanceRequest,
    request: Request,
    caller: ParticipantDep,
    clearing: ClearingDep,
) -> DisputeView:
    """합의 종결: agree to what the other side proposed last."""
    said = Said(MoveKind.SETTLED, caller.id, "", wish.amount_won)
    return _move(request, clearing, dispute_id, said)


@router.post("/disputes/{dispute_id}/withdrawal")
def withdraw(
    dispute_id: IdPath,
    wish: WithdrawalRequest,
    request: Request,
    caller: ParticipantDep,
    clearing: ClearingDep,
) -> DisputeView:
    """Take a dispute back, while nothing is decided."""
    said = Said(MoveKind.WITHDRAWN, caller.id, wish.text)
    return _move(request, clearing, dispute_id, said)


@router.get("/admin/disputes", dependencies=[AdminDep])
def list_all_disputes(request: Request, clearing: ClearingDep) -> DisputeList:
    """Everybody's disputes, the newest first."""
    return _list(request, clearing, None)


@router.get("/admin/disputes/{dispute_id}", dependencies=[AdminDep])
def get_any_dispute(dispute_id: IdPath, request: Request, clearing: ClearingDep) -> DisputeView:
    """Any dispute with all that was said."""
    return _show(request, clearing, dispute_id, None)


@router.post("/admin/disputes/{dispute_id}/decision", dependencies=[AdminDep])
def decide(
    dispute_id: IdPath, wish: DecisionRequest, request: Request, clearing: ClearingDep
) -> DisputeView:
    """판정: refund an amount of the supply, or none, for a written reason."""
    said = Said(MoveKind.DECIDED, OPERATOR, wish.text, wish.amount_won)
    return _move(request, clearing, dispute_id, said)


def _move(request: Request, clearing: Clearing, dispute_id: str, said: Said) -> DisputeView:
    context = get_context(request)
    now = context.clock()
    service.expire(context.database, clearing.log, now=now)
    with context.database.unit_of_work() as uow:
        return service.move(uow, dispute_id, said, clearing.log, now=now)


def _list(request: Request, clearing: Clearing, party: ParticipantId | None) -> DisputeList:
    context = get_context(request)
    _expire_if_possible(request, clearing)
    with context.database.unit_of_work() as uow:
        return service.all_disputes(uow, party)


def _show(
    request: Request, clearing: Clearing, dispute_id: str, party: ParticipantId | None
) -> DisputeView:
    context = get_context(request)
    _expire_if_possible(request, clearing)
    with context.database.unit_of_work() as uow:
        return service.one_dispute(uow, dispute_id, party)


def _expire_if_possible(request: Request, clearing: Clearing) -> None:
    """End what is over before it is shown; where the log takes nothing, it is shown as it is."""
    context = get_context(request)
    with suppress(LogBrokenError, NotWitnessedError):
        service.expire(context.database, clearing.log, now=context.clock())
