"""A dispute holds what it is about, and ends in a release or a refund along the recorded split."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from clearing.bundle.verify import verify_bundle
from clearing.disputes import service
from clearing.ledger.model import Book, Code, account_id
from clearing.ledger.store import lock_accounts
from clearing.log.quorum import NotWitnessedError
from clearing.log.service import Log
from databank.kit.db import Database
from schemas.bank import AgreementRecord, Statement
from schemas.close import CloseReport, CloseRun
from schemas.dispute import DisputeView
from schemas.seal import SealKind, verify_seal
from schemas.signature import PublicKey, peek_header
from tests.contract.clearing.test_attestation import compared, send
from tests.support.bank import NOON, Bank, Company, Meter, Receiver, agreement, company, plan

PERIOD = "2026-11"


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    """Steel sells rows at 10 won; what is counted is 1,000 rows and 100 of them contested."""
    made = agreement(steel, curator, plan(per_row=10))
    bank.agree(made, steel, curator)
    bank.deposit(curator, 100_000)
    return made


def use(bank: Bank, steel: Company, curator: Company, told: AgreementRecord, *, got: int) -> None:
    """Let steel meter 1,000 rows of which the buyer signs ``got``."""
    meter, receiver = Meter(steel), Receiver(curator)
    batch = meter.batch([meter.record(told, rows=1_000, at=NOON)])
    assert bank.send(steel, batch).status_code == 200
    said = receiver.batch([receiver.record(told, rows=got, at=NOON)])
    assert send(bank, curator, said).status_code == 200


def close(bank: Bank, period: str = PERIOD) -> CloseReport:
    answer = bank.admin("POST", f"/periods/{period}/close")
    assert answer.status_code == 200, answer.text
    return CloseReport.model_validate(answer.json())


def open_about(
    bank: Bank, who: Company, told: AgreementRecord, reason: str = "quality", **more: Any
) -> httpx.Response:
    body = {
        "agreement_id": told.agreement_id,
        "period": PERIOD,
        "reason": reason,
        "text": "센서 3번의 값이 비어 있습니다",
        **more,
    }
    return bank.call(who, "POST", "/disputes", json=body)


def seen(answer: httpx.Response) -> DisputeView:
    assert answer.status_code == 200, answer.text
    return DisputeView.model_validate(answer.json())


def act(bank: Bank, who: Company, id_: str, what: str, **body: Any) -> httpx.Response:
    return bank.call(who, "POST", f"/disputes/{id_}/{what}", json=body)


def decide(
    bank: Bank, id_: str, amount: int, reason: str = "절반만 쓸 수 있었다"
) -> httpx.Response:
    body = {"amount_won": str(amount), "text": reason}
    return bank.admin("POST", f"/admin/disputes/{id_}/decision", json=body)


def cash(url: str) -> dict[str, int]:
    """Return the balances of the cash book's accounts that are not empty."""
    database = Database(url)
    with database.unit_of_work() as uow:
        rows = uow.run(text("SELECT * FROM clearing_account")).mappings()
    database.close()
    found = {row["id"]: row["credits_posted"] - row["debits_posted"] for row in rows}
    return {
        id_.removeprefix("cash:").replace("did:web:", ""): amount
        for id_, amount in found.items()
        if id_.startswith("cash:") and amount
    }


def balanced(bank: Bank) -> None:
    books = bank.admin("GET", "/trial-balance").json()
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]


def statements(bank: Bank, period: str) -> list[Statement]:
    answer = bank.admin("GET", f"/admin/statements/{period}").json()["statements"]
    return [Statement.model_validate(each) for each in answer]


@pytest.fixture
def stated(bank: Bank, steel: Company, curator: Company, told: AgreementRecord) -> Iterator[Bank]:
    """A closed month: supply 10,000, VAT 1,000, fee 500, VAT on it 50; both sides agree."""
    use(bank, steel, curator, told, got=1_000)
    close(bank)
    yield bank
    balanced(bank)


