"""Routes for invoices: a participant's own, and all for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from clearing.context import Clearing, ClearingDep
from clearing.invoices import service
from databank.kit.app import AdminDep, ParticipantDep, get_context
from schemas.close import PERIOD
from schemas.invoice import InvoiceList

router: Final = APIRouter(tags=["invoices"])
PeriodPath = Annotated[str, Path(pattern=PERIOD)]
InvoicePath = Annotated[str, Path(max_length=300)]


class XmlResponse(Response):
    """An XML document."""

    media_type = "application/xml"


@router.get("/invoices/{period}")
def get_invoices(
    period: PeriodPath, caller: ParticipantDep, request: Request, clearing: ClearingDep
) -> InvoiceList:
    """전자세금계산서 초안: the caller's, as seller and as buyer."""
    return service.of_party(_made(request, clearing, period), caller.id)


@router.get("/invoices/{period}/{invoice_id}/ubl", response_class=XmlResponse)
def get_invoice_ubl(
    period: PeriodPath,
    invoice_id: InvoicePath,
    caller: ParticipantDep,
    request: Request,
    clearing: ClearingDep,
) -> Response:
    """One of the caller's invoices as UBL 2.1."""
    found = service.of_party(_made(request, clearing, period), caller.id)
    return XmlResponse(service.xml_of(found, invoice_id))


@router.get("/admin/invoices/{period}", dependencies=[AdminDep])
def get_all_invoices(period: PeriodPath, request: Request, clearing: ClearingDep) -> InvoiceList:
    """All invoice drafts of a period, for the ASP that signs and sends them."""
    return _made(request, clearing, period)


@router.get(
    "/admin/invoices/{period}/{invoice_id}/ubl", dependencies=[AdminDep], response_class=XmlResponse
)
def get_any_invoice_ubl(
    period: PeriodPath, invoice_id: InvoicePath, request: Request, clearing: ClearingDep
) -> Response:
    """Any invoice as UBL 2.1."""
    return XmlResponse(service.xml_of(_made(request, clearing, period), invoice_id))


def _made(request: Request, clearing: Clearing, period: str) -> InvoiceList:
    database, issuing = get_context(request).database, clearing.invoice_issuing
    with clearing.press.turn():
        return service.invoices_in(database, period, clearing.issuer, issuing=issuing)
