"""Statements of many agreements add up to the ledger, to the won."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from random import Random

from clearing.ledger.model import Book, Code, account_id
from clearing.ledger.store import find_account
from databank.kit.db import Database
from schemas.bank import AgreementRecord, Statement
from schemas.money import MICRO_PER_WON
from tests.support.bank import Bank, Company, Meter, agreement, company, plan

NOVEMBER = datetime(2026, 11, 30, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
PERIODS = ("2026-11", "2026-12")


Deal = tuple[Company, Company, AgreementRecord]


def _make_deals(bank: Bank, steel: Company, curator: Company) -> list[Deal]:
    """Three suppliers, two buyers and odd prices."""
    carbon, parts = company("carbon", "탄소"), company("parts", "부품")
    bank.join(carbon, parts)
    tariffs = [plan(per_row=0.37), plan(per_megabyte=13.3), plan(monthly=99.9, per_query=0.7)]
    deals = [
        (supplier, buyer, agreement(supplier, buyer, tariff, name=f"{supplier.id}{buyer.id}"))
        for supplier, tariff in zip((steel, carbon, parts), tariffs, strict=True)
        for buyer in (curator, steel)
        if buyer is not supplier
    ]
    for supplier, buyer, told in deals:
        bank.agree(told, supplier, buyer)
    bank.deposit(curator, 100_000)
    bank.deposit(steel, 100, deposit_id="bank-2")  # too little: the rest is owed
    return deals


def _use(bank: Bank, deals: list[Deal]) -> None:
    """Book usage of two months in between statements of either."""
    random = Random(20261124)
    meters = {supplier.id: Meter(supplier) for supplier, _, _ in deals}
    for _ in range(6):
        for supplier, _, told in deals:
            meter = meters[supplier.id]
            records = [
                meter.record(
                    told,
                    rows=random.randrange(999),
                    bytes_=random.randrange(10**7),
                    at=random.choice((DECEMBER, NOVEMBER)),
                )
                for _ in range(random.randrange(1, 5))
            ]
            assert bank.send(supplier, meter.batch(records)).status_code == 200
        period = random.choice(PERIODS)
        assert bank.admin("POST", f"/periods/{period}/statements").status_code == 200


def test_statements_add_up_to_the_ledger_to_the_won(
    bank: Bank, steel: Company, curator: Company, database_url: str
) -> None:
    deals = _make_deals(bank, steel, curator)
    bank.clock.now = DECEMBER
    _use(bank, deals)

    statements: list[Statement] = []
    payments = Counter[str]()
    for period in PERIODS:
        issued = bank.admin("POST", f"/periods/{period}/statements").json()
        assert bank.admin("POST", f"/periods/{period}/statements").json() == issued
        assert bank.admin("GET", f"/admin/statements/{period}").json() == issued
        statements += [Statement.model_validate(each) for each in issued["statements"]]
        for paid in bank.admin("GET", f"/admin/payments?period={period}").json()["payments"]:
            payments["won"] += int(paid["supply_won"])
            payments["micro"] += int(paid["supply_micro"])
    sales = [line for each in statements for line in each.sales]
    assert payments["won"] == sum(line.supply_won for line in sales)
    assert 0 <= payments["micro"] - payments["won"] * MICRO_PER_WON < len(deals) * MICRO_PER_WON
    _check_documents(statements)
    _check_books(bank, database_url, statements, deals[2][0])


def _check_documents(statements: list[Statement]) -> None:
    for each in statements:
        assert each.purchases_total_won == sum(line.net_won for line in each.purchases)
        assert each.sales_total_won == sum(line.net_won for line in each.sales)
        for line in each.purchases:
            assert line.net_won == line.supply_won + line.vat_won
        for line in each.sales:
            assert line.net_won == (
                line.supply_won + line.vat_won - line.fee_won - line.fee_vat_won
            )
    bought = sum(each.purchases_total_won for each in statements)
    assert bought == sum(each.sales_total_won + each.fee_total_won for each in statements)
    assert bought > 0


def _check_books(
    bank: Bank, database_url: str, statements: list[Statement], supplier: Company
) -> None:
    books = bank.admin("GET", "/trial-balance").json()
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]
    database = Database(database_url)
    with database.unit_of_work() as uow:
        won = sum(
            find_account(uow, account_id(Book.CASH, code, supplier.id)).credit_balance
            for code in (Code.EARNED, Code.VAT_OUT)
        )
        micro = sum(
            find_account(uow, account_id(Book.ACCRUAL, code, supplier.id)).credit_balance
            for code in (Code.EARNED, Code.VAT_OUT)
        )
    database.close()
    stated = sum(s.sales_total_won for s in statements if s.participant_id == supplier.id)
    assert stated == won
    # two agreements, each with supply, VAT, fee and its VAT rounded by less than a won
    assert abs(micro - won * MICRO_PER_WON) < 2 * 2 * MICRO_PER_WON
