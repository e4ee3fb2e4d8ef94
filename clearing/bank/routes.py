"""Routes for what the bank reports, all for the operator's people."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Request

from clearing.bank import service
from databank.kit.app import AdminDep, UowDep, get_context
from schemas.payout import BankReport

router: Final = APIRouter(tags=["payouts"], dependencies=[AdminDep])
REPORT_BYTES_MAX: Final = 8 * 2**20  # some ten thousand movements
Camt = Annotated[
    bytes, Body(media_type="application/xml", description="a camt.054 or pain.002 file")
]


@router.post("/bank/reports", max_body_size=REPORT_BYTES_MAX)
def take_report(content: Camt, request: Request, uow: UowDep) -> BankReport:
    """Book what a camt.054 or pain.002 file reports; sending it again books nothing twice."""
    return service.take_report(uow, content, now=get_context(request).clock())


@router.get("/bank/unresolved")
def get_unresolved(uow: UowDep) -> BankReport:
    """Movements that fit no payment or participant: somebody must look."""
    return service.unresolved(uow)
