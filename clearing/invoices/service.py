"""Reads sealed statements, registry names and billing profiles, and makes invoices of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from clearing.billing.store import profiles_of
from clearing.disputes.store import lines_of
from clearing.invoices.model import Known, invoices_of
from clearing.invoices.ubl import invoice_xml
from clearing.parties.store import find_parties
from clearing.payout.store import unpaid_sales
from clearing.settlement.store import documents, documents_of
from databank.kit.db import Database, UnitOfWork
from schemas.bank import Statement
from schemas.ids import AgreementId, ParticipantId, did_web
from schemas.invoice import Invoice, InvoiceList, Issuing
from schemas.issuer import Issuer
from schemas.problem import ConflictError, NotFoundError
from schemas.wire import Text

OPERATOR_HANDLE: Final = "operator"
FIELDS: Final = {
    "brn": Text(ko="사업자등록번호", en="business registration number"),
    "name": Text(ko="상호", en="name"),
    "representative": Text(ko="대표자", en="representative"),
    "address": Text(ko="사업장 주소", en="address"),
}


class InvoiceIncompleteError(ConflictError):
    """Somebody has not told yet what an invoice must say."""

    slug = "invoice-incomplete"
    title = Text(ko="세금계산서에 적을 내용이 빠졌습니다", en="The invoice misses something")


def invoices_in(
    database: Database, period: str, issuer: Issuer, *, issuing: Issuing
) -> InvoiceList:
    """Return the invoices of all statements of a period.

    What they are made of is read in short transactions; making them holds none open.
    """
    with database.unit_of_work() as uow:
        stored = documents(uow, period)
    statements = [Statement.model_validate_json(each.json) for each in stored]
    with database.unit_of_work() as uow:
        known = _known(uow, statements)
        operator = _operator(uow, issuer)
        unpaid = _unpaid(uow, period, statements)
        histories = _histories(uow, statements)
    made = (
        invoices_of(
            each,
            known,
            operator,
            issuing=issuing,
            unpaid=unpaid.get(each.statement_id, set()),
            history=histories.get(each.participant_id, ()),
        )
        for each in statements
    )
    return InvoiceList(period=period, invoices=tuple(each for some in made for each in some))


def _histories(
    uow: UnitOfWork, statements: Iterable[Statement]
) -> dict[ParticipantId, list[Statement]]:
    """Return all statements of those whose royalties are taken back, in the order of issue."""
    owners = {
        each.participant_id
        for each in statements
        if any(line.original_statement_id for line in each.royalties_received or ())
    }
    found = {}
    for id_ in owners:
        said = (Statement.model_validate_json(each.json) for each in documents_of(uow, id_))
        found[id_] = sorted(said, key=lambda each: (each.issued_at, each.period, each.number))
    return found


def _unpaid(
    uow: UnitOfWork, period: str, statements: Iterable[Statement]
) -> dict[str, set[AgreementId]]:
    """Return which agreements' lines of which sellers' statements buyers have not paid in full."""
    buyers = {line.counterparty_id for each in statements for line in each.sales}
    open_sales = unpaid_sales(uow, buyers)
    found: dict[str, set[AgreementId]] = {}
    if not open_sales:
        return found
    seen: dict[AgreementId, int] = {}
    for each in sorted(statements, key=lambda each: each.number):
        for line in each.sales:
            place = seen[line.agreement_id] = seen.get(line.agreement_id, 0) + 1
            booked = lines_of(uow, line.agreement_id, period)
            if booked[place - 1].entry_id in open_sales:
                found.setdefault(each.statement_id, set()).add(line.agreement_id)
    return found


def of_party(found: InvoiceList, participant_id: ParticipantId) -> InvoiceList:
    """Return those that name a participant as seller or buyer."""
    return InvoiceList(
        period=found.period,
        invoices=tuple(
            each
            for each in found.invoices
            if participant_id in {each.seller.participant_id, each.buyer.participant_id}
        ),
    )


def xml_of(found: InvoiceList, invoice_id: str) -> bytes:
    """Return an invoice as UBL.

    Raises:
        NotFoundError: It is not among them.
        InvoiceIncompleteError: Something that it must say is missing.
    """
    for invoice in found.invoices:
        if invoice.invoice_id == invoice_id:
            return invoice_xml(_complete(invoice))
    raise NotFoundError(
        ko=f"{found.period}에 세금계산서 {invoice_id}이(가) 없습니다. "
        f"GET /invoices/{found.period}로 번호를 확인하세요.",
        en=f"There is no invoice {invoice_id} in {found.period}. See GET /invoices/{found.period}.",
    )


def _complete(invoice: Invoice) -> Invoice:
    if not invoice.missing:
        return invoice
    told = [(each.participant_name, FIELDS[each.field]) for each in invoice.missing]
    raise InvoiceIncompleteError(
        ko="; ".join(f"{name}: {field.ko}" for name, field in told)
        + ". 그 회사에서 `databank billing`으로 알려야 합니다.",
        en="; ".join(f"{name}: {field.en}" for name, field in told)
        + ". That company tells it with `databank billing`.",
        missing=[each.to_json() for each in invoice.missing],
    )


def _known(uow: UnitOfWork, statements: Iterable[Statement]) -> dict[ParticipantId, Known]:
    ids = {each.participant_id for each in statements}
    ids |= {line.counterparty_id for each in statements for line in each.sold}
    ids |= {line.counterparty_id for each in statements for line in each.credits or ()}
    parties, profiles = find_parties(uow, ids), profiles_of(uow, ids)
    return {
        id_: Known(
            id_, parties[id_].handle, parties[id_].name, parties[id_].brn, profiles[id_].profile
        )
        for id_ in ids
    }


def _operator(uow: UnitOfWork, issuer: Issuer) -> Known:
    id_ = did_web(issuer.url)
    profile = profiles_of(uow, [id_])[id_].profile
    return Known(id_, OPERATOR_HANDLE, issuer.name, issuer.brn, profile)
