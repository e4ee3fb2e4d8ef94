"""Payouts need two officers, are booked once, and follow what the bank says of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from sqlalchemy import text

from clearing.billing.service import changed_accounts
from clearing.billing.store import profiles_of
from clearing.ledger.model import Book, Code, account_id
from clearing.ledger.store import find_account
from clearing.payout.store import PayoutEventRow
from databank.kit.db import Database
from schemas.payout import PayoutView, officer_key_id, sign_approval
from schemas.signature import SigningKey, generate_key
from tests.support.bank import NOON, OFFICERS, Bank, Company, Meter, agreement, company, plan
from tests.support.camt import Moved, camt, outcomes, statement

PERIOD = "2026-11"
XSD = Path(str(files("sepaxml"))) / "schemas/pain.001.001.09.xsd"
OPERATOR_ACCOUNT = {"bank": "088", "number": "99912345678", "holder": "산업데이터은행"}
STEEL_ACCOUNT = {"bank": "004", "number": "123456789012", "holder": "광양제철"}


def tell_account(bank: Bank, who: Company, account: dict[str, str]) -> None:
    answer = bank.call(who, "POST", "/billing-profile", json={"account": account})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def closed(bank: Bank, steel: Company, curator: Company) -> Bank:
    """A closed month in which steel earned ₩10,450: 10,000 + 1,000 VAT - 500 fee - 50 VAT."""
    told, meter = agreement(steel, curator, plan(per_row=1)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 50_000)
    batch = meter.batch([meter.record(told, rows=10_000, at=NOON)])
    assert bank.send(steel, batch).status_code == 200
    assert bank.admin("POST", f"/periods/{PERIOD}/close").status_code == 200
    own = bank.admin(
        "POST",
        "/admin/billing-profile",
        params={"participant_id": bank.did},
        json={"account": OPERATOR_ACCOUNT},
    )
    assert own.status_code == 200
    tell_account(bank, steel, STEEL_ACCOUNT)
    return bank


def draft(bank: Bank, *again: Company) -> PayoutView:
    answer = bank.admin("POST", "/payouts", json={"again": [each.id for each in again]})
    assert answer.status_code == 200, answer.text
    return PayoutView.model_validate(answer.json())


def approve(
    bank: Bank,
    payout: PayoutView,
    officer: str,
    *,
    key: SigningKey | None = None,
    sha256: str | None = None,
) -> httpx.Response:
    approval = sign_approval(payout.payout_id, sha256 or payout.sha256, key or OFFICERS[officer])
    body = {"officer": officer, "approval": approval}
    return bank.admin("POST", f"/payouts/{payout.payout_id}/approvals", json=body)


def released(bank: Bank, *again: Company) -> PayoutView:
    payout = draft(bank, *again)
    assert approve(bank, payout, "kim").json()["status"] == "half_approved"
    answer = approve(bank, payout, "lee")
    assert answer.json()["status"] == "released", answer.text
    return PayoutView.model_validate(answer.json())


def report_of(bank: Bank, *moved: Moved, number: str = "1") -> list[str]:
    answer = bank.admin("POST", "/bank/reports", content=camt(*moved, number=number))
    assert answer.status_code == 200, answer.text
    return list(outcomes(answer.json()))


def cash_of(url: str, code: Code, owner: str) -> int:
    database = Database(url)
    with database.unit_of_work() as uow:
        balances = [
            find_account(uow, account_id(book, code, owner)).credit_balance for book in Book
        ]
    database.close()
    assert balances[0] == balances[1] * 1_000_000  # both books say the same
    return balances[1]


def balanced(bank: Bank) -> None:
    books = bank.admin("GET", "/trial-balance").json()
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]


def test_a_payout_is_a_valid_file_that_two_officers_release(
    closed: Bank, steel: Company, database_url: str
) -> None:
    payout = draft(closed)
    assert (payout.total_won, payout.status) == (10_450, "drafted")
    content = closed.admin("GET", f"/payouts/{payout.payout_id}/file").content
    assert hashlib.sha256(content).hexdigest() == payout.sha256
    tree = etree.fromstring(content)
    etree.XMLSchema(etree.parse(XSD)).assertValid(tree)
    assert b'<InstdAmt Ccy="KRW">10450</InstdAmt>' in content
    assert b"123456789012" in content
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0, "nothing is booked yet"
    assert approve(closed, payout, "kim").json()["status"] == "half_approved"
    again = approve(closed, payout, "kim")
    assert again.status_code == 403, "the same person twice"
    assert approve(closed, payout, "lee").json()["status"] == "released"
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 10_450
    assert cash_of(database_url, Code.EARNED, steel.id) == 0
    assert approve(closed, payout, "park").status_code == 409
    assert closed.admin("POST", "/payouts").status_code == 409, "nothing is left to pay"
    assert closed.balance(steel)["earned"] == 0
    lines = closed.call(steel, "GET", "/passbook").json()["lines"]
    assert (lines[-1]["kind"], lines[-1]["amount_micro"]) == ("payout", "-10450000000")
    balanced(closed)


def test_an_approval_counts_only_for_this_file_by_an_officers_own_key(closed: Bank) -> None:
    payout = draft(closed)
    stranger = SigningKey("officer:choi#key-1", OFFICERS["kim"].private_jwk)
    as_lee = SigningKey("officer:lee#key-1", OFFICERS["kim"].private_jwk)
    for refused in (
        approve(closed, payout, "choi", key=stranger),
        approve(closed, payout, "lee", key=as_lee),
        approve(closed, payout, "lee", key=OFFICERS["kim"]),
        approve(closed, payout, "lee", sha256="0" * 64),
    ):
        assert refused.status_code == 403, refused.text
        assert refused.json()["type"] == "urn:idb:problem:approval-refused"
    path = f"/payouts/{payout.payout_id}/approvals"
    garbage = closed.admin("POST", path, json={"officer": "kim", "approval": "x.y.z"})
    assert garbage.status_code == 403
    found = closed.admin("GET", f"/payouts/{payout.payout_id}").json()
    assert (found["status"], found["approved_by"]) == ("drafted", [])
    assert closed.admin("GET", "/payouts/P9").status_code == 404


def _forge(database_url: str, payout: PayoutView, officer: str, approval: str | None) -> None:
    """Write an approval into the database, as somebody could who is no officer."""
    database = Database(database_url)
    with database.unit_of_work() as uow:
        row = PayoutEventRow(payout_id=payout.payout_id, number=1, kind="approved", said=officer,
                             approval=approval, recorded_at=NOON)  # fmt: skip
        uow.session.add(row)
    database.close()


@pytest.mark.parametrize("forged", ["none", "other-key", "other-file"])
def test_an_approval_in_the_database_counts_only_by_its_signature(
    closed: Bank, steel: Company, database_url: str, forged: str
) -> None:
    payout = draft(closed)
    other = SigningKey(officer_key_id("kim"), generate_key("x").private_jwk)
    said = {
        "none": None,
        "other-key": sign_approval(payout.payout_id, payout.sha256, other),
        "other-file": sign_approval(payout.payout_id, "0" * 64, OFFICERS["kim"]),
    }
    _forge(database_url, payout, "kim", said[forged])
    assert approve(closed, payout, "lee").json()["status"] == "half_approved"
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0
    answer = approve(closed, payout, "kim")
    assert answer.json()["status"] == "released", "a forged row keeps nobody from approving"


def test_a_dismissed_officers_approval_does_not_count(
    closed: Bank, steel: Company, database_url: str
) -> None:
    payout = draft(closed)
    gone = SigningKey(officer_key_id("choi"), generate_key("choi").private_jwk)
    _forge(
        database_url, payout, "choi", sign_approval(payout.payout_id, payout.sha256, gone)
    )  # signed well, when choi was one
    assert approve(closed, payout, "lee").json()["status"] == "half_approved"
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0
    assert approve(closed, payout, "park").json()["status"] == "released"


def test_a_payout_is_taken_back_before_and_not_after_its_second_approval(closed: Bank) -> None:
    payout = draft(closed)
    assert closed.admin("POST", "/payouts").status_code == 409, "one waits already"
    approve(closed, payout, "kim")
    path = f"/payouts/{payout.payout_id}/void"
    assert closed.admin("POST", path, json={"reason": "금액 확인"}).json()["status"] == "void"
    assert approve(closed, payout, "lee").status_code == 409
    second = released(closed)
    assert second.payout_id != payout.payout_id
    late = closed.admin("POST", f"/payouts/{second.payout_id}/void", json={"reason": "늦음"})
    assert late.status_code == 409


def test_a_change_after_the_draft_makes_the_payout_void(
    closed: Bank, steel: Company, database_url: str
) -> None:
    payout = draft(closed)
    approve(closed, payout, "kim")
    tell_account(closed, steel, {**STEEL_ACCOUNT, "number": "999999999999"})
    answer = approve(closed, payout, "lee").json()
    assert answer["status"] == "void"
    assert "payee-changed" in answer["void_reason"]
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0
    # who changed its account lately is left out, so that it cannot void one payout after another
    none = closed.admin("POST", "/payouts").json()
    assert [each["reason"] for each in none["left_out"]] == ["account-changed"]
    closed.clock.advance(hours=47)
    tell_account(closed, steel, {**STEEL_ACCOUNT, "number": "999999999999"})  # the same: no change
    assert closed.admin("POST", "/payouts").status_code == 409
    closed.clock.advance(hours=1)
    excluded = closed.admin("POST", "/payouts", json={"exclude": [steel.id]}).json()
    assert [each["reason"] for each in excluded["left_out"]] == ["excluded"]
    assert released(closed).payments[0].account.number == "999999999999"
    answer = closed.call(steel, "POST", "/billing-profile", json={"email": "a@b.kr"})
    assert answer.status_code == 200
    tell_account(closed, steel, {**STEEL_ACCOUNT, "number": "999999999999"})
    database = Database(database_url)
    with database.unit_of_work() as uow:  # taking it away and telling it again is a change
        profiles = profiles_of(uow, [steel.id])
        assert changed_accounts(uow, profiles, closed.clock() - timedelta(hours=1)) == {steel.id}
    database.close()


def test_the_bank_pays_and_returns_and_every_report_has_one_outcome(
    closed: Bank, steel: Company, database_url: str
) -> None:
    payment = released(closed).payments[0]
    paid = Moved("B1", "10450", end_to_end_id=payment.end_to_end_id)
    back = Moved("B2", "10450.00", is_credit=True, end_to_end_id=payment.end_to_end_id)
    wrong = Moved("B3", "10451", end_to_end_id=payment.end_to_end_id)
    stray = Moved("B4", "5", end_to_end_id="NOBODY")
    early = Moved("B0", "10450", end_to_end_id=payment.end_to_end_id, status="PDNG")
    assert report_of(closed, early, back, wrong, stray) == [
        "pending", "unexpected", "wrong_amount", "unknown",
    ]  # fmt: skip
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 10_450
    assert report_of(closed, paid, paid) == ["paid", "duplicate"]
    assert cash_of(database_url, Code.IN_TRANSIT, steel.id) == 0
    assert cash_of(database_url, Code.BANK, "operator") == -(50_000 - 10_450)
    second = Moved("B5", "10450", end_to_end_id=payment.end_to_end_id)
    assert report_of(closed, second) == ["unexpected"], "paid twice by the bank"
    assert report_of(closed, back, back, paid) == ["returned", "duplicate", "duplicate"]
    waiting = closed.admin("GET", "/bank/unresolved").json()["movements"]
    assert [each["reference"] for each in waiting] == ["B0", "B3", "B4", "B5"]
    # then the money is owed again, and a payout pays it that is told to
    assert cash_of(database_url, Code.BANK, "operator") == -50_000
    assert cash_of(database_url, Code.EARNED, steel.id) == 9_450
    assert closed.admin("GET", "/payouts").json()["payouts"][0]["payments"][0]["status"] == (
        "returned"
    )
    none = closed.admin("POST", "/payouts")
    assert (none.status_code, none.json()["left_out"][0]["reason"]) == (409, "returned")
    assert released(closed, steel).total_won == 10_450
    balanced(closed)


@pytest.fixture
def two(bank: Bank) -> tuple[Company, Company]:
    """Two companies with business numbers and accounts of their own."""
    nuri = company("nuri", "주식회사 누리", brn="1208147521")
    daon = company("daon", "다온", brn="2208162517")
    bank.join(nuri, daon)
    for who, number in ((nuri, "11122233344"), (daon, "55566677788")):
        tell_account(bank, who, {"bank": "004", "number": number, "holder": "회사"})
    return nuri, daon


def test_credits_become_deposits_of_whom_they_name(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, daon = two
    by_number = Moved("C1", "1000", is_credit=True, remittance="예치 120-81-47521 11월")
    by_account = Moved("C2", "2000", is_credit=True, debtor_account="555-666-77788",
                       debtor_bank="0041234", debtor_name="(주)다온")  # fmt: skip
    nobody = Moved("C3", "3000", is_credit=True, remittance="예치")
    both = Moved("C4", "4000", is_credit=True, remittance="1208147521 2208162517")
    dollars = Moved("C5", "5.50", is_credit=True, remittance="1208147521", currency="USD")
    found = report_of(bank, by_number, by_account, nobody, both, dollars)
    assert found == ["deposited", "deposited", "unknown", "unknown", "wrong_amount"]
    assert report_of(bank, by_number, nobody) == ["duplicate", "unknown"]
    assert bank.balance(nuri)["deposit"] == 1_000_000_000
    assert bank.balance(daon)["deposit"] == 2_000_000_000
    bank.deposit(nuri, 7_000, deposit_id="C6")  # booked by hand before, with another amount
    assert report_of(bank, Moved("C6", "6000", is_credit=True, remittance="1208147521")) == [
        "conflict"
    ]
    balanced(bank)


def test_a_number_that_a_participant_told_of_itself_never_catches_anothers_credit(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, daon = two
    thief = company("thief", "도둑", brn="1078783297")
    bank.join(thief)
    tell_account(bank, thief, {"bank": "004", "number": "20261125", "holder": "도둑"})
    order = Moved("T1", "900", is_credit=True, remittance="예치금 20261125 누리")
    assert report_of(bank, order) == ["unknown"]
    tell_account(bank, thief, {"bank": "088", "number": "777000777000", "holder": "누리"})
    debtor: dict[str, Any] = {"debtor_account": "777000777000", "debtor_name": "㈜누리"}
    caught = Moved("T2", "800", is_credit=True, debtor_bank="088", **debtor)
    other_bank = Moved("T3", "800", is_credit=True, debtor_bank="011", **debtor)
    no_bank = Moved("T4", "800", is_credit=True, **debtor)
    assert report_of(bank, caught, other_bank, no_bank) == ["unknown"] * 3
    named = Moved("T5", "700", is_credit=True, debtor_bank="088", remittance="120-81-47521",
                  **debtor)  # fmt: skip
    assert report_of(bank, named) == ["deposited"], (
        "a told account takes nothing from the named one"
    )
    daons: dict[str, Any] = {
        "debtor_bank": "004",
        "debtor_account": "55566677788",
        "debtor_name": "다온",
    }
    doubtful = [
        Moved("T6", "600", is_credit=True, remittance="1208147521", **daons),  # for another
        Moved("T7", "500", is_credit=True, remittance="1208147521 3048126731"),  # one unknown
        Moved("T8", "400", is_credit=True, remittance="11208147521"),  # a part of a number
        Moved("T9", "300", is_credit=True, remittance="A-120-81-47521-9"),
    ]
    assert report_of(bank, *doubtful) == ["unknown"] * 4
    assert bank.balance(thief)["deposit"] == bank.balance(daon)["deposit"] == 0
    assert bank.balance(nuri)["deposit"] == 700_000_000
    waiting = bank.admin("GET", "/bank/unresolved").json()["movements"]
    guesses = {each["reference"]: each.get("participant_id") for each in waiting}
    assert guesses == {"T1": None, "T2": thief.id, "T3": None, "T4": None, "T6": nuri.id,
                       "T7": nuri.id, "T8": None, "T9": None}  # fmt: skip
    assert waiting[0]["remittance"] == "예치금 20261125 누리"


def test_movements_that_share_a_reference_are_not_one(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, _ = two
    base: dict[str, Any] = {"is_credit": True, "remittance": "1208147521"}
    first = Moved("", "1000", **base)
    assert report_of(bank, first, first) == ["deposited", "deposited"], "two alike on one day"
    assert report_of(bank, first, first) == ["duplicate", "duplicate"]
    assert bank.balance(nuri)["deposit"] == 2_000_000_000
    other_text = Moved("", "1000", is_credit=True, remittance="1208147521 11월분")
    other_payer = Moved("", "1000", debtor_account="31", debtor_name="누리", **base)
    assert report_of(bank, other_text, other_payer) == ["deposited", "deposited"]
    # alike, without a reference, in another report: the same or another, somebody must look
    assert report_of(bank, first, number="2") == ["unknown"]
    assert bank.balance(nuri)["deposit"] == 4_000_000_000
    (waiting,) = bank.admin("GET", "/bank/unresolved").json()["movements"]
    assert waiting["participant_id"] == nuri.id
    bank.deposit(nuri, 1_000, deposit_id=waiting["reference"])  # it was another
    assert report_of(bank, first, number="2") == ["deposited"]
    assert bank.admin("GET", "/bank/unresolved").json()["movements"] == []
    # NtryRef counts anew in each report
    second = Moved("", "500", entry="1", **base)
    assert report_of(bank, second, number="3") == ["deposited"]
    assert report_of(bank, second, number="4") == ["deposited"]
    assert report_of(bank, second, number="3") == ["duplicate"]
    assert bank.balance(nuri)["deposit"] == 6_000_000_000
    balanced(bank)


def test_a_reference_with_another_amount_or_text_is_a_conflict_that_is_kept(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, _ = two
    first = Moved("K1", "1000", is_credit=True, remittance="1208147521")
    dearer = replace(first, amount="9000")
    other = replace(first, remittance="2208162517")
    assert report_of(bank, first, replace(first, amount="1000.00")) == ["deposited", "duplicate"]
    assert report_of(bank, dearer, other, dearer) == ["conflict"] * 3
    assert report_of(bank, first) == ["duplicate"]
    waiting = bank.admin("GET", "/bank/unresolved").json()["movements"]
    assert [(each["amount"], each["remittance"]) for each in waiting] == [
        ("9000 KRW", "1208147521"), ("1000 KRW", "2208162517"),
    ]  # fmt: skip
    assert len({each["reference"] for each in waiting}) == 2
    assert bank.balance(nuri)["deposit"] == 1_000_000_000


def test_deposits_are_taken_from_notifications_and_not_from_statements(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, _ = two
    credit = Moved("S1", "1000", is_credit=True, remittance="1208147521")
    answer = bank.admin("POST", "/bank/reports", content=statement(credit))
    assert outcomes(answer.json()) == ["not_taken"]
    assert bank.balance(nuri)["deposit"] == 0
    assert report_of(bank, credit) == ["deposited"]


def test_a_batch_whose_parts_repeat_one_reference_is_as_many_deposits(
    bank: Bank, two: tuple[Company, Company]
) -> None:
    nuri, _ = two
    whole = camt(Moved("B1", "500", is_credit=True, remittance="1208147521"))
    start, end = whole.index(b"<TxDtls>"), whole.index(b"</NtryDtls>")
    batch = whole[:end] + whole[start:end] + whole[end:]
    for expected in ("deposited", "duplicate"):
        answer = bank.admin("POST", "/bank/reports", content=batch)
        assert outcomes(answer.json()) == [expected] * 2
    assert bank.balance(nuri)["deposit"] == 1_000_000_000


def test_a_supplier_waits_for_what_a_buyer_owes_and_one_that_owes_is_not_paid(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told, meter = agreement(steel, curator, plan(per_row=1)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 6_000)
    batch = meter.batch([meter.record(told, rows=10_000, at=NOON)])
    assert bank.send(steel, batch).status_code == 200
    bank.admin("POST", f"/periods/{PERIOD}/close")
    params: dict[str, Any] = {"participant_id": bank.did}
    missing = bank.admin("POST", "/payouts")
    assert missing.json()["missing"] == "account"
    body = {"account": OPERATOR_ACCOUNT}
    bank.admin("POST", "/admin/billing-profile", params=params, json=body)
    none = bank.admin("POST", "/payouts").json()
    assert [each["reason"] for each in none["left_out"]] == ["no-account"]
    tell_account(bank, steel, STEEL_ACCOUNT)
    payout = draft(bank)
    assert payout.total_won == 10_450 - 5_000  # 11,000 due, 6,000 paid
    assert [(each.reason, each.amount_won) for each in payout.left_out] == [("buyer-owes", 5_000)]
    for officer in ("lee", "park"):
        approve(bank, payout, officer)
    bank.deposit(curator, 5_000, deposit_id="bank-2")
    assert released(bank).total_won == 5_000


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"<Document/>", camt(Moved("1", "5")).replace(b"DBIT", b"DOWN"),
        camt(Moved("1", "5"), namespace="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"),
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + camt(Moved("1", "5"))[39:],
    ],
)  # fmt: skip
def test_what_is_no_camt_is_refused_as_a_whole(bank: Bank, content: bytes) -> None:
    answer = bank.admin("POST", "/bank/reports", content=content)
    assert answer.status_code == 422, answer.text
    assert bank.admin("GET", "/bank/unresolved").json()["movements"] == []


def test_payouts_cannot_be_changed_in_the_database(closed: Bank, database_url: str) -> None:
    released(closed)
    report_of(closed, Moved("B4", "5", end_to_end_id="NOBODY"))
    database = Database(database_url)
    for table in ("payout", "payment", "payout_event", "bank_movement"):
        with pytest.raises(Exception, match="append-only"), database.unit_of_work() as uow:
            uow.run(text(f"DELETE FROM clearing_{table}"))
    database.close()
