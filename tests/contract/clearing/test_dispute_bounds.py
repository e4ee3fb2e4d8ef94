"""No dispute stands in the way of others, or of payouts again and again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from clearing.disputes.refusals import OPENINGS_MAX
from schemas.bank import AgreementRecord
from schemas.payout import PayoutView
from tests.contract.clearing.test_attestation import send
from tests.contract.clearing.test_disputes import (
    act,
    balanced,
    cash,
    close,
    decide,
    open_about,
    seen,
    stated,
    told,
)
from tests.contract.clearing.test_payouts import (
    OPERATOR_ACCOUNT,
    STEEL_ACCOUNT,
    approve,
    closed,
    draft,
)
from tests.support.bank import NOON, Bank, Company, Meter, Receiver, agreement, company, plan

__all__ = ["closed", "stated", "told"]  # fixtures

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


def test_a_side_contests_a_month_a_few_times_and_then_it_is_final(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    before = cash(database_url)
    for number in range(OPENINGS_MAX):
        view = seen(open_about(stated, curator, told, amount_won=str(number + 1)))
        assert seen(open_about(stated, curator, told, amount_won=str(number + 1))) == view
        seen(act(stated, curator, view.dispute_id, "withdrawal"))
    refused = open_about(stated, curator, told)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:idb:problem:nothing-to-dispute"
    assert str(OPENINGS_MAX) in refused.json()["detail_en"]
    assert cash(database_url) == before
    assert seen(open_about(stated, steel, told)).claimed_won == 10_000, "the other side may"


@pytest.fixture
def approved(stated: Bank, steel: Company) -> tuple[Bank, PayoutView]:
    """A payout of what steel earned, ₩10,450, that one officer has approved."""
    for who, params in ((stated.did, OPERATOR_ACCOUNT), (steel.id, STEEL_ACCOUNT)):
        profile = {"params": {"participant_id": who}, "json": {"account": params}}
        assert stated.admin("POST", "/admin/billing-profile", **profile).status_code == 200
    stated.clock.advance(hours=49)
    payout = draft(stated)
    assert approve(stated, payout, "kim").json()["status"] == "half_approved"
    return stated, payout


@pytest.mark.parametrize("end", ["running", "decided", "withdrawn"])
def test_a_dispute_after_the_first_approval_takes_nothing_of_the_payout(
    approved: tuple[Bank, PayoutView], curator: Company, told: AgreementRecord, *,
    database_url: str, end: str,
) -> None:  # fmt: skip
    bank, payout = approved
    view = seen(open_about(bank, curator, told))
    assert (view.claimed_won, view.held_won) == (10_000, 0)
    if end == "decided":
        bank.clock.advance(days=10)
        seen(decide(bank, view.dispute_id, 4_000))
    elif end == "withdrawn":
        seen(act(bank, curator, view.dispute_id, "withdrawal"))
    close(bank)  # what is owed is not set off against what is approved
    released = approve(bank, payout, "lee").json()
    assert (released["status"], released["total_won"]) == ("released", "10450")
    found = cash(database_url)
    assert found["in_transit:steel.example"] == 10_450
    assert found.get("recoverable:steel.example", 0) == (-4_180 if end == "decided" else 0)
    assert "earned:steel.example" not in found


def test_a_dispute_before_any_approval_voids_the_draft_at_the_first_one(
    closed: Bank, curator: Company
) -> None:
    payout = draft(closed)
    sold = agreement(company("steel", "광양제철"), curator, plan(per_row=1))
    view = seen(open_about(closed, curator, sold, amount_won="4000"))
    assert view.held_won == 4_180
    answer = approve(closed, payout, "kim").json()
    assert (answer["status"], "payee-changed" in answer["void_reason"]) == ("void", True)
    second = draft(closed)
    assert second.total_won == 10_450 - 4_180
    for officer in ("kim", "lee"):
        answer = approve(closed, second, officer).json()
    assert answer["status"] == "released"
