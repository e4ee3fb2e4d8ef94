"""Routes of revenue share: a participant's plans and royalties, and all for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

from clearing.context import ClearingDep
from clearing.shares import service
from databank.kit.app import AdminDep, CallerDep, UowDep, get_context
from schemas.ids import DatasetId
from schemas.shares import (
    PERIOD,
    PlanList,
    PlanView,
    RoyaltyDemand,
    RoyaltyList,
    ShownPolicy,
    SplitPlanRequest,
)

router: Final = APIRouter(tags=["shares"])
PeriodQuery = Annotated[str, Query(pattern=PERIOD)]
PlanPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.post("/shares/plans")
def register_plan(
    told: SplitPlanRequest, request: Request, caller: CallerDep, clearing: ClearingDep
) -> PlanView:
    """분배 계획 등록: what the caller's product owes its sources, from a month on."""
    terms = service.Terms(clearing.fee_bps, clearing.royalty_fee_bps)
    now = get_context(request).clock()
    return service.register(caller.uow, told, caller.participant, clearing.log, terms, now=now)


@router.get("/shares/plans")
def get_plans(caller: CallerDep, product_id: DatasetId | None = None) -> PlanList:
    """Plans of the caller's products, and of those that owe the caller something."""
    return service.plans_for(caller.uow, caller.participant.id, product_id=product_id)


@router.get("/shares/plans/{plan_sha256}")
def get_plan(plan_sha256: PlanPath, caller: CallerDep) -> PlanView:
    """One of them."""
    return service.plan_for(caller.uow, plan_sha256, caller.participant.id)


@router.post("/shares/policies")
def show_policy(shown: ShownPolicy, request: Request, caller: CallerDep) -> RoyaltyDemand:
    """Show an agreement's policy, so that no plan may give less than it asks for."""
    now = get_context(request).clock()
    return service.show_policy(caller.uow, shown, caller.participant.id, now=now)


@router.get("/shares/royalties")
def get_royalties(period: PeriodQuery, caller: CallerDep) -> RoyaltyList:
    """로열티: what the caller gets and owes of a month so far."""
    return service.royalties_in(caller.uow, period, party_id=caller.participant.id)


@router.get("/admin/shares/plans", dependencies=[AdminDep])
def get_all_plans(uow: UowDep) -> PlanList:
    """All plans, whole."""
    return service.all_plans(uow)


@router.get("/admin/shares/royalties", dependencies=[AdminDep])
def get_all_royalties(period: PeriodQuery, uow: UowDep) -> RoyaltyList:
    """All royalties of a month."""
    return service.royalties_in(uow, period)
