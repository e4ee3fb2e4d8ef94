"""A refunded sale takes back the royalties that followed from it: stated, booked and invoiced."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from clearing.bundle.verify import verify_bundle
from schemas.invoice import InvoiceList
from tests.support.bank import open_bank
from tests.support.chain import PERIOD, WON, Chain
from tests.support.pdf import text_of

NEXT = "2026-12"


@pytest.fixture
def refunded(chain: Chain) -> Chain:
    """Half of ₩1,000 is refunded in December; A had got 285 and 19, B 190."""
    chain.bank.deposit(chain.y, 1_100)
    chain.register_example()
    chain.sell(1)
    chain.close()
    chain.refund(500)
    return chain


def test_half_a_sale_takes_back_half_of_the_royalties_along_all_edges(refunded: Chain) -> None:
    chain = refunded
    assert chain.royalties(chain.a) == {  # what the month makes due, as soon as it is decided
        ("탄소", "광양제철"): 9_500_000,
        ("큐레이터", "광양제철"): 142_500_000,
    }
    assert not chain.bank.admin("GET", f"/periods/{NEXT}/close").json()["is_closed"]
    report = chain.close(NEXT)
    assert report.is_closed
    (netting,) = (step.netting for step in report.runs[0].steps if step.netting)
    assert sum(each.net_won for each in netting.positions) == 0
    (sold,) = chain.statements(chain.a, NEXT)
    lines = {line.counterparty_name: line for line in sold.royalties_received or ()}
    assert {name: (line.supply_won, line.vat_won) for name, line in lines.items()} == {
        "큐레이터": (142 - 285, 14 - 28),
        "탄소": (9 - 19, 0 - 1),
    }
    assert {(line.period, line.original_statement_id) for line in lines.values()} == {
        (PERIOD, f"{PERIOD}-steel-1")
    }
    assert sold.sales_total_won == -143 - 14 - 10 - 1
    (paid,) = chain.statements(chain.c, NEXT)
    assert sum(line.supply_won for line in paid.royalties_paid or ()) == -143 - 95
    assert chain.close(NEXT) == report, "stated once"
    assert chain.close().is_closed
    assert len(chain.statements(chain.a)) == 1, "November has nothing more to say"
    books = chain.bank.admin("GET", "/trial-balance").json()
    assert books["cash_debits_won"] == books["cash_credits_won"]
    for who in (chain.a, chain.b, chain.c, chain.y):
        content = chain.bank.call(who, "GET", f"/statements/{NEXT}/bundle").content
        assert [verify_bundle(content).statement] == chain.statements(who, NEXT)


def test_passbook_paper_and_invoices_tell_what_is_taken_back(refunded: Chain) -> None:
    chain = refunded
    chain.close(NEXT)
    for who, other, amount in ((chain.c, "탄소", 104.5), (chain.b, "큐레이터", -104.5)):
        lines = chain.bank.call(who, "GET", "/passbook").json()["lines"]
        found = [
            line
            for line in lines
            if line["kind"] == "royalty_refund" and line["counterparty"] == other
        ]
        assert [int(line["amount_micro"]) for line in found] == [amount * WON]
    said = text_of(chain.bank.call(chain.a, "GET", f"/statements/{NEXT}/pdf").content)
    assert f"{PERIOD}-steel-1" in said
    assert "-143" in said
    csv = chain.bank.call(chain.a, "GET", f"/passbook/csv?period={PERIOD}")
    assert csv.status_code == 200
    answer = chain.bank.admin("GET", f"/admin/invoices/{NEXT}")
    drafts = InvoiceList.model_validate(answer.json()).invoices
    amended = {(each.seller.name, each.buyer.name): each for each in drafts}
    draft = amended["광양제철", "큐레이터"]
    assert (draft.supply_won, draft.vat_won, draft.amendment_code) == (-143, -14, "02")
    assert draft.original_invoice_id == f"{PERIOD}-steel-1-steel-curator"
    first = chain.bank.admin("GET", f"/admin/invoices/{PERIOD}").json()["invoices"]
    assert draft.original_invoice_id in {each["invoice_id"] for each in first}
    assert len({each.invoice_id for each in drafts}) == len(drafts)


def test_sources_owe_what_was_paid_out_before_and_others_wait_for_nothing(
    refunded: Chain, database_url: str
) -> None:
    chain = refunded
    before = chain.payable(database_url)
    chain.close(NEXT)
    after = chain.payable(database_url)
    assert {name: before[name] - after[name] for name in ("광양제철", "탄소")} == {
        "광양제철": 143 + 14 + 10 + 1,
        "탄소": 95 + 10 - 10 - 1,
    }
    # 500 of 1,000 with VAT and fee go back, and of that 157 + 105 come from its sources
    assert after["큐레이터"] - before.get("큐레이터", 0) == 157 + 105


def test_a_sale_that_is_refunded_whole_leaves_no_royalty_and_no_fee_on_one(
    tmp_path: Path, database_url: str
) -> None:
    with open_bank(tmp_path, database_url, royalty_fee_bps=1000) as bank:
        chain = Chain(bank)
        bank.deposit(chain.y, 1_100)
        chain.register_example()
        chain.sell(1)
        chain.close()
        chain.refund()
        chain.close(NEXT)
        assert set(chain.royalties(chain.a).values()) == {0}
        assert chain.payable(database_url) == {}
        balances = [bank.call(who, "GET", "/balance") for who in (chain.a, chain.b, chain.c)]
        assert [_earned(each) for each in balances] == [0, 0, 0]
        (sold,) = chain.statements(chain.b, NEXT)
        assert [(line.fee_won, line.fee_vat_won) for line in sold.royalties_received or ()] == [
            (-19, -1)
        ]


def _earned(answer: httpx.Response) -> int:
    return int(answer.json()["earned_micro"])
