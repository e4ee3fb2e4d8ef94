"""Routes about statements and the books as a whole."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from clearing.settlement import service, store
from databank.kit.app import AdminDep, CallerDep, UowDep
from schemas.bank import PaymentList, Statement, StatementList, TrialBalance
from schemas.ids import ParticipantId

router: Final = APIRouter(tags=["settlement"])
DIGEST_HEADER: Final = "Databank-Statement-Sha256"
_PERIOD: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
PeriodPath = Annotated[str, Path(pattern=_PERIOD)]
PeriodQuery = Annotated[str, Query(pattern=_PERIOD)]
Number = Annotated[int | None, Query(ge=1, le=2**31)]


def _as_issued(document: store.Document) -> Response:
    """Send the very bytes that the hash is of."""
    return Response(
        document.json,
        media_type="application/json",
        headers={DIGEST_HEADER: document.sha256, "ETag": f'"{document.sha256}"'},
    )


@router.get("/statements/{period}", response_model=Statement)
def get_statement(period: PeriodPath, caller: CallerDep, number: Number = None) -> Response:
    """명세서: the caller's latest statement of a month, or the one with this number."""
    return _as_issued(service.document_of(caller.uow, period, caller.participant.id, number=number))


@router.get("/admin/statements/{period}", dependencies=[AdminDep], response_model_exclude_none=True)
def get_any_statements(
    period: PeriodPath, uow: UowDep, participant_id: ParticipantId | None = None
) -> StatementList:
    """All statements of a month, or those of one participant."""
    found = service.all_of(uow, period).statements
    return StatementList(
        statements=tuple(s for s in found if participant_id in (None, s.participant_id))
    )


@router.get("/admin/payments", dependencies=[AdminDep])
def get_payments(period: PeriodQuery, uow: UowDep) -> PaymentList:
    """Who paid whom in a month."""
    return service.payments_in(uow, period)


@router.get("/trial-balance", dependencies=[AdminDep])
def get_trial_balance(uow: UowDep) -> TrialBalance:
    """Both books added up."""
    return service.trial_balance(uow)
