"""From a seller's statement to invoices: one for each buyer, and the operator's for its fee.

A statement's lines are invoiced as they stand, so Σ lines = total = what the ledger booked. The
supplier is the seller of its data: the operator only mediates, so its fee is a supply of its own,
from the operator to the supplier.
"""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from clearing.invoices.back import allot_back
from clearing.rating.rate import SEOUL
from schemas.bank import CreditLine, Statement, StatementLine
from schemas.billing import BillingProfile
from schemas.dispute import DisputeReason
from schemas.ids import AgreementId, InvalidBrnError, ParticipantId, parse_brn
from schemas.invoice import (
    LINES_MAX,
    Invoice,
    InvoiceLine,
    InvoiceParty,
    Issuing,
    MissingField,
)
from schemas.shares import EdgeRole, RoyaltyLine

TYPE_CODES: Final = {Issuing.PRINCIPAL: "0101", Issuing.AGENT: "0103"}
AMENDED_CODES: Final = {Issuing.PRINCIPAL: "0201", Issuing.AGENT: "0203"}
PAID, DUE = "01", "02"  # 영수: money came from the deposit; 청구: it is still owed
AMENDMENTS: Final = {  # 수정 사유: 02 공급가액 변동, 03 환입, 04 계약의 해제
    DisputeReason.COUNT: "02",
    DisputeReason.PRICE: "02",
    DisputeReason.QUALITY: "02",
    DisputeReason.RETURNED: "03",
    DisputeReason.CANCELLED: "04",
}
REQUIRED: Final = ("brn", "name", "representative", "address")
NAME_MAX: Final = 70
ITEM_MAX: Final = 100
ROYALTY_ITEM: Final = "2차 제작 로열티"
FEE_ITEM: Final = "데이터 거래 중개 수수료"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a party: from the registry and from its billing profile."""

    id: ParticipantId
    handle: str
    name: str
    brn: str
    profile: BillingProfile


def invoices_of(
    statement: Statement,
    known: Mapping[ParticipantId, Known],
    operator: Known,
    *,
    issuing: Issuing = Issuing.PRINCIPAL,
    unpaid: Collection[AgreementId] = (),
    history: Sequence[Statement] = (),
) -> list[Invoice]:
    """Return the invoices that a seller's statement gives rise to; lines of zero won have none.

    Credits give rise to amended ones, each of one original and one dispute; so do royalties that
    are taken back, each of one original.

    Args:
        statement: A statement; only its sales count, purchases stand in the sellers' statements.
        known: At least the seller and every counterparty of a sale.
        operator: Who takes the fee, and issues for the seller where ``issuing`` says so.
        issuing: Who issues invoices for data.
        unpaid: Of which agreements the buyer has not paid in full what the statement says.
        history: The seller's statements in the order of their issue, where royalties are taken
            back.
    """
    sold = [line for line in statement.sold if _original_of(line) is None]
    by_buyer: dict[ParticipantId, list[StatementLine | RoyaltyLine]] = defaultdict(list)
    for line in sold:
        if (line.supply_won or line.vat_won) and not _passes_through(line):
            by_buyer[line.counterparty_id].append(line)
    seller = known[statement.participant_id]
    made = [
        _invoice(
            statement,
            seller,
            known[buyer],
            [_line(statement, each, each.supply_won, each.vat_won) for each in lines],
            issuing=issuing,
            agent=operator if issuing is Issuing.AGENT else None,
            purpose=_purpose(lines, unpaid),
        )
        for buyer, lines in sorted(by_buyer.items())
    ]
    fees = [each for each in sold if each.fee_won or each.fee_vat_won]
    if fees:
        lines = [_line(statement, each, each.fee_won, each.fee_vat_won, FEE_ITEM) for each in fees]
        made.append(
            _invoice(
                statement,
                operator,
                seller,
                lines,
                issuing=Issuing.PRINCIPAL,
                agent=None,
                purpose=_purpose(fees, unpaid),
            )
        )
    return [
        *made,
        *_amended(statement, known, operator, issuing),
        *_amended_royalties(statement, history, known, operator, issuing=issuing),
    ]


def _supply(line: RoyaltyLine) -> tuple[int, int]:
    return line.supply_won, line.vat_won


def _fee(line: RoyaltyLine) -> tuple[int, int]:
    return line.fee_won, line.fee_vat_won


def _original_of(line: StatementLine | RoyaltyLine) -> str | None:
    """Return the statement whose invoice a line amends, if it takes something back."""
    return line.original_statement_id if isinstance(line, RoyaltyLine) else None


def _passes_through(line: StatementLine | RoyaltyLine) -> bool:
    """Whether the seller supplies the agent's buyers, and not the agent."""
    return isinstance(line, RoyaltyLine) and line.role is EdgeRole.AGENT


