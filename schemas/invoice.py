"""전자세금계산서 초안: what an e-tax invoice of a pair and a statement must say, in whole won.

Fields follow KEC XML 3.0. The 24-digit approval number is given by the ASP that signs and sends;
this is the draft that it is made from.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.ids import ParticipantId
from schemas.money import Won
from schemas.wire import OwnWire

LINES_MAX: Final = 99  # 전자세금계산서 품목은 99개까지


class Issuing(StrEnum):
    """Who issues: the seller itself, or the operator in the seller's name (위수탁)."""

    PRINCIPAL = "principal"
    AGENT = "agent"


class InvoiceParty(OwnWire):
    """공급자, 공급받는자 or 수탁자."""

    participant_id: ParticipantId
    brn: str
    name: str = Field(max_length=70)
    representative: str
    address: str
    business_type: str
    business_item: str
    email: str | None = None


class InvoiceLine(OwnWire):
    """품목."""

    purchased_on: date
    name: str = Field(max_length=100)
    quantity: int  # queries and reads
    supply_won: Won
    vat_won: Won


class MissingField(OwnWire):
    """What somebody must still tell before the invoice can be issued."""

    participant_id: ParticipantId
    participant_name: str
    field: str


class Invoice(OwnWire):
    """One draft: a seller and a buyer, from one statement of the seller.

    An amended one (수정세금계산서) names why and the draft that it amends, and its amounts are
    negative: they are taken off that one.
    """

    invoice_id: str
    statement_id: str
    type_code: str = Field(pattern=r"^0[1-4]0[1-5]$")  # 0101 일반, 0103 위수탁; 02.. 수정
    purpose_code: str = Field(pattern=r"^0[12]$")  # 01 영수 (paid), 02 청구 (due)
    amendment_code: str | None = Field(default=None, pattern=r"^0[1-6]$")  # 수정 사유
    original_invoice_id: str | None = None
    issuing: Issuing
    written_on: date  # 작성일자
    period: str
    seller: InvoiceParty
    buyer: InvoiceParty
    agent: InvoiceParty | None = None
    lines: tuple[InvoiceLine, ...]
    supply_won: Won  # ChargeTotalAmount
    vat_won: Won  # TaxTotalAmount
    total_won: Won  # GrandTotalAmount
    missing: tuple[MissingField, ...] = ()


class InvoiceList(OwnWire):
    """Drafts of a period; those with ``missing`` cannot be issued yet."""

    period: str
    invoices: tuple[Invoice, ...]
