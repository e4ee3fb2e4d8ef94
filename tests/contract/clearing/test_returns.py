"""Payments that come back, whole or less a fee, or are rejected, are owed again to the won."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from clearing.ledger.model import Code
from databank.kit.db import Database
from schemas.payout import FeeBearer, PayoutView, sign_fee_decision
from schemas.signature import SigningKey
from tests.contract.clearing.test_payouts import (
    STEEL_ACCOUNT,
    approve,
    balanced,
    cash_of,
    closed,
    draft,
    released,
    report_of,
    tell_account,
)
from tests.support.bank import OFFICERS, Bank, Company
from tests.support.camt import Moved, camt, outcomes, rejection

__all__ = ["closed"]  # a fixture

FEE = 500


def went(reference: str, won: str, id_: str) -> Moved:
    """Return the debit of a payment."""
    return Moved(reference, won, end_to_end_id=id_)


def came(reference: str, won: str, id_: str, **more: str) -> Moved:
    """Return a credit with a payment's EndToEndId."""
    return Moved(reference, won, is_credit=True, end_to_end_id=id_, **more)


@pytest.fixture
def returned(closed: Bank) -> PayoutView:
    """A payout of ₩10,450 that came back less a fee, with its debit in the same file."""
    payout = released(closed)
    id_ = payout.payments[0].end_to_end_id
    back = came("R2", "9950", id_, reason="AC04", charges="500")
    assert report_of(closed, back, went("R1", "10450", id_)) == ["returned", "paid"]
    return payout


def decide(
    bank: Bank, payout: PayoutView, officer: str, bearer: str, *, fee: int = FEE,
    key: SigningKey | None = None,
) -> httpx.Response:  # fmt: skip
    id_ = payout.payments[0].end_to_end_id
    word = sign_fee_decision(id_, fee, FeeBearer(bearer), key or OFFICERS[officer])
    body = {"officer": officer, "bearer": bearer, "approval": word}
    return bank.admin("POST", f"/payments/{id_}/fee-decisions", json=body)


def payment_of(bank: Bank, payout: PayoutView) -> dict[str, Any]:
    found: dict[str, Any] = bank.admin("GET", f"/payouts/{payout.payout_id}").json()
    (payment,) = found["payments"]
    return dict(payment)


def test_what_comes_back_less_a_fee_is_owed_again_and_the_fee_waits(
    closed: Bank, returned: PayoutView, steel: Company, database_url: str
) -> None:
    payment = payment_of(closed, returned)
    assert payment["status"] == "returned"
    assert payment["came_back"] == {
        "reason": "AC04", "returned_won": "9950", "fee_won": "500", "bearer": None, "said": {},
    }  # fmt: skip
    assert cash_of(database_url, Code.BANK, "operator") == -(50_000 - FEE)
    assert cash_of(database_url, Code.RETURN_FEE, steel.id) == -FEE
    assert cash_of(database_url, Code.EARNED, steel.id) == 9_450
    assert closed.balance(steel)["earned"] == 10_450 * 10**6
    line = closed.call(steel, "GET", "/passbook").json()["lines"][-1]
    assert (line["kind"], line["amount_micro"]) == ("reversal", "10450000000")
    assert line["memo"] == "반송 (returned by the bank) AC04"
    # the same file again books nothing, and what waits is not paid
    id_ = payment["end_to_end_id"]
    back = came("R2", "9950", id_, reason="AC04", charges="500")
    assert report_of(closed, back, went("R1", "10450", id_)) == ["duplicate"] * 2
    other = draft(closed, steel)
    assert other.total_won == 10_450 - FEE
    assert [(each.reason, each.amount_won) for each in other.left_out] == [("return-fee", FEE)]
    balanced(closed)