def _purpose(lines: Iterable[StatementLine | RoyaltyLine], unpaid: Collection[AgreementId]) -> str:
    """Say whether lines are paid; royalties are, from what was earned."""
    sales = (line for line in lines if isinstance(line, StatementLine))
    return DUE if any(line.agreement_id in unpaid for line in sales) else PAID


def _amended(
    statement: Statement,
    known: Mapping[ParticipantId, Known],
    operator: Known,
    issuing: Issuing,
) -> Iterable[Invoice]:
    """Give the amended drafts of a seller's credits: of the data, and of the operator's fee."""
    seller = known[statement.participant_id]
    agent = operator if issuing is Issuing.AGENT else None
    for each in statement.credits or ():
        if not each.is_sale:
            continue
        if each.supply_won or each.vat_won:
            line = _taken_back(each, each.supply_won, each.vat_won)
            buyer = known[each.counterparty_id]
            yield _credit(statement, seller, buyer, line, each, issuing=issuing, agent=agent)
        if each.fee_won or each.fee_vat_won:
            line = _taken_back(each, each.fee_won, each.fee_vat_won, FEE_ITEM)
            yield _credit(
                statement, operator, seller, line, each, issuing=Issuing.PRINCIPAL, agent=None
            )


def _amended_royalties(
    statement: Statement,
    history: Sequence[Statement],
    known: Mapping[ParticipantId, Known],
    operator: Known,
    *,
    issuing: Issuing,
) -> Iterable[Invoice]:
    """Give the amended drafts of royalties that are taken back, and of the fees on them."""
    seller = known[statement.participant_id]
    agent = operator if issuing is Issuing.AGENT else None
    day = statement.issued_at.astimezone(SEOUL).date()
    supplies: dict[tuple[str, ParticipantId], list[InvoiceLine]] = defaultdict(list)
    fees: dict[str, list[InvoiceLine]] = defaultdict(list)
    for each in statement.royalties_received or ():
        if _original_of(each) is None:
            continue
        if not _passes_through(each):
            for part in allot_back(history, statement, each, _supply):
                line = _line(statement, each, part.supply, part.vat, on=day)
                supplies[part.statement_id, each.counterparty_id].append(line)
        for part in allot_back(history, statement, each, _fee):
            line = _line(statement, each, part.supply, part.vat, FEE_ITEM, on=day)
            fees[part.statement_id].append(line)
    cause, code = f"{statement.period}-{statement.number}", AMENDMENTS[DisputeReason.PRICE]
    for (original, buyer), lines in sorted(supplies.items()):
        draft = _invoice(
            statement, seller, known[buyer], lines, issuing=issuing, agent=agent, purpose=PAID
        )
        yield _amending(draft, _id(original, seller, known[buyer]), cause, code, day)
    for original, lines in sorted(fees.items()):
        draft = _invoice(
            statement, operator, seller, lines, issuing=Issuing.PRINCIPAL, agent=None, purpose=PAID
        )
        yield _amending(draft, _id(original, operator, seller), cause, code, day)


def _taken_back(credit: CreditLine, supply: int, vat: int, item: str = "") -> InvoiceLine:
    name = f"{item}: {credit.dataset_title}" if item else credit.dataset_title
    return InvoiceLine(
        purchased_on=credit.decided_on,
        name=name[:ITEM_MAX],
        quantity=1,
        supply_won=-supply,
        vat_won=-vat,
    )


