"""Routes for documents: a participant's own, and any for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from clearing.context import Clearing, ClearingDep
from clearing.documents import service
from databank.kit.app import AdminDep, ParticipantDep, get_context
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
    period: PeriodPath,
    caller: ParticipantDep,
    request: Request,
    clearing: ClearingDep,
    number: Number = None,
) -> Response:
    """The caller's statement as PDF, with a QR code that leads to its proof."""
    return _statement(request, clearing, period, caller.id, number)


@router.get("/passbook/csv", response_class=CsvResponse)
def get_passbook_csv(
    caller: ParticipantDep, request: Request, clearing: ClearingDep, period: Month = None
) -> Response:
    """The caller's passbook as CSV."""
    return _table(request, clearing, caller.id, period)


@router.get("/passbook/pdf", response_class=PdfResponse)
def get_passbook_pdf(
    request: Request, caller: ParticipantDep, clearing: ClearingDep, period: Month = None
) -> Response:
    """The caller's passbook as PDF."""
    context, issuer = get_context(request), clearing.issuer
    with clearing.press.turn():
        return PdfResponse(
            service.passbook_document(
                context.database, caller.id, issuer, period, now=context.clock()
            )
        )


@router.get("/admin/statements/{period}/pdf", dependencies=[AdminDep], response_class=PdfResponse)
def get_any_statement_pdf(
    period: PeriodPath,
    participant_id: ParticipantId,
    request: Request,
    clearing: ClearingDep,
    number: Number = None,
) -> Response:
    """A participant's statement as PDF."""
    return _statement(request, clearing, period, participant_id, number)


@router.get("/admin/passbook/csv", dependencies=[AdminDep], response_class=CsvResponse)
def get_any_passbook_csv(
    participant_id: ParticipantId, request: Request, clearing: ClearingDep, period: Month = None
) -> Response:
    """A participant's passbook as CSV."""
    return _table(request, clearing, participant_id, period)


def _statement(
    request: Request,
    clearing: Clearing,
    period: str,
    participant_id: ParticipantId,
    number: int | None,
) -> Response:
    database, issuer = get_context(request).database, clearing.issuer
    with clearing.press.turn():
        return PdfResponse(
            service.statement_document(database, period, participant_id, issuer, number=number)
        )


def _table(
    request: Request, clearing: Clearing, participant_id: ParticipantId, period: str | None
) -> Response:
    with clearing.press.turn():
        return CsvResponse(
            service.passbook_table(get_context(request).database, participant_id, period)
        )
