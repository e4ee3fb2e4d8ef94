"""Routes about agreements."""

from __future__ import annotations

from typing import Final

from clearing.agreements import service
from clearing.context import ClearingDep
from databank.kit.app import CallerDep
from databank.kit.routes import Router
from schemas.bank import AgreementAnswer, AgreementRecord
from schemas.ids import AgreementId

router: Final = Router(tags=["agreements"])


@router.post("/agreements")
def tell_agreement(
    record: AgreementRecord, caller: CallerDep, clearing: ClearingDep
) -> AgreementAnswer:
    """Tell a finalized agreement; it is active when both sides did."""
    return service.confirm(
        caller.uow, record, caller.participant, clearing.log, fee_bps=clearing.fee_bps
    )


@router.get("/agreements/{agreement_id}")
def get_agreement(agreement_id: AgreementId, caller: CallerDep) -> AgreementAnswer:
    """How an agreement stands, to its parties."""
    agreement = service.look_up(caller.uow, agreement_id, caller.participant.id)
    return AgreementAnswer(agreement_id=agreement_id, status=agreement.status)
