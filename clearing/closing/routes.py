"""Routes of the close: do it, rehearse it, see how far it is."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request

from clearing.closing import service
from clearing.context import ClearingDep
from clearing.settlement.service import all_of
from databank.kit.app import AdminDep, UowDep, get_context
from schemas.bank import StatementList
from schemas.close import PERIOD, CloseReport

router: Final = APIRouter(tags=["settlement"])
PeriodPath = Annotated[str, Path(pattern=PERIOD)]
TransactionsMax = Annotated[
    int | None,
    Query(ge=1, le=1000, description="stop after so many transactions, to show progress"),
]


@router.post("/periods/{period}/close", dependencies=[AdminDep])
def close_period(
    period: PeriodPath,
    request: Request,
    clearing: ClearingDep,
    *,
    dry_run: bool = False,
    transactions_max: TransactionsMax = None,
) -> CloseReport:
    """마감: do what is left of a period's close, or with `dry_run` say what that would be."""
    context = get_context(request)
    rules = service.Rules(clearing.silence, clearing.dispute_terms)
    if dry_run:
        return service.rehearse(context.database, period, now=context.clock(), rules=rules)
    return service.close(
        context.database,
        period,
        clearing.log,
        clock=context.clock,
        rules=rules,
        transactions_max=transactions_max,
    )


@router.get("/periods/{period}/close", dependencies=[AdminDep])
def get_close(period: PeriodPath, request: Request, uow: UowDep) -> CloseReport:
    """How far the close of a period is."""
    return service.report_of(uow, period, now=get_context(request).clock())


@router.post(
    "/periods/{period}/statements", dependencies=[AdminDep], response_model_exclude_none=True
)
def issue_statements(
    period: PeriodPath, request: Request, uow: UowDep, clearing: ClearingDep
) -> StatementList:
    """Begin the close: issue statements for what none of this month has said yet; return all."""
    service.state(uow, period, clearing.log, now=get_context(request).clock())
    return all_of(uow, period)
