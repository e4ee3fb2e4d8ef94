"""Routes for documents: a participant's own, and any for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from clearing.context import ClearingDep
from clearing.documents import service
from databank.kit.app import AdminDep, CallerDep, UowDep, get_context
from schemas.close import PERIOD
from schemas.ids import ParticipantId

router: Final = APIRouter(tags=["documents"])
PDF: Final = "application/pdf"
CSV: Final = "text/csv"
PeriodPath = Annotated[str, Path(pattern=PERIOD)]
Month = Annotated[str | None, Query(pattern=PERIOD, description="one month; without it, all")]
Number = Annotated[int | None, Query(ge=1, le=2**31)]


class PdfResponse(Response):
    """A PDF."""

    media_type = PDF


class CsvResponse(Response):
    """A CSV file, UTF-8."""

    media_type = CSV


@router.get("/statements/{period}/pdf", response_class=PdfResponse)
def get_statement_pdf(
    period: PeriodPath, caller: CallerDep, clearing: ClearingDep, number: Number = None
) -> Response:
    """The caller's statement as PDF, with a QR code that leads to its proof."""
    id_, issuer = caller.participant.id, clearing.issuer
    return PdfResponse(service.statement_document(caller.uow, period, id_, issuer, number=number))


@router.get("/passbook/csv", response_class=CsvResponse)
def get_passbook_csv(caller: CallerDep, period: Month = None) -> Response:
    """The caller's passbook as CSV."""
    return CsvResponse(service.passbook_table(caller.uow, caller.participant.id, period))


@router.get("/passbook/pdf", response_class=PdfResponse)
def get_passbook_pdf(
    request: Request, caller: CallerDep, clearing: ClearingDep, period: Month = None
) -> Response:
    """The caller's passbook as PDF."""
    now = get_context(request).clock()
    id_, issuer = caller.participant.id, clearing.issuer
    return PdfResponse(service.passbook_document(caller.uow, id_, issuer, period, now=now))


@router.get("/admin/statements/{period}/pdf", dependencies=[AdminDep], response_class=PdfResponse)
def get_any_statement_pdf(
    period: PeriodPath,
    participant_id: ParticipantId,
    uow: UowDep,
    clearing: ClearingDep,
    number: Number = None,
) -> Response:
    """A participant's statement as PDF."""
    issuer = clearing.issuer
    return PdfResponse(
        service.statement_document(uow, period, participant_id, issuer, number=number)
    )


@router.get("/admin/passbook/csv", dependencies=[AdminDep], response_class=CsvResponse)
def get_any_passbook_csv(
    participant_id: ParticipantId, uow: UowDep, period: Month = None
) -> Response:
    """A participant's passbook as CSV."""
    return CsvResponse(service.passbook_table(uow, participant_id, period))
