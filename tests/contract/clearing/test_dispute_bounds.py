"""No dispute stands in the way of others, or of payouts again and again."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from clearing.ledger.model import Code
from schemas.bank import AgreementRecord
from tests.contract.clearing.test_attestation import send
from tests.contract.clearing.test_disputes import (
    balanced,
    cash,
    close,
)
from tests.contract.clearing.test_payouts import (
    OPERATOR_ACCOUNT,
    STEEL_ACCOUNT,
    _account,
    _approve,
    _draft,
)
from tests.support.bank import NOON, Bank, Company, Meter, Receiver, agreement, company, plan

MOST_MICRO = 2**63 - 1  # what one counter of an account holds
DEPOSIT_MAX_WON = 10**12


def _sell(bank: Bank, seller: Company, sales: list[tuple[Company, int]]) -> None:
    """Let each buyer get so many rows at 10 won, pay for them, and sign nine tenths."""
    meter = Meter(seller)
    for buyer, count in sales:
        told = agreement(seller, buyer, plan(per_row=10), name=buyer.id)
        bank.agree(told, seller, buyer)
        bank.deposit(buyer, count * 11, deposit_id=f"first-{buyer.id}")
        metered, receiver = meter.record(told, rows=count, at=NOON), Receiver(buyer)
        assert bank.send(seller, meter.batch([metered])).status_code == 200
        got = receiver.record(told, rows=count * 9 // 10, at=NOON)
        batch = receiver.batch([replace(got, act_id=metered.act_id)])
        assert send(bank, buyer, batch).status_code == 200


def _pay_in(bank: Bank, who: Company, won: int) -> None:
    for number, paid in enumerate(range(0, won, DEPOSIT_MAX_WON)):
        amount = min(DEPOSIT_MAX_WON, won - paid)
        assert bank.deposit(who, amount, deposit_id=f"more-{number}").status_code == 200


def test_an_overdue_dispute_that_cannot_be_booked_keeps_no_other_from_ending(
    bank: Bank, steel: Company, curator: Company
) -> None:
    others = [company(f"buyer{n}", f"구매{n}") for n in range(3)]
    bank.join(*others)
    sales = [(curator, 1_000_000), *((each, 1_000) for each in others)]
    _sell(bank, steel, sales)
    report = close(bank)
    (holds,) = (step.holds for step in report.runs[0].steps if step.holds)
    assert len(holds.disputes) == 4
    # the bank's account is full, and the buyer's so full that its refund does not fit
    _pay_in(bank, curator, MOST_MICRO // 10**6 - 11 * sum(count for _, count in sales))
    bank.clock.advance(days=31)
    with capture_logs() as said:
        listed = bank.admin("GET", "/admin/disputes")
    assert listed.status_code == 200, listed.text
    found = {each["consumer_id"]: each for each in listed.json()["disputes"]}
    assert {id_: each["status"] for id_, each in found.items()} == {
        curator.id: "open", **{each.id: "expired" for each in others},
    }  # fmt: skip
    (failed,) = (each for each in said if each["event"] == "dispute_not_ended")
    assert failed["dispute_id"] == found[curator.id]["dispute_id"]
    assert "AmountTooLargeError" in failed["why"]
    assert close(bank, "2026-12").runs, "a close goes on without it"
    balanced(bank)
