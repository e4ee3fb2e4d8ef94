"""Documents say what the statement and the passbook say, in Korean, and lead to the proof."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from clearing.documents.passbook import COLUMNS, passbook_csv, passbook_pdf
from clearing.documents.service import PRINTED_MAX, TooManyLinesError, check_size
from clearing.documents.statement import DocumentMismatchError, check_totals, statement_pdf
from schemas.bank import PassbookAccount, PassbookLine, Statement, StatementLine
from schemas.ids import AgreementId, ParticipantId
from schemas.issuer import Issuer
from schemas.proof_link import ProofLink, parse_proof_link
from tests.support.bank import NOON
from tests.support.pdf import qr_codes_of, text_of

ISSUER = Issuer("산업데이터은행 청산소", "1000000009", "https://clearing.example")
LINK = ProofLink(ISSUER.url, 42, "2026-11-garam-1", "ab" * 32)


def line(*, supply: int, fee: int = 0, title: str = "압연 공정 에너지와 불량") -> StatementLine:
    vat, fee_vat = supply // 10, fee // 10
    return StatementLine(
        agreement_id=AgreementId("urn:agreement:1"),
        dataset_title=title,
        counterparty_id=ParticipantId("did:web:nuri.example"),
        counterparty_name="누리큐레이션",
        queries_count=3,
        rows_count=12_345,
        bytes_count=0,
        supply_won=supply,
        vat_won=vat,
        fee_won=fee,
        fee_vat_won=fee_vat,
        net_won=supply + vat - fee - fee_vat,
    )


def statement(**changes: Any) -> Statement:
    cell = line(supply=5_006, title="배터리 셀 제품탄소발자국")
    bought = (cell.model_copy(update={"compute_ms": 90_250}),)
    sold = tuple(line(supply=375 + n, fee=19, title=f"판매 {n}") for n in range(60))
    said = Statement(
        statement_id="2026-11-garam-1",
        participant_id=ParticipantId("did:web:garam.example"),
        participant_name="가람제강",
        brn="9900100020",
        period="2026-11",
        issued_at=NOON,
        purchases=bought,
        sales=sold,
        purchases_total_won=sum(each.net_won for each in bought),
        sales_total_won=sum(each.net_won for each in sold),
        vat_paid_won=sum(each.vat_won for each in bought),
        vat_collected_won=sum(each.vat_won for each in sold),
        fee_total_won=sum(each.fee_won + each.fee_vat_won for each in sold),
    )
    return said.model_copy(update=changes)


def test_a_statement_on_paper_says_every_line_and_leads_to_its_proof() -> None:
    document = statement()
    content = statement_pdf(document, ISSUER, LINK)
    text = text_of(content)
    for said in (
        "이용 명세서",
        "가람제강",
        "990-01-00020",
        "공급가액",
        "VAT 10 %",
        "5,006",
        "500",
        "90.25초",
    ):
        assert said in text, said
    for number in range(60):  # over several pages
        assert f"판매 {number}" in text
    assert f"₩{document.sales_total_won:,}" in text
    assert text.count("공급가액") > 2, "headings stand on every page"
    assert qr_codes_of(content) == [str(LINK)]
    assert parse_proof_link(str(LINK)) == LINK


def test_the_same_statement_is_the_same_paper() -> None:
    assert statement_pdf(statement(), ISSUER, LINK) == statement_pdf(statement(), ISSUER, LINK)


def test_a_statement_without_seal_has_no_code_and_one_without_lines_is_printed() -> None:
    content = statement_pdf(statement(sales=(), sales_total_won=0, vat_collected_won=0,
                                      fee_total_won=0), ISSUER, None)  # fmt: skip
    assert qr_codes_of(content) == []
    assert "배터리 셀" in text_of(content)


@pytest.mark.parametrize(
    "total",
    ["purchases_total_won", "sales_total_won", "vat_paid_won", "vat_collected_won",
     "fee_total_won"],
)  # fmt: skip
def test_totals_that_are_not_the_sums_of_the_lines_are_never_printed(total: str) -> None:
    document = statement()
    check_totals(document)
    wrong = document.model_copy(update={total: getattr(document, total) + 1})
    with pytest.raises(DocumentMismatchError, match=total):
        statement_pdf(wrong, ISSUER, LINK)


@pytest.mark.parametrize(
    "text",
    ["", "https://clearing.example/log/proofs/42", "ftp://x/log/proofs/1#2026-11-a-1:" + "0" * 64,
     "https://clearing.example/log/proofs/42#2026-11-garam-1:xyz"],
)  # fmt: skip
def test_what_is_no_proof_link_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="QR"):
        parse_proof_link(text)


def movement(**changes: Any) -> PassbookLine:
    made = PassbookLine(
        entry_id="accrual:usage:1",
        account=PassbookAccount.DEPOSIT,
        kind="usage",
        occurred_at=NOON,
        recorded_at=NOON,
        counterparty="가람제강",
        memo="압연 공정",
        amount_micro=-1_500_001,
        balance_micro=8_499_999,
    )
    return made.model_copy(update=changes)


def test_a_passbook_as_csv_is_exact_and_runs_no_formula() -> None:
    lines = [movement(), movement(memo="=HYPERLINK(1)", counterparty="@네", amount_micro=10**15)]
    content = passbook_csv(lines)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == list(COLUMNS)
    assert rows[1][6:9] == ["-1.500001", "0", "8.499999"]
    assert rows[1][0] == "2026-11-24 12:00:00"
    assert rows[2][4:7] == ["'@네", "'=HYPERLINK(1)", "1000000000"]


def test_a_passbook_on_paper_says_every_line() -> None:
    lines = [movement(memo=f"적요 {n}") for n in range(80)]
    text = text_of(passbook_pdf(lines, owner="누리큐레이션", now=NOON, issuer=ISSUER.name))
    assert all(f"적요 {n}" in text for n in range(80))
    assert "-₩1.500001" in text
    assert "통장" in text


def test_a_statement_that_is_too_long_for_paper_names_the_csv() -> None:
    sold = tuple(line(supply=1) for _ in range(PRINTED_MAX))
    check_size(statement(purchases=(), sales=sold))
    with pytest.raises(TooManyLinesError, match=r"/passbook/csv\?period=2026-11"):
        check_size(statement(sales=sold))
