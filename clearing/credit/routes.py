"""The operator's routes for credit."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from clearing.credit import service
from databank.kit.app import AdminDep, UowDep, get_context
from schemas.bank import CreditList, CreditRequest, CreditView
from schemas.problem import NotFoundError

router: Final = APIRouter(prefix="/admin/credits", tags=["credit"], dependencies=[AdminDep])


@router.post("")
def allow_credit(wish: CreditRequest, request: Request) -> CreditView:
    """Set how far a participant may go beyond its deposit, and when that is due."""
    context = get_context(request)
    if context.directory.find(wish.participant_id) is None:  # before the transaction opens
        raise NotFoundError(
            ko=f"등록되지 않은 참여자입니다: {wish.participant_id}. 먼저 가입해야 합니다.",
            en=f"Not a registered participant: {wish.participant_id}. It must join first.",
        )
    with context.database.unit_of_work() as uow:
        return service.allow(uow, wish, now=context.clock())


@router.get("")
def list_credits(request: Request, uow: UowDep) -> CreditList:
    """Everybody's credit and how it stands, longest overdue first."""
    return service.all_views(uow, now=get_context(request).clock())