def _credit(
    statement: Statement,
    seller: Known,
    buyer: Known,
    line: InvoiceLine,
    credit: CreditLine,
    *,
    issuing: Issuing,
    agent: Known | None,
) -> Invoice:
    draft = _invoice(statement, seller, buyer, [line], issuing=issuing, agent=agent, purpose=PAID)
    original = _id(credit.original_statement_id, seller, buyer)
    code = AMENDMENTS[credit.reason]
    return _amending(draft, original, credit.dispute_id, code, credit.decided_on)


def _amending(draft: Invoice, original: str, cause: str, code: str, day: date) -> Invoice:
    """Return a draft as one that amends another; ``cause`` tells it from others that do."""
    return draft.model_copy(
        update={
            "invoice_id": f"{original}-{cause}",
            "type_code": AMENDED_CODES[draft.issuing],
            "amendment_code": code,
            "original_invoice_id": original,
            "written_on": day,
        }
    )


def _id(statement_id: str, seller: Known, buyer: Known) -> str:
    return f"{statement_id}-{seller.handle}-{buyer.handle}"


def _line(
    statement: Statement,
    line: StatementLine | RoyaltyLine,
    supply: int,
    vat: int,
    item: str = "",
    *,
    on: date | None = None,
) -> InvoiceLine:
    if isinstance(line, StatementLine):
        title, quantity = line.dataset_title, line.queries_count
    else:
        title, quantity = f"{ROYALTY_ITEM}: {line.upstream_title}", 1
    name = f"{item}: {title}" if item else title
    return InvoiceLine(
        purchased_on=on or last_day(statement.period),
        name=name[:ITEM_MAX],
        quantity=max(1, quantity),
        supply_won=supply,
        vat_won=vat,
    )


def last_day(period: str) -> date:
    """Return the day that a month's invoices are written on."""
    year, month = map(int, period.split("-"))
    return date(year, month, monthrange(year, month)[1])


def _invoice(
    statement: Statement,
    seller: Known,
    buyer: Known,
    lines: Sequence[InvoiceLine],
    *,
    issuing: Issuing,
    agent: Known | None,
    purpose: str,
) -> Invoice:
    supply, vat = sum(each.supply_won for each in lines), sum(each.vat_won for each in lines)
    parties = [seller, buyer, *([agent] if agent else [])]
    return Invoice(
        invoice_id=_id(statement.statement_id, seller, buyer),
        statement_id=statement.statement_id,
        type_code=TYPE_CODES[issuing],
        purpose_code=purpose,
        issuing=issuing,
        written_on=last_day(statement.period),
        period=statement.period,
        seller=_party(seller),
        buyer=_party(buyer),
        agent=None if agent is None else _party(agent),
        lines=tuple(_at_most(lines)),
        supply_won=supply,
        vat_won=vat,
        total_won=supply + vat,
        missing=tuple(_missing(parties)),
    )


def _at_most(lines: Sequence[InvoiceLine]) -> Sequence[InvoiceLine]:
    """Put what does not fit into a last line; the sums stay."""
    if len(lines) <= LINES_MAX:
        return lines
    kept, rest = lines[: LINES_MAX - 1], lines[LINES_MAX - 1 :]
    last = InvoiceLine(
        purchased_on=rest[0].purchased_on,
        name=f"그 밖의 데이터셋 {len(rest)}건",
        quantity=sum(each.quantity for each in rest),
        supply_won=sum(each.supply_won for each in rest),
        vat_won=sum(each.vat_won for each in rest),
    )
    return [*kept, last]


def _party(known: Known) -> InvoiceParty:
    profile = known.profile
    return InvoiceParty(
        participant_id=known.id,
        brn=known.brn,
        name=known.name[:NAME_MAX],
        representative=profile.representative,
        address=profile.address,
        business_type=profile.business_type,
        business_item=profile.business_item,
        email=profile.email,
    )


def _missing(parties: Iterable[Known]) -> Iterable[MissingField]:
    for known in parties:
        party = _party(known)
        for name in REQUIRED:
            if not getattr(party, name) or (name == "brn" and not _is_brn(party.brn)):
                yield MissingField(participant_id=known.id, participant_name=known.name, field=name)


def _is_brn(digits: str) -> bool:
    try:
        return parse_brn(digits) == digits
    except InvalidBrnError:
        return False