def test_a_fee_that_is_decided_after_a_draft_leaves_the_payout_as_it_is(
    closed: Bank, returned: PayoutView, steel: Company, database_url: str
) -> None:
    payout = draft(closed, steel)
    assert approve(closed, payout, "kim").json()["status"] == "half_approved"
    for officer in ("kim", "lee"):
        assert decide(closed, returned, officer, "payee").status_code == 200
    assert approve(closed, payout, "lee").json()["status"] == "released"
    for code in (Code.EARNED, Code.VAT_OUT, Code.RETURN_FEE):
        assert cash_of(database_url, code, steel.id) == 0
    balanced(closed)


@pytest.mark.parametrize("bearer", ["payee", "operator"])
def test_two_officers_say_who_bears_the_fee(
    closed: Bank, returned: PayoutView, steel: Company, *, database_url: str, bearer: str
) -> None:
    other = {"payee": "operator", "operator": "payee"}[bearer]
    assert decide(closed, returned, "kim", other).status_code == 200
    assert decide(closed, returned, "lee", bearer).status_code == 200
    assert cash_of(database_url, Code.RETURN_FEE, steel.id) == -FEE, "they do not agree"
    for _ in range(2):
        answer = decide(closed, returned, "kim", bearer)
        assert answer.status_code == 200, answer.text
    (payment,) = answer.json()["payments"]
    assert payment["came_back"]["bearer"] == bearer
    assert payment["came_back"]["said"] == {"kim": bearer, "lee": bearer}
    assert decide(closed, returned, "park", other).status_code == 409, "it is decided"
    assert cash_of(database_url, Code.RETURN_FEE, steel.id) == 0
    is_payee = bearer == "payee"
    assert cash_of(database_url, Code.FEE_INCOME, "operator") == 500 - (0 if is_payee else FEE)
    assert released(closed, steel).total_won == 10_450 - (FEE if is_payee else 0)
    lines = closed.call(steel, "GET", "/passbook").json()["lines"]
    fees = [each["amount_micro"] for each in lines if each["kind"] == "return_fee"]
    assert fees == (["-500000000"] if is_payee else [])
    balanced(closed)


def test_a_word_on_a_fee_counts_only_for_this_fee_by_an_officers_own_key(
    closed: Bank, returned: PayoutView, steel: Company, database_url: str
) -> None:
    stranger = SigningKey("officer:choi#key-1", OFFICERS["kim"].private_jwk)
    as_lee = SigningKey("officer:lee#key-1", OFFICERS["kim"].private_jwk)
    for refused in (
        decide(closed, returned, "choi", "payee", key=stranger),
        decide(closed, returned, "lee", "payee", key=as_lee),
        decide(closed, returned, "lee", "payee", fee=FEE - 1),
    ):
        assert refused.status_code == 403, refused.text
        assert refused.json()["type"] == "urn:idb:problem:approval-refused"
    for _ in range(2):
        assert decide(closed, returned, "kim", "payee").status_code == 200
    assert cash_of(database_url, Code.RETURN_FEE, steel.id) == -FEE, "one officer twice is one"
    id_ = returned.payments[0].end_to_end_id
    path = f"/payments/{id_}/fee-decisions"
    word = sign_fee_decision(id_, FEE, FeeBearer.OPERATOR, OFFICERS["lee"])
    body = {"officer": "lee", "bearer": "payee", "approval": word}
    assert closed.admin("POST", path, json=body).status_code == 403, "it says another bearer"
    for broken in ({}, {**body, "bearer": "bank"}, {**body, "approval": "x"}):
        assert closed.admin("POST", path, json=broken).status_code in {403, 422}
    assert closed.admin("POST", "/payments/P9-1/fee-decisions", json=body).status_code == 404
    database = Database(database_url)
    with database.unit_of_work() as uow:
        before = uow.run(text("SELECT COUNT(*) FROM clearing_fee_decision")).scalar_one()
    database.close()
    assert before == 1


