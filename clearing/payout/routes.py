"""Routes for payouts, all for the operator's people."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from clearing.context import ClearingDep
from clearing.payout import service
from databank.kit.app import AdminDep, UowDep, get_context
from schemas.payout import ApprovalRequest, DraftRequest, PayoutList, PayoutView, VoidRequest

router: Final = APIRouter(tags=["payouts"], dependencies=[AdminDep])
PayoutPath = Annotated[str, Path(max_length=35)]


class PainResponse(Response):
    """A pain.001 file."""

    media_type = "application/xml"


@router.post("/payouts")
def draft_payout(
    request: Request, uow: UowDep, clearing: ClearingDep, told: DraftRequest | None = None
) -> PayoutView:
    """Make a payout file of all that may be paid now; it waits for two approvals."""
    return service.draft(
        uow,
        clearing.issuer,
        now=get_context(request).clock(),
        account_wait=clearing.account_wait,
        exclude=told.exclude if told else (),
        again=told.again if told else (),
    )


@router.get("/payouts")
def get_payouts(uow: UowDep) -> PayoutList:
    """All payouts."""
    return service.all_payouts(uow)


@router.get("/payouts/{payout_id}")
def get_payout(payout_id: PayoutPath, uow: UowDep) -> PayoutView:
    """One payout, with where each payment stands."""
    return service.one_payout(uow, payout_id)


@router.get("/payouts/{payout_id}/file", response_class=PainResponse)
def get_payout_file(payout_id: PayoutPath, uow: UowDep) -> Response:
    """The pain.001 file, the bytes that officers approve and the bank is given."""
    return PainResponse(service.file_of(uow, payout_id))


@router.post("/payouts/{payout_id}/approvals")
def approve_payout(
    payout_id: PayoutPath,
    approval: ApprovalRequest,
    request: Request,
    uow: UowDep,
    clearing: ClearingDep,
) -> PayoutView:
    """Approve a payout; the second officer's approval books it, or finds it void."""
    now = get_context(request).clock()
    return service.approve(uow, payout_id, approval, clearing.officers, now=now)


@router.post("/payouts/{payout_id}/void")
def void_payout(
    payout_id: PayoutPath, told: VoidRequest, request: Request, uow: UowDep
) -> PayoutView:
    """Take a payout back before its second approval."""
    return service.void(uow, payout_id, told.reason, now=get_context(request).clock())
