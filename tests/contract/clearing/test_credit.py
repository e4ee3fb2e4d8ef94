"""Use within a credit limit, and what happens to who does not pay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from databank.cli.program import run
from schemas.bank import AgreementRecord
from tests.support.bank import ADMIN, NOON, Bank, Company, Meter, agreement, plan

WON = 10**6


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    made = agreement(steel, curator, plan(per_query=1_000))
    bank.agree(made, steel, curator)
    return made


def allow(bank: Bank, who: Company, won: int, *, days: int = 30) -> Any:
    body = {"participant_id": who.id, "limit_won": str(won), "term_days": days}
    return bank.admin("POST", "/admin/credits", json=body).json()


def credit(bank: Bank, who: Company) -> Any:
    return bank.call(who, "GET", "/balance").json()["credit"]


def use(bank: Bank, meter: Meter, told: AgreementRecord, times: int) -> None:
    records = [meter.record(told, at=bank.clock()) for _ in range(times)]
    assert bank.send(meter.supplier, meter.batch(records)).status_code == 200


def test_without_credit_use_is_paid_before(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    assert credit(bank, curator) is None
    assert bank.grant(steel, told, minimum=1_000, wanted=1_000).status_code == 402
    use(bank, Meter(steel), told, 1)  # came late: it is owed
    bank.deposit(curator, 500)
    assert bank.grant(steel, told, minimum=1, wanted=1).json()["type"] == (
        "urn:idb:problem:receivable-open"
    )


def test_grants_reach_to_the_deposit_and_the_limit_together(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    bank.deposit(curator, 3_300)
    assert allow(bank, curator, 2_200)["left_micro"] == str(2_200 * WON)
    given = bank.grant(steel, told, minimum=1_000, wanted=9_000, grant_id="g1").json()
    assert given["amount_micro"] == str(5_000 * WON)
    assert bank.grant(steel, told, minimum=1_000, wanted=9_000, grant_id="g1").json() == given
    assert bank.balance(curator)["held"] == 3_300 * WON
    assert credit(bank, curator)["left_micro"] == "0"
    refused = bank.grant(steel, told, minimum=1, wanted=1, grant_id="g2")
    assert refused.json()["type"] == "urn:idb:problem:insufficient-balance"
    use(bank, Meter(steel), told, 5)
    balance = bank.balance(curator)
    assert (balance["deposit"], balance["receivable"]) == (0, 2_200 * WON)
    stands = credit(bank, curator)
    assert (stands["status"], stands["owed_micro"]) == ("current", str(2_200 * WON))
    bank.clock.advance(seconds=301)  # the grants are over: what is owed still counts
    assert credit(bank, curator)["left_micro"] == "0"
    bank.deposit(curator, 1_100, deposit_id="bank-2")
    assert credit(bank, curator)["left_micro"] == str(1_100 * WON)
    assert bank.grant(steel, told, minimum=1_000, wanted=1_000, grant_id="g3").is_success


def test_grants_at_once_never_pass_the_limit(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    allow(bank, curator, 11_000)

    def ask(number: int) -> int:
        answer = bank.grant(
            steel, told, minimum=1_000, wanted=1_000 + number, grant_id=f"g{number}"
        )
        return int(answer.json()["amount_micro"]) if answer.is_success else 0

    with ThreadPoolExecutor(6) as pool:
        granted = sum(pool.map(ask, range(24)))
    assert 9_000 * WON < granted <= 10_000 * WON
    left = int(credit(bank, curator)["left_micro"])
    assert left == 11_000 * WON - granted - granted // 10


def test_who_does_not_pay_is_reminded_suspended_and_ended_and_paying_restores(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    allow(bank, curator, 100_000, days=10)
    meter = Meter(steel)
    assert bank.grant(steel, told, minimum=1_000, wanted=1_000, grant_id="g0").is_success
    use(bank, meter, told, 1)
    bank.clock.advance(days=5)
    use(bank, meter, told, 1)
    seen = []
    for days in range(60):
        bank.clock.now = NOON
        bank.clock.advance(days=days)
        stands = credit(bank, curator)
        asked = bank.grant(steel, told, minimum=1_000, wanted=1_000, grant_id=f"on-{days}")
        assert asked.is_success == (stands["status"] in {"current", "notice", "reminder"})
        if not asked.is_success:
            assert asked.json()["type"] == "urn:idb:problem:credit-stopped"
            assert asked.json()["days_overdue"] == days - 10
        seen.append(stands["status"])
    counted = {status: seen.count(status) for status in dict.fromkeys(seen)}
    assert counted == {"current": 11, "notice": 6, "reminder": 7, "suspended": 31, "terminated": 5}
    listed = bank.admin("GET", "/admin/credits").json()["credits"]
    assert [(c["status"], c["days_overdue"]) for c in listed] == [("terminated", 49)]
    # what was owed first is paid first: the second act is due five days later
    bank.deposit(curator, 1_100)
    stands = credit(bank, curator)
    assert (stands["owed_micro"], stands["days_overdue"]) == (str(1_100 * WON), 44)
    assert stands["status"] == "suspended"
    bank.deposit(curator, 1_100, deposit_id="bank-2")
    assert credit(bank, curator)["status"] == "current"
    assert bank.grant(steel, told, minimum=1_000, wanted=1_000, grant_id="again").is_success


def test_credit_is_for_participants_and_within_bounds(bank: Bank, curator: Company) -> None:
    body = {"participant_id": "did:web:nobody", "limit_won": "5", "term_days": 3}
    assert bank.admin("POST", "/admin/credits", json=body).status_code == 404
    for wrong in ({"limit_won": "-1"}, {"term_days": 181}, {"limit_won": "x"}):
        sent = {**body, "participant_id": curator.id, **wrong}
        assert bank.admin("POST", "/admin/credits", json=sent).status_code == 422
    assert bank.call(curator, "POST", "/admin/credits", json=body).status_code in {401, 403}


def test_the_operator_lists_credit_at_the_command_line(
    bank: Bank, curator: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    allow(bank, curator, 5_000)
    environment = {
        "DATABANK_CLEARING_URL": bank.url,
        "DATABANK_CLEARING_TOKEN": ADMIN,
        "LANG": "ko_KR.UTF-8",
    }
    capsys.readouterr()
    assert run(("operator", "credit"), environment) == 0
    said = capsys.readouterr().out
    assert "₩5,000" in said
    assert "정상" in said
    assert run(("operator", "credit", "curator"), environment) != 0
    assert "1000000" in capsys.readouterr().err
