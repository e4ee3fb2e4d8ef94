"""Routes for fees of payments that came back, all for the operator's people."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request

from clearing.context import ClearingDep
from clearing.returns import service
from databank.kit.app import AdminDep, UowDep, get_context
from schemas.payout import FeeDecision, PayoutView

router: Final = APIRouter(tags=["payouts"], dependencies=[AdminDep])
PaymentPath = Annotated[str, Path(max_length=35)]


@router.post("/payments/{end_to_end_id}/fee-decisions")
def decide_fee(
    end_to_end_id: PaymentPath,
    told: FeeDecision,
    request: Request,
    uow: UowDep,
    clearing: ClearingDep,
) -> PayoutView:
    """Say who bears the fee of a payment that came back; two officers who agree decide it."""
    now = get_context(request).clock()
    return service.decide(uow, end_to_end_id, told, clearing.officers, now=now)