def test_a_whole_return_has_no_fee_and_is_paid_again_once_the_account_is_another(
    closed: Bank, steel: Company, database_url: str
) -> None:
    payout = released(closed)
    id_ = payout.payments[0].end_to_end_id
    moved = went("W1", "10450", id_), came("W2", "10450", id_, reason="BE01")
    assert report_of(closed, *moved) == ["paid", "returned"]
    assert payment_of(closed, payout)["came_back"]["fee_won"] == "0"
    assert cash_of(database_url, Code.RETURN_FEE, steel.id) == 0
    assert decide(closed, payout, "kim", "payee", fee=0).status_code == 409
    assert closed.admin("POST", "/payouts").json()["left_out"][0]["reason"] == "returned"
    tell_account(closed, steel, {**STEEL_ACCOUNT, "number": "777777777777"})
    closed.clock.advance(hours=49)
    assert released(closed).payments[0].account.number == "777777777777"
    balanced(closed)


def test_another_amount_without_the_banks_reason_waits_for_somebody(
    closed: Bank, database_url: str
) -> None:
    id_ = released(closed).payments[0].end_to_end_id
    doubtful = [
        came("X1", "9950", id_),  # the bank does not say that it is a return
        came("X2", "9950", id_, reason="AC04", charges="400"),  # 100 won are missing
        came("X3", "10451", id_, reason="AC04"),
        came("X4", "9950.50", id_, reason="AC04"),
        came("X5", "9950", id_, reason="AC04", currency="USD"),
    ]
    found = report_of(closed, went("X0", "10450", id_), *doubtful)
    assert found == ["paid", *["wrong_amount"] * 5]
    assert cash_of(database_url, Code.BANK, "operator") == -(50_000 - 10_450)
    waiting = closed.admin("GET", "/bank/unresolved").json()["movements"]
    assert [each["reference"] for each in waiting] == ["X1", "X2", "X3", "X4", "X5"]


@pytest.mark.parametrize("whole", ["", "AM04"])
def test_a_rejected_payment_never_left_and_is_owed_again(
    closed: Bank, steel: Company, database_url: str, whole: str
) -> None:
    payout = released(closed)
    id_ = payout.payments[0].end_to_end_id
    named = () if whole else ((id_, "AC01"),)

    def send(number: str) -> list[str]:
        content = rejection(payout.payout_id, *named, whole=whole, number=number)
        answer = closed.admin("POST", "/bank/reports", content=content)
        assert answer.status_code == 200, answer.text
        return list(outcomes(answer.json()))

    assert [send("1"), send("1"), send("2")] == [["rejected"], ["duplicate"], ["rejected"]]
    assert closed.admin("GET", "/bank/unresolved").json()["movements"] == []
    payment = payment_of(closed, payout)
    assert (payment["status"], payment["came_back"]["reason"]) == ("rejected", whole or "AC01")
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0
    assert cash_of(database_url, Code.BANK, "operator") == -50_000
    line = closed.call(steel, "GET", "/passbook").json()["lines"][-1]
    assert line["memo"].startswith("지급 거절 (rejected by the bank)")
    late = went("L1", "10450", id_)
    assert report_of(closed, late) == ["unexpected"], "the bank contradicts itself"
    assert released(closed, steel).total_won == 10_450
    balanced(closed)


def test_a_status_report_of_nothing_of_ours_is_kept_and_of_no_form_refused(closed: Bank) -> None:
    stray = rejection("P999999", ("NOBODY", "AC01"), whole="AC01")
    answer = closed.admin("POST", "/bank/reports", content=stray)
    assert outcomes(answer.json()) == ["unknown"]
    bare = stray.replace(b"OrgnlGrpInfAndSts", b"Other")
    refused = closed.admin("POST", "/bank/reports", content=bare)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:idb:problem:invalid-camt")
    paid = camt(went("Q1", "5", "NOBODY")).replace(b"camt.054", b"pain.009")
    assert closed.admin("POST", "/bank/reports", content=paid).status_code == 422
