"""Plans are registered, frozen and sealed; what they make due is booked, stated and paid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from clearing.bundle.verify import verify_bundle
from databank.kit.db import Database
from schemas.bank import AgreementRecord
from schemas.canonical import digest
from schemas.invoice import InvoiceList
from schemas.policy.model import Terms
from schemas.policy.odrl import to_policy
from schemas.shares import PlanList, PlanView
from tests.support.bank import NOON, Company, agreement, open_bank, plan
from tests.support.chain import PERIOD, WON, Chain, edge
from tests.support.pdf import text_of

DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)


def test_the_worked_example_is_booked_and_stated_to_the_won(chain: Chain) -> None:
    chain.register_example()
    chain.bank.deposit(chain.y, 1_100)
    chain.sell(1)
    assert chain.royalties(chain.a) == {
        ("탄소", "광양제철"): 19 * WON,
        ("큐레이터", "광양제철"): 285 * WON,
    }
    assert chain.royalties(chain.y) == {}
    report = chain.close()
    assert report.is_closed
    (netting,) = (step.netting for step in report.runs[0].steps if step.netting)
    assert {each.participant_name: each.net_won for each in netting.positions} == {
        "광양제철": (285 + 28) + (19 + 1),
        "탄소": (190 + 19) - (19 + 1),
        "큐레이터": (1000 + 100 - 50 - 5) - (285 + 28) - (190 + 19),
        "구매사": -1100,
        "산업데이터은행": 50 + 5,
    }
    (sold,) = chain.statements(chain.a)
    received = {line.counterparty_name: line for line in sold.royalties_received or ()}
    assert {name: line.supply_won for name, line in received.items()} == {
        "큐레이터": 285,
        "탄소": 19,
    }
    assert {name: line.vat_won for name, line in received.items()} == {"큐레이터": 28, "탄소": 1}
    assert sold.sales_total_won == 285 + 28 + 19 + 1
    assert sold.purchases == sold.sales == ()
    (between,) = chain.statements(chain.b)
    assert [line.supply_won for line in between.royalties_paid or ()] == [19]
    assert [line.supply_won for line in between.royalties_received or ()] == [190]
    (top,) = chain.statements(chain.c)
    assert [line.supply_won for line in top.royalties_paid or ()] == [190, 285]
    assert top.royalties_received is None
    (bought,) = chain.statements(chain.y)
    assert bought.royalties_paid is bought.royalties_received is None
    assert chain.close() == report
    balance = chain.bank.admin("GET", "/trial-balance").json()
    assert balance["cash_debits_won"] == balance["cash_credits_won"]
    assert balance["accrual_debits_micro"] == balance["accrual_credits_micro"]
    assert chain.bank.balance(chain.a)["earned"] == 304 * WON + 30_400_000


def test_each_party_sees_what_concerns_it_and_no_more(chain: Chain) -> None:
    lower, upper = chain.register_example()
    weights = {each.participant_id: each.weight for each in upper.weights}
    assert weights == {
        chain.a.id: 304_000_000, chain.b.id: 171_000_000, chain.c.id: 475_000_000,
        "operator": 50_000_000,
    }  # fmt: skip
    assert sum(weights.values()) == 10**9

    def plans(who: Company) -> dict[str, PlanView]:
        answer = chain.bank.call(who, "GET", "/shares/plans")
        return {p.plan_sha256: p for p in PlanList.model_validate(answer.json()).plans}

    assert set(plans(chain.a)) == {lower.plan_sha256, upper.plan_sha256}
    seen = plans(chain.a)[upper.plan_sha256]
    assert [each.party_id for each in seen.edges] == [chain.a.id]
    assert [each.participant_id for each in seen.weights] == [chain.a.id]
    assert seen.plan == upper.plan
    assert seen.edges[0].sha256 in upper.plan.edges_sha256
    assert seen.party_names == {chain.a.id: "광양제철"}
    assert chain.b.id not in seen.model_dump_json()
    assert plans(chain.y) == {}
    path = f"/shares/plans/{upper.plan_sha256}"
    assert PlanView.model_validate(chain.bank.call(chain.c, "GET", path).json()) == upper
    assert chain.bank.call(chain.y, "GET", path).status_code == 404
    query = {"product_id": chain.sale.dataset_id}
    answer = chain.bank.call(chain.b, "GET", "/shares/plans", params=query)
    assert [p["plan_sha256"] for p in answer.json()["plans"]] == [upper.plan_sha256]
    whole = PlanList.model_validate(chain.bank.admin("GET", "/admin/shares/plans").json())
    assert upper in whole.plans
    assert chain.bank.http.get(chain.bank.url + "/admin/shares/plans").status_code == 401


def test_a_plan_that_may_not_be_is_refused_and_the_same_request_makes_one(chain: Chain) -> None:
    def refused(
        who: Company, record: AgreementRecord, *edges: dict[str, Any], **further: Any
    ) -> int:
        answer = chain.register(who, record, *edges, **further)
        return answer.status_code

    half = edge(chain.c_of_a, "pct_of_gross", 500_000)
    assert refused(chain.c, chain.sale, half, half) == 422  # nothing is left for the fee
    assert refused(chain.c, chain.sale, half, from_period="2026-10") == 422  # it is over
    assert refused(chain.c, chain.sale, half, from_period="2026-13") == 422
    assert refused(chain.a, chain.c_of_a, edge(chain.c_of_a, "pct_of_gross", 1)) == 422  # sells it
    assert refused(chain.c, chain.sale, edge(chain.b_of_a, "pct_of_gross", 1)) == 404  # not ours
    assert refused(chain.c, chain.sale, edge(chain.c_of_a, "pct_of_gross", 10**6 + 1)) == 422
    assert refused(chain.c, chain.sale, edge(chain.c_of_a, "per_unit_royalty", 1)) == 422
    half_told = agreement(chain.b, chain.c, plan(), name="half")
    chain.bank.agree(half_told, chain.c)
    assert refused(chain.c, chain.sale, edge(half_told, "pct_of_gross", 1)) == 422
    first = chain.register(chain.c, chain.sale, half)
    assert first.status_code == 200
    assert chain.register(chain.c, chain.sale, half).json() == first.json()
    other = chain.register(chain.c, chain.sale, edge(chain.c_of_a, "pct_of_gross", 2))
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:idb:problem:split-plan-conflict",
    )


def test_shares_never_run_in_a_circle(chain: Chain) -> None:
    """C's product owes B's dataset; a plan of B's that owes C's product is refused."""
    chain.register_example()
    back = agreement(chain.c, chain.b, plan(), name="back").model_copy(
        update={"dataset_id": chain.sale.dataset_id}
    )
    chain.bank.agree(back, chain.c, chain.b)
    answer = chain.register(
        chain.b,
        chain.c_of_b,
        edge(back, "fixed_per_period", 1),
        request_id="r2",
        from_period="2026-12",
    )
    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:idb:problem:split-plan-refused",
    )
    assert set(answer.json()["datasets"]) == {chain.sale.dataset_id, chain.c_of_b.dataset_id}


def test_no_plan_gives_less_than_an_agreement_is_known_to_ask_for(chain: Chain) -> None:
    policy = to_policy(Terms(derivation_royalty_percent=10), plan())
    asks = agreement(chain.a, chain.c, plan(), name="asks").model_copy(
        update={"policy_sha256": digest(policy)}
    )
    chain.bank.agree(asks, chain.a, chain.c)
    shown = {"agreement_id": asks.agreement_id, "policy": policy}
    other = {**shown, "policy": to_policy(Terms(), plan())}
    assert chain.bank.call(chain.a, "POST", "/shares/policies", json=other).status_code == 422
    assert chain.bank.call(chain.b, "POST", "/shares/policies", json=shown).status_code == 404
    answer = chain.bank.call(chain.a, "POST", "/shares/policies", json=shown)
    assert answer.json() == {
        "agreement_id": asks.agreement_id,
        "is_derivation_forbidden": False,
        "royalty_percent": 10,
    }
    assert chain.bank.call(chain.c, "POST", "/shares/policies", json=shown).json() == answer.json()
    for share, basis in ((99_999, "pct_of_gross"), (100_000, "pct_of_net")):
        refused = chain.register(chain.c, chain.sale, edge(asks, basis, share))
        assert (refused.status_code, refused.json()["type"]) == (
            422,
            "urn:idb:problem:split-plan-refused",
        )
    assert (
        chain.register(chain.c, chain.sale, edge(asks, "pct_of_gross", 100_000)).status_code == 200
    )
    policy = to_policy(Terms(derivation_forbidden=True), plan())
    forbids = agreement(chain.a, chain.c, plan(), name="forbids").model_copy(
        update={"policy_sha256": digest(policy)}
    )
    chain.bank.agree(forbids, chain.a, chain.c)
    shown = {"agreement_id": forbids.agreement_id, "policy": policy}
    assert chain.bank.call(chain.a, "POST", "/shares/policies", json=shown).status_code == 200
    refused = chain.register(
        chain.c,
        chain.sale,
        edge(forbids, "pct_of_gross", 1),
        request_id="r2",
        from_period="2026-12",
    )
    assert (refused.status_code, forbids.agreement_id in refused.text) == (422, True)


def test_a_later_plan_changes_nothing_of_what_was_sold_before(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.register_example()
    chain.sell(1)
    now = edge(chain.c_of_a, "pct_of_gross", 900_000)
    early = chain.register(chain.c, chain.sale, now, request_id="r2")
    assert (early.status_code, early.json()["type"]) == (422, "urn:idb:problem:split-plan-refused")
    later = chain.register(chain.c, chain.sale, now, request_id="r2", from_period="2026-12")
    assert later.json()["plan"]["number"] == 2
    chain.bank.clock.now = DECEMBER
    chain.sell(1, at=NOON)  # late: it was used in November
    chain.sell(1, at=DECEMBER)
    assert chain.royalties(chain.c) == {
        ("큐레이터", "광양제철"): 570 * WON,
        ("큐레이터", "탄소"): 380 * WON,
    }
    assert chain.royalties(chain.c, "2026-12") == {("큐레이터", "광양제철"): 900 * WON}
    ended = chain.register(chain.c, chain.sale, request_id="r3", from_period="2027-01")
    assert ended.status_code == 200
    assert chain.royalties(chain.c, "2027-01") == {}


def test_how_often_a_month_is_closed_changes_nothing(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.register_example()
    for _ in range(3):
        chain.sell(1)
        chain.close()
    assert chain.close().is_closed
    lines = [line for each in chain.statements(chain.a) for line in each.royalties_received or ()]
    assert sum(line.supply_won for line in lines) == 3 * 304
    assert sum(line.vat_won for line in lines) == 85 + 5
    assert len(lines) == 6


def test_a_plan_told_after_a_first_close_makes_a_run_of_its_own(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.sell(1)
    chain.close()
    chain.register_example()
    report = chain.bank.admin("GET", f"/periods/{PERIOD}/close").json()
    assert report["is_closed"] is False
    assert chain.close().is_closed
    (sold,) = chain.statements(chain.a)
    assert [line.supply_won for line in sold.royalties_received or ()] == [19, 285]


def test_only_what_was_collected_is_paid_on(chain: Chain, database_url: str) -> None:
    chain.register_example()
    chain.sell(1)  # Y has paid nothing
    chain.close()
    assert chain.payable(database_url) == {}
    chain.bank.deposit(chain.y, 1_000, deposit_id="some")
    # ₩100 are missing: C waits, and as it keeps more than that, the sources need not
    assert chain.payable(database_url) == {"광양제철": 333, "탄소": 189, "큐레이터": 423}


def test_a_royalty_is_a_supply_with_an_invoice_unless_it_passes_through(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.register(
        chain.c,
        chain.sale,
        edge(chain.c_of_a, "pct_of_gross", 300_000),
        edge(chain.c_of_b, "pct_of_gross", 200_000, role="agent"),
    )
    chain.sell(1)
    chain.close()
    answer = chain.bank.admin("GET", f"/admin/invoices/{PERIOD}")
    found = InvoiceList.model_validate(answer.json()).invoices
    between = {(each.seller.name, each.buyer.name): each for each in found}
    assert (
        between["광양제철", "큐레이터"].supply_won,
        between["광양제철", "큐레이터"].vat_won,
    ) == (300, 30)
    assert "로열티" in between["광양제철", "큐레이터"].lines[0].name
    assert ("탄소", "큐레이터") not in between
    (passed,) = chain.statements(chain.b)
    assert [(line.role, line.supply_won) for line in passed.royalties_received or ()] == [
        ("agent", 200)
    ]


def test_passbook_and_paper_tell_royalties_to_both_sides(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.register_example()
    chain.sell(1)
    chain.close()
    for who, other, amount in ((chain.c, "탄소", -209), (chain.b, "큐레이터", 209)):
        lines = chain.bank.call(who, "GET", "/passbook").json()["lines"]
        found = [
            line for line in lines if line["kind"] == "royalty" and line["counterparty"] == other
        ]
        assert [int(line["amount_micro"]) for line in found] == [amount * WON]
        assert [line["fee_micro"] for line in found] == ["0"]
        paper = chain.bank.call(who, "GET", f"/statements/{PERIOD}/pdf")
        assert paper.status_code == 200
        said = text_of(paper.content)
        assert ("낸 로열티" if who is chain.c else "받은 로열티") in said
        assert other in said


def test_what_the_operator_takes_of_royalties_is_told_on_the_line(
    tmp_path: Path, database_url: str
) -> None:
    with open_bank(tmp_path, database_url, royalty_fee_bps=1000) as bank:
        chain = Chain(bank)
        bank.deposit(chain.y, 10_000)
        chain.register_example()
        chain.sell(1)
        chain.close()
        (sold,) = chain.statements(chain.b)
        (line,) = sold.royalties_received or ()
        assert (line.supply_won, line.fee_won, line.fee_vat_won) == (190, 19, 1)
        assert line.net_won == 190 + 19 - 19 - 1
        (top,) = chain.statements(chain.c)
        assert [each.fee_won for each in top.royalties_paid or ()] == [0, 0]


def test_plans_and_royalties_cannot_be_changed(chain: Chain, database_url: str) -> None:
    chain.bank.deposit(chain.y, 10_000)
    chain.register_example()
    chain.sell(1)
    chain.close()
    database = Database(database_url)
    for statement in (
        "DELETE FROM clearing_split_plan",
        "UPDATE clearing_split_party SET party_id = 'x'",
        "UPDATE clearing_income_report SET seal = 'x'",
        "DELETE FROM clearing_royalty_line",
    ):
        with pytest.raises(Exception, match="append-only"), database.unit_of_work() as uow:
            uow.run(text(statement))
    with database.unit_of_work() as uow:  # each line names the entries that book it
        rows = uow.run(
            text("SELECT accrual_entry_id, cash_entry_id FROM clearing_royalty_line")
        ).all()
        assert len(rows) == 3
        assert all(None not in tuple(row) for row in rows)
    database.close()


def test_every_party_can_prove_its_royalties_and_no_source_learns_a_buyer(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 100_000)
    chain.register_example()
    for queries in (1, 3):
        chain.sell(queries)
        chain.close()
    chain.bank.clock.now = DECEMBER
    chain.sell(2, at=DECEMBER)
    chain.close("2026-12")
    chain.sell(1)  # late: November is stated a third time
    chain.close()
    for who in (chain.a, chain.b, chain.c, chain.y):
        for period, numbers in ((PERIOD, (1, 2, 3)), ("2026-12", (1,))):
            for number in numbers:
                path = f"/statements/{period}/bundle"
                answer = chain.bank.call(who, "GET", path, params={"number": number})
                assert answer.status_code == 200, answer.text
                proven = verify_bundle(answer.content)
                assert (proven.statement.period, proven.statement.number) == (period, number)
                if who in (chain.a, chain.b):
                    assert chain.y.id.encode() not in answer.content
                    assert "구매사".encode() not in answer.content
                    assert proven.records_count == 0


def test_plans_that_come_at_once_are_numbered_and_closes_meanwhile_stay_exact(chain: Chain) -> None:
    chain.bank.deposit(chain.y, 100_000)
    chain.register_example()
    chain.sell(1)
    months = ("2026-12", "2027-01", "2027-02", "2026-12")

    def tell(number: int) -> int:
        one = edge(chain.c_of_a, "pct_of_gross", number + 1)
        answer = chain.register(
            chain.c, chain.sale, one, request_id=f"at once {number}", from_period=months[number]
        )
        assert answer.status_code == 200, answer.text
        return int(answer.json()["plan"]["number"])

    with ThreadPoolExecutor(6) as pool:
        closed = [pool.submit(chain.close) for _ in range(2)]
        numbers = sorted(pool.map(tell, range(4)))
        assert all(each.result().is_closed for each in closed)
    assert numbers == [2, 3, 4, 5]
    lines = [line for each in chain.statements(chain.a) for line in each.royalties_received or ()]
    assert sum(line.supply_won for line in lines) == 304
    assert len(lines) == 2