def test_a_dispute_holds_what_it_is_about_until_it_is_decided(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    before = cash(database_url)
    view = seen(open_about(stated, curator, told, amount_won="4000"))
    assert (view.status, view.claimed_won, view.held_won) == ("open", 4_000, 4_180)
    held = cash(database_url)
    # 4,000 less the fee of 200 and its VAT of 20, and VAT of 400, cannot be paid out
    assert held["earned:steel.example"] == 9_450 - 3_780
    assert held["vat_out:steel.example"] == 1_000 - 400
    assert held["dispute_hold:steel.example"] == 4_180
    assert stated.balance(steel)["earned"] == (10_450 - 4_180) * 10**6
    early = decide(stated, view.dispute_id, 1_500)
    assert (early.status_code, early.json()["type"]) == (409, "urn:idb:problem:dispute-state")
    answer = act(stated, steel, view.dispute_id, "evidence", text="값은 계약대로 비어 있습니다")
    assert seen(answer).status == "evidence"
    done = seen(decide(stated, view.dispute_id, 1_500))
    assert (done.status, done.refunded_won, done.held_won) == ("decided", 1_500, 0)
    after = cash(database_url)
    assert after["deposit:curator.example"] - before["deposit:curator.example"] == 1_650
    assert after["earned:steel.example"] == before["earned:steel.example"] - (1_500 - 75 - 7)
    assert after["vat_out:steel.example"] == 850
    assert after["fee_income:operator"] == 425
    assert "dispute_hold:steel.example" not in after
    assert [m.move.kind for m in done.moves] == ["opened", "evidence", "decided"]
    again = seen(decide(stated, view.dispute_id, 1_500))
    assert again == done
    assert decide(stated, view.dispute_id, 1_501).status_code == 409


def test_both_parties_see_all_of_a_dispute_and_others_nothing(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    other = company("other", "다른 회사")
    stated.join(other)
    assert open_about(stated, other, told).status_code == 404
    view = seen(open_about(stated, curator, told))
    for who in (steel, curator):
        assert seen(stated.call(who, "GET", f"/disputes/{view.dispute_id}")) == view
        (listed,) = stated.call(who, "GET", "/disputes").json()["disputes"]
        assert DisputeView.model_validate(listed) == view
    assert seen(stated.admin("GET", f"/admin/disputes/{view.dispute_id}")) == view
    assert stated.call(other, "GET", "/disputes").json() == {"disputes": []}
    assert stated.call(other, "GET", f"/disputes/{view.dispute_id}").status_code == 404
    for what, body in (
        ("evidence", {"text": "x"}),
        ("proposals", {"amount_won": "1"}),
        ("acceptance", {"amount_won": "1"}),
        ("withdrawal", {}),
    ):
        assert act(stated, other, view.dispute_id, what, **body).status_code == 404
    assert stated.http.get(f"{stated.url}/admin/disputes").status_code == 401


def test_each_move_is_a_sealed_leaf_of_the_log(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    view = seen(open_about(stated, curator, told, files=["ab" * 32]))
    act(stated, steel, view.dispute_id, "evidence", text="반박", files=["cd" * 32])
    view = seen(act(stated, curator, view.dispute_id, "withdrawal", text="해결되었습니다"))
    key = stated.http.get(f"{stated.url}/.well-known/did.json").json()["verificationMethod"][0]
    for number, sealed in enumerate(view.moves, 1):
        kid = str(peek_header(sealed.seal)["kid"])
        seal = verify_seal(sealed.seal, PublicKey(kid, key["publicKeyJwk"]))
        assert seal.kind is SealKind.DISPUTE
        assert seal.subject == f"{view.dispute_id}/{number}"
        assert seal.sha256 == sealed.move.sha256
        proof = stated.http.get(f"{stated.url}/log/proofs/{seal.log_index}")
        assert proof.status_code == 200, proof.text
    assert view.moves[0].move.comparison is not None


def test_what_is_withdrawn_is_as_if_it_had_not_been_contested(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    before = cash(database_url)
    view = seen(open_about(stated, curator, told))
    assert seen(open_about(stated, curator, told)) == view, "the same again"
    other = open_about(stated, curator, told, reason="price")
    assert (other.status_code, other.json()["dispute_id"]) == (409, view.dispute_id)
    assert act(stated, steel, view.dispute_id, "withdrawal").status_code == 409, "not its own"
    assert seen(act(stated, curator, view.dispute_id, "withdrawal")).status == "withdrawn"
    assert cash(database_url) == before
    assert act(stated, curator, view.dispute_id, "evidence", text="x").status_code == 409
    again = seen(open_about(stated, curator, told, amount_won="10000"))
    assert again.dispute_id != view.dispute_id


def test_both_sides_settle_where_they_mean_the_same_amount(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    view = seen(open_about(stated, curator, told, reason="cancelled"))
    id_ = view.dispute_id
    assert view.claimed_won == 10_000
    nothing = act(stated, curator, id_, "acceptance", amount_won="100")
    assert nothing.status_code == 409
    seen(act(stated, steel, id_, "proposals", amount_won="100", text="사과의 뜻으로"))
    seen(act(stated, steel, id_, "proposals", amount_won="10000"))
    assert act(stated, curator, id_, "acceptance", amount_won="100").status_code == 409
    assert act(stated, steel, id_, "acceptance", amount_won="10000").status_code == 409, "its own"
    done = seen(act(stated, curator, id_, "acceptance", amount_won="10000"))
    assert (done.status, done.refunded_won) == ("settled", 10_000)
    # all of the sale is undone, in both books
    assert cash(database_url) == {
        "bank:operator": -100_000, "deposit:curator.example": 100_000,
    }  # fmt: skip
    assert stated.balance(curator)["deposit"] == 100_000 * 10**6
    assert stated.balance(steel)["earned"] == 0
    gone = open_about(stated, curator, told)
    assert (gone.status_code, gone.json()["remaining_won"]) == (409, "0")


def test_counts_are_contested_only_as_far_as_both_have_signed_them(
    stated: Bank, curator: Company, told: AgreementRecord
) -> None:
    refused = open_about(stated, curator, told, reason="count")
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:idb:problem:nothing-to-dispute"
    assert refused.json()["difference_won"] == "0"
    too_much = open_about(stated, curator, told, amount_won="10001")
    assert too_much.status_code == 409
    assert open_about(stated, curator, told, amount_won="0").status_code == 422
    assert open_about(stated, curator, told, text=" ").status_code == 422
    unstated = open_about(stated, curator, told, period="2026-12")
    assert unstated.status_code == 409


def test_a_difference_is_held_at_the_close_without_asking_and_expires_to_the_smaller_count(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    use(bank, steel, curator, told, got=900)
    foreseen = bank.admin("POST", f"/periods/{PERIOD}/close?dry_run=true").json()
    report = close(bank)
    assert report.runs == CloseReport.model_validate(foreseen).runs
    (holds,) = (step.holds for step in report.runs[0].steps if step.holds)
    (held,) = holds.disputes
    assert held.claimed_won == 1_000
    view = seen(bank.call(steel, "GET", f"/disputes/{held.dispute_id}"))
    assert (view.opened_by, view.reason, view.held_won) == ("operator", "count", 1_045)
    assert close(bank) == report, "held once"
    assert act(bank, steel, held.dispute_id, "withdrawal").status_code == 409
    bank.clock.advance(days=10)
    assert act(bank, steel, held.dispute_id, "evidence", text="늦음").status_code == 409
    bank.clock.advance(days=20)
    expired = seen(bank.call(curator, "GET", f"/disputes/{held.dispute_id}"))
    assert (expired.status, expired.refunded_won) == ("expired", 1_000)
    assert decide(bank, held.dispute_id, 0).status_code == 409
    assert cash(database_url)["deposit:curator.example"] == 100_000 - 11_000 + 1_100
    assert int(compared(bank, steel, told)["difference_micro"]) == 1_000 * 10**6


def test_a_silent_buyer_is_final_as_the_supplier_metered(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    assert bank.send(steel, meter.batch([meter.record(told, rows=1_000)])).status_code == 200
    bank.clock.advance(hours=73)
    report = close(bank)
    (holds,) = (step.holds for step in report.runs[0].steps if step.holds)
    assert holds.disputes == ()
    receiver = Receiver(curator)
    late = replace(receiver.record(told, rows=1), occurred_at=NOON)
    assert send(bank, curator, receiver.batch([late])).status_code == 200
    assert open_about(bank, curator, told, reason="count").status_code == 409


def test_an_opened_dispute_that_nobody_decides_leaves_the_money_with_the_supplier(
    stated: Bank, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    before = cash(database_url)
    view = seen(open_about(stated, curator, told))
    assert cash(database_url) != before
    stated.clock.advance(days=31)
    (listed,) = stated.call(curator, "GET", "/disputes").json()["disputes"]
    assert (listed["status"], listed["refunded_won"]) == ("expired", "0")
    assert listed["dispute_id"] == view.dispute_id
    assert cash(database_url) == before


def unchangeable(url: str) -> None:
    database = Database(url)
    for table in ("dispute", "dispute_move", "credit", "credit_stated"):
        for statement in ("UPDATE clearing_{} SET dispute_id = 'x'", "DELETE FROM clearing_{}"):
            with pytest.raises(Exception, match="append-only"), database.unit_of_work() as uow:
                uow.run(text(statement.format(table)))
    database.close()


def test_credits_are_lines_of_the_next_statements_and_net_positions_stay_zero(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    view = seen(open_about(stated, curator, told, amount_won="4000"))
    stated.clock.advance(days=11)  # it is December now
    seen(decide(stated, view.dispute_id, 1_500))
    assert not CloseReport.model_validate(
        stated.admin("GET", "/periods/2026-12/close").json()
    ).is_closed
    report = close(stated, "2026-12")
    (netting,) = (step.netting for step in report.runs[0].steps if step.netting)
    assert sum(each.net_won for each in netting.positions) == 0
    (issued,) = (step.statements for step in report.runs[0].steps if step.statements)
    assert issued.credited_won == 1_650
    by_party = {each.participant_id: each for each in statements(stated, "2026-12")}
    bought, sold = by_party[curator.id], by_party[steel.id]
    assert bought.credits is not None
    assert sold.credits is not None
    (credit,) = sold.credits
    assert credit.original_statement_id == "2026-11-steel-1"
    assert (credit.supply_won, credit.vat_won, credit.fee_won, credit.fee_vat_won) == (
        1_500, 150, 75, 7,
    )  # fmt: skip
    assert bought.credits[0].original_statement_id == "2026-11-curator-1"
    assert (bought.credits[0].net_won, bought.credits[0].fee_won) == (1_650, 0)
    assert (bought.purchases_total_won, sold.sales_total_won) == (-1_650, -(1_650 - 82))
    assert sold.fee_total_won == -82
    assert close(stated, "2026-12") == report, "stated once"
    for who in (steel, curator):
        content = stated.call(who, "GET", "/statements/2026-12/bundle").content
        proven = verify_bundle(content)
        assert proven.statement == by_party[who.id]
        assert stated.call(who, "GET", "/statements/2026-12/pdf").content[:5] == b"%PDF-"
    unchangeable(database_url)


def test_a_supplier_cannot_contest_a_month_to_undo_what_the_close_holds(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    use(bank, steel, curator, told, got=900)
    assert bank.admin("POST", f"/periods/{PERIOD}/statements").status_code == 200
    own = seen(open_about(bank, steel, told))  # between two steps of the close
    assert own.claimed_won == 10_000
    close(bank)
    refused = act(bank, steel, own.dispute_id, "withdrawal")
    assert refused.status_code == 409, "the buyer's difference would be free to be paid out"
    assert seen(act(bank, curator, own.dispute_id, "withdrawal")).status == "withdrawn"


def test_neither_side_uses_up_what_the_other_may_say(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, monkeypatch: Any
) -> None:
    monkeypatch.setattr(service, "MOVES_MAX", 3)
    id_ = seen(open_about(stated, curator, told)).dispute_id
    for number in range(3):
        seen(act(stated, steel, id_, "evidence", text=f"{number}"))
    full = act(stated, steel, id_, "evidence", text="3")
    assert full.status_code == 409
    assert "다 썼습니다" in full.json()["detail"]
    assert seen(act(stated, curator, id_, "evidence", text="한 번 더")).status == "evidence"


def test_a_dry_run_tells_differences_of_a_run_that_stopped_and_of_a_new_one(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter, receiver = Meter(steel), Receiver(curator)
    for rows in (1_000, 3_000):
        batch = meter.batch([meter.record(told, rows=rows, at=NOON)])
        assert bank.send(steel, batch).status_code == 200
        said = receiver.batch([receiver.record(told, rows=1, at=NOON)])
        assert send(bank, curator, said).status_code == 200
        if rows == 1_000:
            assert bank.admin("POST", f"/periods/{PERIOD}/statements").status_code == 200
    foreseen = bank.admin("POST", f"/periods/{PERIOD}/close?dry_run=true")
    assert foreseen.status_code == 200, foreseen.text
    report = close(bank)
    assert [holds_of(run) for run in CloseReport.model_validate(foreseen.json()).runs] == [
        holds_of(run) for run in report.runs
    ]


def holds_of(run: CloseRun) -> list[int]:
    return [each.claimed_won for step in run.steps if step.holds for each in step.holds.disputes]


def test_disputes_of_one_month_that_end_at_once_refund_each_won_once(
    stated: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    ids = [
        seen(open_about(stated, who, told, amount_won="5000")).dispute_id
        for who in (curator, steel)
    ]
    for id_, who in zip(ids, (steel, curator), strict=True):
        seen(act(stated, who, id_, "evidence", text="반박"))
    database = Database(database_url)
    with ThreadPoolExecutor() as pool:
        with database.unit_of_work() as uow:  # both wait here for the accounts
            lock_accounts(uow, [account_id(Book.CASH, Code.DEPOSIT, curator.id)])
            ends = [pool.submit(decide, stated, id_, 5_000) for id_ in ids]
            wait(ends, timeout=1)
        assert [seen(end.result()).refunded_won for end in ends] == [5_000, 5_000]
    database.close()
    assert cash(database_url) == {
        "bank:operator": -100_000, "deposit:curator.example": 100_000,
    }  # fmt: skip
    parts = [
        part
        for id_ in ids
        for sealed in seen(stated.admin("GET", f"/admin/disputes/{id_}")).moves
        for part in sealed.move.parts or ()
    ]
    assert {(part.before_won, part.supply_won) for part in parts} == {(0, 5_000), (5_000, 5_000)}


def test_what_is_overdue_is_still_shown_where_the_log_takes_nothing(
    stated: Bank, curator: Company, told: AgreementRecord, monkeypatch: Any
) -> None:
    id_ = seen(open_about(stated, curator, told)).dispute_id
    stated.clock.advance(days=31)

    def refuse(_: Log) -> None:
        raise NotWitnessedError(ko="증인이 모자랍니다.", en="Too few witnesses.")

    monkeypatch.setattr(Log, "check_addable", refuse)
    assert seen(stated.call(curator, "GET", f"/disputes/{id_}")).status == "open"
    assert stated.admin("GET", "/admin/disputes").status_code == 200
    assert decide(stated, id_, 0).status_code == 503
    monkeypatch.undo()
    assert seen(stated.call(curator, "GET", f"/disputes/{id_}")).status == "expired"
