"""Routes for invoices: a participant's own, and all for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from clearing.context import ClearingDep
from clearing.invoices import service
from databank.kit.app import AdminDep, CallerDep, UowDep
from schemas.close import PERIOD
from schemas.invoice import InvoiceList

router: Final = APIRouter(tags=["invoices"])
PeriodPath = Annotated[str, Path(pattern=PERIOD)]
InvoicePath = Annotated[str, Path(max_length=300)]


class XmlResponse(Response):
    """An XML document."""

    media_type = "application/xml"


@router.get("/invoices/{period}")
def get_invoices(period: PeriodPath, caller: CallerDep, clearing: ClearingDep) -> InvoiceList:
    """전자세금계산서 초안: the caller's, as seller and as buyer."""
    found = service.invoices_in(
        caller.uow, period, clearing.issuer, issuing=clearing.invoice_issuing
    )
    return service.of_party(found, caller.participant.id)


@router.get("/invoices/{period}/{invoice_id}/ubl", response_class=XmlResponse)
def get_invoice_ubl(
    period: PeriodPath, invoice_id: InvoicePath, caller: CallerDep, clearing: ClearingDep
) -> Response:
    """One of the caller's invoices as UBL 2.1."""
    found = service.invoices_in(
        caller.uow, period, clearing.issuer, issuing=clearing.invoice_issuing
    )
    return XmlResponse(service.xml_of(service.of_party(found, caller.participant.id), invoice_id))


@router.get("/admin/invoices/{period}", dependencies=[AdminDep])
def get_all_invoices(period: PeriodPath, uow: UowDep, clearing: ClearingDep) -> InvoiceList:
    """All invoice drafts of a period, for the ASP that signs and sends them."""
    return service.invoices_in(uow, period, clearing.issuer, issuing=clearing.invoice_issuing)


@router.get(
    "/admin/invoices/{period}/{invoice_id}/ubl", dependencies=[AdminDep], response_class=XmlResponse
)
def get_any_invoice_ubl(
    period: PeriodPath, invoice_id: InvoicePath, uow: UowDep, clearing: ClearingDep
) -> Response:
    """Any invoice as UBL 2.1."""
    found = service.invoices_in(uow, period, clearing.issuer, issuing=clearing.invoice_issuing)
    return XmlResponse(service.xml_of(found, invoice_id))
