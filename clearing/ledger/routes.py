"""Routes about accounts: a participant's own, and the operator's view of them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from clearing.credit.service import full_balance_of
from clearing.ledger import passbook, service
from clearing.rating.rate import span_of
from databank.kit.app import AdminDep, CallerDep, UowDep, get_context
from schemas.bank import Balance, DepositRequest, DepositReversal, Passbook
from schemas.close import PERIOD
from schemas.ids import ParticipantId
from schemas.problem import NotFoundError

router: Final = APIRouter(tags=["accounts"])
Month = Annotated[str | None, Query(pattern=PERIOD)]
Limit = Annotated[int, Query(ge=1, le=passbook.LINES_MAX)]


@router.get("/balance")
def get_balance(request: Request, caller: CallerDep) -> Balance:
    """잔액: the caller's own balance."""
    now = get_context(request).clock()
    return full_balance_of(caller.uow, caller.participant.id, now=now)


@router.get("/passbook")
def get_passbook(
    caller: CallerDep, cursor: str | None = None, limit: Limit = 100, period: Month = None
) -> Passbook:
    """통장: movements of the caller's own deposit and income, all or those of a month."""
    within = None if period is None else span_of(period)
    return passbook.passbook_of(
        caller.uow, caller.participant.id, cursor=cursor, limit=limit, within=within
    )


@router.get("/admin/balance", dependencies=[AdminDep])
def get_any_balance(request: Request, participant_id: ParticipantId, uow: UowDep) -> Balance:
    """A participant's balance."""
    return full_balance_of(uow, participant_id, now=get_context(request).clock())


@router.get("/admin/passbook", dependencies=[AdminDep])
def get_any_passbook(
    participant_id: ParticipantId, uow: UowDep, cursor: str | None = None, limit: Limit = 100
) -> Passbook:
    """A participant's passbook."""
    return passbook.passbook_of(uow, participant_id, cursor=cursor, limit=limit)


@router.post("/deposits", dependencies=[AdminDep])
def book_deposit(deposit: DepositRequest, request: Request) -> Balance:
    """입금: book money that arrived."""
    context = get_context(request)
    participant = context.directory.find(deposit.participant_id)  # before the transaction opens
    if participant is None:
        raise NotFoundError(
            ko=f"등록되지 않은 참여자입니다: {deposit.participant_id}. 먼저 가입해야 합니다.",
            en=f"Not a registered participant: {deposit.participant_id}. It must join first.",
        )
    with context.database.unit_of_work() as uow:
        return service.take_deposit(uow, deposit, participant, now=context.clock())


@router.post("/deposits/reversals", dependencies=[AdminDep])
def reverse_deposit(reversal: DepositReversal, request: Request, uow: UowDep) -> Balance:
    """Take back a deposit made by mistake."""
    return service.reverse_deposit(
        uow, reversal.deposit_id, reason=reversal.reason, now=get_context(request).clock()
    )
