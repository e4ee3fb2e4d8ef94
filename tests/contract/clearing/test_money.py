"""Deposits, holds, passbooks: what a participant's money does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from clearing.ledger.model import Book, Code, account_id
from clearing.ledger.store import AccountRow, find_account
from databank.kit.db import Database, table_of
from tests.support.bank import Bank, Company, Meter, agreement, plan

WON = 1_000_000


def test_a_deposit_counts_once(bank: Bank, curator: Company) -> None:
    for _ in range(3):
        assert bank.deposit(curator, 1_000).status_code == 200
    assert bank.balance(curator)["deposit"] == 1_000 * WON
    other = bank.deposit(curator, 1_001)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:idb:problem:entry-conflict"


def test_a_deposit_for_nobody_is_refused(bank: Bank) -> None:
    body = {"deposit_id": "d", "participant_id": "did:web:nobody", "amount_won": "1"}
    assert bank.admin("POST", "/deposits", json=body).status_code == 404


def test_a_deposit_beyond_what_the_books_hold_is_refused_not_a_crash(
    bank: Bank, curator: Company
) -> None:
    for number in range(9):
        answer = bank.deposit(curator, 10**12, deposit_id=f"d{number}")
        assert answer.status_code == 200
    answer = bank.deposit(curator, 10**12, deposit_id="d9")
    assert answer.json()["type"] == "urn:idb:problem:amount-too-large"
    assert bank.balance(curator)["deposit"] == 9 * 10**12 * WON


def test_a_mistaken_deposit_is_reversed_once_and_only_while_its_money_is_there(
    bank: Bank, steel: Company, curator: Company
) -> None:
    bank.deposit(curator, 1_000)
    bank.deposit(curator, 500, deposit_id="bank-2")
    reversal = {"deposit_id": "bank-1", "reason": "wrong company"}
    for _ in range(2):
        undone = bank.admin("POST", "/deposits/reversals", json=reversal)
        assert undone.json()["deposit_micro"] == str(500 * WON)
    told = agreement(steel, curator, plan(per_query=100))
    bank.agree(told, steel, curator)
    bank.grant(steel, told, minimum=100, wanted=100)
    reversal["deposit_id"] = "bank-2"
    assert bank.admin("POST", "/deposits/reversals", json=reversal).status_code == 402
    reversal["deposit_id"] = "bank-3"
    assert bank.admin("POST", "/deposits/reversals", json=reversal).status_code == 404


def test_a_grant_holds_what_is_there_between_minimum_and_wanted(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_100)

    # nothing is enough for a minimum of 1,001 won: 1,101.1 with VAT
    refused = bank.grant(steel, told, minimum=1_001, wanted=2_000)
    assert refused.status_code == 402
    assert refused.json()["type"] == "urn:idb:problem:insufficient-balance"
    assert refused.json()["missing_micro"] == str(1_100_000)
    assert bank.balance(curator)["held"] == 0

    # the same id may be asked again with what is possible; then it stands
    granted = bank.grant(steel, told, minimum=1, wanted=2_000)
    assert granted.json()["amount_micro"] == str(1_000 * WON)
    assert bank.grant(steel, told, minimum=1, wanted=2_000).json() == granted.json()
    assert bank.grant(steel, told, minimum=1, wanted=3_000).status_code == 409
    assert bank.balance(curator) == {
        "deposit": 1_100 * WON, "held": 1_100 * WON, "available": 0, "earned": 0, "receivable": 0,
    }  # fmt: skip
    assert bank.grant(steel, told, minimum=1, wanted=1, grant_id="g2").status_code == 402


def test_only_the_supplier_of_an_active_agreement_gets_a_grant(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    assert bank.grant(steel, told, minimum=0, wanted=1).status_code == 404
    bank.agree(told, steel)
    waiting = bank.grant(steel, told, minimum=0, wanted=1)
    assert (waiting.status_code, waiting.json()["retryable"]) == (409, True)
    assert waiting.headers["Retry-After"] == "1"
    bank.agree(told, curator)
    assert bank.grant(curator, told, minimum=0, wanted=1).status_code == 403
    assert bank.grant(steel, told, minimum=2, wanted=1).status_code == 422


def test_an_expired_hold_is_given_back(bank: Bank, steel: Company, curator: Company) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_100)
    bank.grant(steel, told, minimum=1, wanted=1_000)
    bank.clock.advance(seconds=299)
    assert bank.balance(curator)["available"] == 0
    bank.clock.advance(seconds=1)
    assert bank.balance(curator)["available"] == 1_100 * WON


def test_a_late_charge_beyond_the_deposit_is_owed_and_the_next_deposit_pays_it(
    bank: Bank, steel: Company, curator: Company
) -> None:
    # given a delivery of 1,000 won under a hold that has expired, its money held for others
    told = agreement(steel, curator, plan(per_row=1))
    other = agreement(steel, curator, plan(per_row=1), name="two")
    bank.agree(told, steel, curator)
    bank.agree(other, steel, curator)
    bank.deposit(curator, 1_100)
    bank.grant(steel, told, minimum=1_000, wanted=1_000)
    meter = Meter(steel)
    late = meter.batch([meter.record(told, rows=1_000)])
    bank.clock.advance(minutes=5)
    assert bank.grant(steel, other, minimum=600, wanted=600, grant_id="g2").status_code == 200

    # when its batch arrives
    assert bank.send(steel, late).status_code == 200

    # then the free 440 won pay a part, the rest is owed, and no hold is touched
    assert bank.balance(curator) == {
        "deposit": 660 * WON, "held": 660 * WON, "available": 0, "earned": 0,
        "receivable": 660 * WON,
    }  # fmt: skip
    refused = bank.grant(steel, told, minimum=0, wanted=1, grant_id="g3")
    assert refused.status_code == 402
    assert refused.json()["type"] == "urn:idb:problem:receivable-open"
    assert bank.deposit(curator, 1_000, deposit_id="bank-2").json()["receivable_micro"] == "0"
    assert bank.balance(curator)["available"] == 340 * WON
    assert bank.grant(steel, told, minimum=0, wanted=1, grant_id="g3").status_code == 200


def test_both_books_settle_what_is_owed_from_the_next_deposit(
    bank: Bank, steel: Company, curator: Company, database_url: str
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 100)
    meter = Meter(steel)
    bank.send(steel, meter.batch([meter.record(told, rows=1_000)]))
    bank.admin("POST", "/periods/2026-11/statements")
    database = Database(database_url)

    def wallet(book: Book) -> tuple[int, int]:
        with database.unit_of_work() as uow:
            ids = [account_id(book, code, curator.id) for code in (Code.DEPOSIT, Code.RECEIVABLE)]
            deposit, receivable = (find_account(uow, id_).credit_balance for id_ in ids)
        return deposit, receivable

    assert wallet(Book.ACCRUAL) == (0, -1_000 * WON)
    assert wallet(Book.CASH) == (0, -1_000)
    bank.deposit(curator, 1_500, deposit_id="bank-2")
    assert wallet(Book.ACCRUAL) == (500 * WON, 0)
    assert wallet(Book.CASH) == (500, 0)
    database.close()


def test_a_free_agreement_needs_no_money(bank: Bank, steel: Company, curator: Company) -> None:
    told = agreement(steel, curator, plan())
    bank.agree(told, steel, curator)
    assert bank.grant(steel, told, minimum=5, wanted=7).json()["amount_micro"] == str(7 * WON)
    meter = Meter(steel)
    assert bank.send(steel, meter.batch([meter.record(told, rows=9)])).status_code == 200
    assert bank.balance(curator) == dict.fromkeys(bank.balance(curator), 0)
    statement = bank.admin("POST", "/periods/2026-11/statements").json()["statements"][0]
    assert statement["purchases"][0]["rows_count"] == 9
    assert statement["purchases_total_won"] == "0"


def test_a_passbook_runs_on_over_its_pages_and_ends_at_the_balance(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_query=10))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_000)
    meter = Meter(steel)
    for _ in range(4):
        bank.send(steel, meter.batch([meter.record(told)]))
    lines = []
    path = "/passbook?limit=2"
    while True:
        page = bank.call(curator, "GET", path).json()
        lines += page["lines"]
        if page["next_cursor"] is None:
            break
        path = f"/passbook?limit=2&cursor={page['next_cursor']}"
    assert [line["kind"] for line in lines] == ["deposit", *["usage"] * 4]
    assert lines[1]["counterparty"] == "광양제철"
    assert lines[1]["memo"] == "데이터 one"
    balance = 0
    for line in lines:
        balance += int(line["amount_micro"])
        assert int(line["balance_micro"]) == balance
    assert balance == bank.balance(curator)["deposit"] == 956 * WON
    seen = bank.admin("GET", f"/admin/passbook?participant_id={curator.id}").json()
    assert seen["lines"] == lines
    assert bank.call(curator, "GET", "/passbook?cursor=x").status_code == 422


def test_sales_stand_in_the_suppliers_passbook_with_buyer_and_fee(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_query=100))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_000)
    bank.deposit(steel, 50, deposit_id="bank-2")
    meter = Meter(steel)
    for _ in range(3):
        bank.send(steel, meter.batch([meter.record(told)]))
    pages, path = [], "/passbook?limit=1"
    while path:
        page = bank.call(steel, "GET", path).json()
        pages += page["lines"]
        more = page["next_cursor"]
        path = f"/passbook?limit=1&cursor={more}" if more else ""
    assert [(line["account"], line["kind"]) for line in pages] == [
        ("deposit", "deposit"), *[("earned", "usage")] * 3,
    ]  # fmt: skip
    sale = pages[1]
    assert (sale["counterparty"], sale["memo"]) == ("큐레이터", "데이터 one")
    # 100 won and 10 VAT, less a fee of 5 and 0.5 VAT on it
    assert (sale["amount_micro"], sale["fee_micro"]) == (str(104_500_000), str(5_500_000))
    assert [int(line["balance_micro"]) for line in pages] == [
        50 * WON, 104_500_000, 209_000_000, 313_500_000,
    ]  # fmt: skip
    assert bank.balance(steel)["earned"] == 313_500_000
    assert bank.call(steel, "GET", "/passbook").json()["lines"] == pages


def test_grants_at_once_never_hold_more_than_the_deposit(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 550)

    def ask(number: int) -> int:
        return bank.grant(steel, told, minimum=100, wanted=100, grant_id=f"g{number}").status_code

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(ask, range(16)))
    assert codes == [200] * 5 + [402] * 11
    assert bank.balance(curator)["available"] == 0


def test_what_is_booked_cannot_be_changed_in_the_database(
    bank: Bank, steel: Company, curator: Company, database_url: str
) -> None:
    told = agreement(steel, curator, plan(per_query=10))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 100)
    meter = Meter(steel)
    bank.send(steel, meter.batch([meter.record(told)]))
    bank.admin("POST", "/periods/2026-11/statements")
    database = Database(database_url)
    booked = ("entry", "posting", "batch", "statement", "statement_line")
    column = {"entry": "memo", "posting": "amount", "batch": "body"}
    for name in booked:
        its = column.get(name, "period")
        for statement in (
            f"UPDATE clearing_{name} SET {its} = {its}",
            f"DELETE FROM clearing_{name}",
        ):
            with pytest.raises(DBAPIError, match="append-only"), database.engine.begin() as c:
                c.exec_driver_sql(statement)
    account = table_of(AccountRow)
    for check, pending in (("clearing_account_prepaid", 10**12), ("clearing_account_counters", -1)):
        change = account.update().where(account.c.is_prepaid).values(debits_pending=pending)
        with pytest.raises(IntegrityError, match=check), database.engine.begin() as connection:
            connection.execute(change)
    database.close()
