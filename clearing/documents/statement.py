"""명세서 as PDF: every line with supply, VAT, fee and its VAT apart; totals are their sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta, timezone
from typing import Final

from clearing.documents.paper import MARGIN_MM, QR_MM, Column, Paper, Sheet
from schemas.bank import CreditLine, Statement, StatementLine
from schemas.ids import format_brn
from schemas.issuer import Issuer
from schemas.money import in_won
from schemas.proof_link import ProofLink
from schemas.shares import EdgeRole, RoyaltyLine

SEOUL: Final = timezone(timedelta(hours=9), "KST")
TITLE: Final = ("이용 명세서", "Statement of data use")
_NAMES: Final = (
    Column("데이터셋", "Dataset", 40),
    Column("상대", "Counterparty", 28),
    Column("질의", "Queries", 10, "R"),
    Column("행", "Rows", 14, "R"),
)
_ROYALTY_NAMES: Final = (
    Column("판 데이터셋", "Product sold", 30),
    Column("원천 데이터셋", "Source", 32),
    Column("상대", "Counterparty", 18),
    Column("역할", "Role", 15),
)
_ROLES: Final = {EdgeRole.PRINCIPAL: "본인 principal", EdgeRole.AGENT: "대리 agent"}
_Told = StatementLine | RoyaltyLine | CreditLine
_AMOUNTS: Final[dict[str, tuple[str, str, Callable[[_Told], int]]]] = {
    "supply": ("공급가액", "Supply", lambda line: line.supply_won),
    "vat": ("세액", "VAT 10 %", lambda line: line.vat_won),
    "fee": ("수수료", "Fee", lambda line: line.fee_won),
    "fee_vat": ("수수료 세액", "VAT on fee", lambda line: line.fee_vat_won),
    "net": ("실금액", "Net amount", lambda line: line.net_won),
}
BOUGHT: Final = ("supply", "vat", "net")
SOLD: Final = ("supply", "vat", "fee", "fee_vat", "net")


class DocumentMismatchError(AssertionError):
    """A document's totals are not the sums of its lines; it is not printed."""


def statement_pdf(document: Statement, issuer: Issuer, link: ProofLink | None) -> bytes:
    """Return a statement as PDF.

    Args:
        document: The statement, as it was issued.
        issuer: The operator.
        link: Where its seal stands; None for a statement from before there was a log.

    Raises:
        DocumentMismatchError: The lines do not add up to the totals (I13).
    """
    check_totals(document)
    name = f"{TITLE[0]} {document.statement_id}"
    paper = Paper(title=name, made_at=document.issued_at, foot=f"{issuer.name} · {name}")
    _head(paper, document, issuer, link)
    if document.purchases:
        paper.heading("매입", "Purchases", size=12)
        paper.sheet(_sheet(document.purchases, BOUGHT))
    if document.sales:
        paper.heading("매출", "Sales", size=12)
        paper.sheet(_sheet(document.sales, SOLD))
    if document.royalties_paid:
        paper.heading("낸 로열티", "Royalties paid", size=12)
        paper.sheet(_royalty_sheet(document.royalties_paid, BOUGHT))
    if document.royalties_received:
        paper.heading("받은 로열티", "Royalties received", size=12)
        paper.sheet(_royalty_sheet(document.royalties_received, SOLD))
    for is_sale, title, amounts in (
        (False, ("매입 감액", "Credits on purchases"), BOUGHT),
        (True, ("매출 감액", "Credits on sales"), SOLD),
    ):
        if taken := [each for each in document.credits or () if each.is_sale is is_sale]:
            paper.heading(*title, size=12)
            paper.sheet(_credits(taken, amounts))
    _summary(paper, document, link)
    return paper.content()


def check_totals(document: Statement) -> None:
    """Compare every total with the sum of its lines, less the credits.

    Raises:
        DocumentMismatchError: One is another.
    """
    sums = document.sums()
    wrong = {name for name, total in sums.items() if getattr(document, name) != total}
    lines: list[_Told] = [*document.bought, *document.sold, *(document.credits or ())]
    for line in lines:
        if line.net_won != line.supply_won + line.vat_won - line.fee_won - line.fee_vat_won:
            what = line.income_id if isinstance(line, RoyaltyLine) else line.agreement_id
            wrong.add(f"{what}.net_won")
    if wrong:
        raise DocumentMismatchError(f"{document.statement_id}: {sorted(wrong)}")


