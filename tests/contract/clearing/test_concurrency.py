"""Everything at once: nothing deadlocks, nothing is lost, the books balance."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from schemas.bank import AgreementRecord
from tests.support.bank import Bank, Company, Meter, agreement, company, plan

ROUNDS = 12
ACTS = 5
WON = 1_000_000


@dataclass(frozen=True)
class Deal:
    """Who uses whose data, at one won a query."""

    supplier: Company
    buyer: Company
    told: AgreementRecord


def deals_of(suppliers: list[Company], buyers: list[Company]) -> list[Deal]:
    tariff = plan(per_query=1)
    return [
        Deal(supplier, buyer, agreement(supplier, buyer, tariff, name=f"{supplier.id}{buyer.id}"))
        for supplier in suppliers
        for buyer in buyers
    ]


def meter(bank: Bank, supplier: Company, deals: list[Deal]) -> None:
    stream = Meter(supplier)
    for _ in range(ROUNDS):
        records = [stream.record(deal.told) for deal in deals for _ in range(ACTS)]
        answer = bank.send(supplier, stream.batch(records))
        assert answer.status_code == 200, answer.text


def ask(bank: Bank, deal: Deal) -> None:
    for number in range(ROUNDS):
        grant_id = f"{deal.told.agreement_id}{number}"
        answer = bank.grant(deal.supplier, deal.told, minimum=0, wanted=3, grant_id=grant_id)
        assert answer.status_code in {200, 402}, answer.text


def pay(bank: Bank, buyer: Company) -> None:
    for number in range(ROUNDS):
        answer = bank.deposit(buyer, 20, deposit_id=f"{buyer.id}{number}")
        assert answer.status_code == 200, answer.text
        assert bank.balance(buyer)["available"] >= 0


def state(bank: Bank) -> None:
    for _ in range(ROUNDS):
        answer = bank.admin("POST", "/periods/2026-11/statements")
        assert answer.status_code == 200, answer.text


def at_once(*jobs: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def test_all_kinds_of_calls_at_once_leave_exact_books(bank: Bank) -> None:
    suppliers = [company(f"supplier{n}", f"공급사 {n}") for n in range(3)]
    buyers = [company(f"buyer{n}", f"구매사 {n}") for n in range(2)]
    bank.join(*suppliers, *buyers)
    deals = deals_of(suppliers, buyers)

    # when both sides of every deal tell it, and then everybody does everything
    at_once(*(partial(bank.agree, d.told, side) for d in deals for side in (d.supplier, d.buyer)))
    at_once(
        *(partial(meter, bank, s, [d for d in deals if d.supplier is s]) for s in suppliers),
        *(partial(ask, bank, deal) for deal in deals),
        *(partial(pay, bank, buyer) for buyer in buyers),
        partial(state, bank),
        partial(state, bank),
    )
    bank.admin("POST", "/periods/2026-11/statements")
    bank.clock.advance(hours=1)  # no hold is left

    # then every act was charged once, in the books and in the statements
    charged = len(suppliers) * ROUNDS * ACTS * 1_100_000
    for buyer in buyers:
        balance = bank.balance(buyer)
        assert balance["held"] == 0
        assert balance["deposit"] - balance["receivable"] == ROUNDS * 20 * WON - charged
    books = bank.admin("GET", "/trial-balance").json()
    assert books["records_count"] == len(deals) * ROUNDS * ACTS
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]
    paid = bank.admin("GET", "/admin/payments?period=2026-11").json()["payments"]
    assert [each["supply_won"] for each in paid] == [str(ROUNDS * ACTS)] * len(deals)
