"""Management routes for what we spend."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends

from connector.runtime import Runtime, get_runtime
from connector.spending import service
from databank.kit.app import AdminDep, UowDep
from databank.kit.routes import Router
from schemas.ids import AgreementId
from schemas.spending import Spending, SpendingLimit

router: Final = Router(prefix="/management", tags=["management"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


@router.get("/agreements/{agreement_id}/spending")
def show_spending(agreement_id: AgreementId, uow: UowDep, runtime: RuntimeDep) -> Spending:
    """Say what this month has cost so far, and the limit."""
    return service.show(uow, runtime, agreement_id)


@router.put("/agreements/{agreement_id}/spending-limit")
def set_limit(
    agreement_id: AgreementId, wish: SpendingLimit, uow: UowDep, runtime: RuntimeDep
) -> Spending:
    """Set the most that a month may cost with VAT, or lift it."""
    return service.set_limit(uow, runtime, agreement_id, wish)