def _head(paper: Paper, document: Statement, issuer: Issuer, link: ProofLink | None) -> None:
    top = paper.get_y()
    if link is not None:
        paper.qr(str(link), x=paper.w - MARGIN_MM - QR_MM, y=top - 2)
    paper.heading(*TITLE)
    paper.ln(2)
    paper.facts(
        [
            ("기간", "Period", f"{document.period} · {document.number}호 (no. {document.number})"),
            ("번호", "Number", document.statement_id),
            ("발행", "Issued", f"{document.issued_at.astimezone(SEOUL):%Y-%m-%d %H:%M} KST"),
            ("받는 곳", "For", f"{document.participant_name} ({format_brn(document.brn)})"),
            ("발행처", "Issued by", f"{issuer.name} ({format_brn(issuer.brn)})"),
        ]
    )
    paper.ln(3)
    paper.set_y(max(paper.get_y(), top + QR_MM))


def _sheet(lines: Sequence[StatementLine], amounts: Sequence[str]) -> Sheet:
    shown = [_AMOUNTS[name] for name in amounts]
    return Sheet(
        columns=(*_NAMES, *(Column(ko, en, 16, "R") for ko, en, _ in shown)),
        rows=[
            (
                line.title.ko,
                line.counterparty_name,
                f"{line.queries_count:,}",
                f"{line.rows_count:,}",
                *(f"{amount(line):,}" for _, _, amount in shown),
            )
            for line in lines
        ],
        totals=(
            "합계 Total (원 KRW)",
            "",
            f"{sum(line.queries_count for line in lines):,}",
            f"{sum(line.rows_count for line in lines):,}",
            *(f"{sum(map(amount, lines)):,}" for _, _, amount in shown),
        ),
    )


def _credits(taken: Sequence[CreditLine], amounts: Sequence[str]) -> Sheet:
    """Show what is taken back, with a minus; each line names the statement that said it."""
    shown = [_AMOUNTS[name] for name in amounts]
    return Sheet(
        columns=(
            Column("데이터셋", "Dataset", 34),
            Column("원 명세서", "Original", 34),
            Column("분쟁", "Dispute", 24),
            *(Column(ko, en, 16, "R") for ko, en, _ in shown),
        ),
        rows=[
            (
                each.dataset_title,
                each.original_statement_id,
                each.dispute_id,
                *(f"-{amount(each):,}" for _, _, amount in shown),
            )
            for each in taken
        ],
        totals=(
            "합계 Total (원 KRW)",
            "",
            "",
            *(f"-{sum(map(amount, taken)):,}" for _, _, amount in shown),
        ),
    )


def _royalty_sheet(lines: Sequence[RoyaltyLine], amounts: Sequence[str]) -> Sheet:
    shown = [_AMOUNTS[name] for name in amounts]
    return Sheet(
        columns=(*_ROYALTY_NAMES, *(Column(ko, en, 16, "R") for ko, en, _ in shown)),
        rows=[
            (
                line.product_title,
                _source(line),
                line.counterparty_name,
                _ROLES[line.role],
                *(f"{amount(line):,}" for _, _, amount in shown),
            )
            for line in lines
        ],
        totals=(
            "합계 Total (원 KRW)",
            "",
            "",
            "",
            *(f"{sum(map(amount, lines)):,}" for _, _, amount in shown),
        ),
    )


def _source(line: RoyaltyLine) -> str:
    """Name the source; and the original statement, where a refund takes something back."""
    if line.original_statement_id is None:
        return line.upstream_title
    return f"{line.upstream_title} (환불 refund: {line.original_statement_id})"


def _summary(paper: Paper, document: Statement, link: ProofLink | None) -> None:
    paper.facts(
        [
            ("매입 합계", "Bought", in_won(document.purchases_total_won)),
            ("매출 실수령", "Received", in_won(document.sales_total_won)),
            ("낸 세액", "VAT paid", in_won(document.vat_paid_won)),
            ("받은 세액", "VAT collected", in_won(document.vat_collected_won)),
            ("수수료(세액 포함)", "Fee with VAT", in_won(document.fee_total_won)),
        ]
    )
    paper.ln(2)
    if link is None:
        return
    paper.facts(
        [
            (
                "청산 기록",
                "Log",
                f"{link.log_origin} · 잎 {link.log_index} (leaf {link.log_index})",
            ),
            ("해시", "SHA-256", link.sha256),
            (
                "확인",
                "Check",
                f"databank bundle {document.period} · databank verify FILE --paper QR",
            ),
        ]
    )
