"""Routes about revenue share: clearing's word to us as a curator, or as a source."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from connector.management.agreements import agreed_policy
from connector.management.bank import ask_clearing, check_period, tell_clearing
from connector.runtime import Runtime, get_runtime
from databank.kit.app import AdminDep
from schemas.ids import AgreementId, DatasetId
from schemas.shares import ShownPolicy, SplitPlanRequest

router = APIRouter(prefix="/management/shares", tags=["management"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Shown = dict[str, Any]


@router.post("/plans")
def register_plan(plan: SplitPlanRequest, runtime: RuntimeDep) -> Shown:
    """Register a split plan of a product of ours (`schemas.shares.PlanView`)."""
    return tell_clearing(runtime, "/shares/plans", plan.to_json())


@router.get("/plans")
def plans(runtime: RuntimeDep, product_id: DatasetId | None = None) -> Shown:
    """Return the plans of our products, and those that owe us (`schemas.shares.PlanList`)."""
    params = {} if product_id is None else {"product_id": str(product_id)}
    return ask_clearing(runtime, "/shares/plans", params)


@router.post("/policies/{agreement_id}")
def show_policy(agreement_id: AgreementId, runtime: RuntimeDep) -> Shown:
    """Show clearing an agreement's policy, for its royalty (`schemas.shares.RoyaltyDemand`)."""
    shown = ShownPolicy(agreement_id=agreement_id, policy=agreed_policy(runtime, agreement_id))
    return tell_clearing(runtime, "/shares/policies", shown.to_json())


@router.get("/royalties")
def royalties(period: str, runtime: RuntimeDep) -> Shown:
    """Return what we get and owe of a month so far (`schemas.shares.RoyaltyList`)."""
    check_period(period)
    return ask_clearing(runtime, "/shares/royalties", {"period": period})
