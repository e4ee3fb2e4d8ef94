"""From a deposit to a statement, through the real service."""

from __future__ import annotations

import hashlib
import json

from schemas.bank import Statement
from schemas.canonical import canonical_bytes
from schemas.signature import PublicKey
from schemas.usage import verify_receipt
from tests.support.bank import Bank, Company, Meter, agreement, plan

WON = 1_000_000


def test_usage_is_charged_to_the_deposit_and_stated_to_both_parties_in_the_same_won(
    bank: Bank, steel: Company, curator: Company
) -> None:
    # given an active agreement at 1.5 won a row, and 10,000 won in the deposit
    told = agreement(steel, curator, plan(per_row=1.5))
    bank.agree(told, steel, curator)
    assert bank.deposit(curator, 10_000).json()["available_micro"] == str(10_000 * WON)

    # when the supplier asks for a grant of 3,000 won and delivers 1,001 rows
    grant = bank.grant(steel, told, minimum=1_000, wanted=3_000).json()
    assert grant["amount_micro"] == str(3_000 * WON)
    assert bank.balance(curator)["held"] == 3_300 * WON
    meter = Meter(steel)
    answer = bank.send(steel, meter.batch([meter.record(told, rows=1_001)]))

    # then the charge with VAT left the deposit, the rest of the hold is still held
    assert answer.status_code == 200, answer.text
    charge, vat, fee, fee_vat = 1_501_500_000, 150_150_000, 75_075_000, 7_507_500
    assert bank.balance(curator) == {
        "deposit": 10_000 * WON - charge - vat,
        "held": 3_300 * WON - charge - vat,
        "available": 6_700 * WON,
        "earned": 0,
        "receivable": 0,
    }
    assert bank.balance(steel)["earned"] == charge + vat - fee - fee_vat

    # and the receipt verifies under the key in clearing's DID document
    method = bank.http.get(f"{bank.url}/.well-known/did.json").json()["verificationMethod"][0]
    key = PublicKey(method["id"], method["publicKeyJwk"])
    receipt = verify_receipt(answer.json()["receipt"], key)
    assert (receipt.charged_micro, receipt.next_seq, receipt.entries_count) == (charge, 2, 1)

    # and both statements show the same supply and VAT in whole won
    issued = bank.admin("POST", "/periods/2026-11/statements").json()["statements"]
    by_party = {s["participant_id"]: Statement.model_validate(s) for s in issued}
    bought, sold = by_party[curator.id].purchases[0], by_party[steel.id].sales[0]
    assert (bought.supply_won, bought.vat_won) == (sold.supply_won, sold.vat_won) == (1_501, 150)
    assert (sold.fee_won, sold.fee_vat_won, sold.net_won) == (75, 7, 1_501 + 150 - 75 - 7)
    assert by_party[curator.id].purchases_total_won == bought.net_won == 1_651
    books = bank.admin("GET", "/trial-balance").json()
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]
    assert int(books["cash_debits_won"]) == 10_000 + 1_651
    assert books["records_count"] == 1


def test_a_statement_is_never_changed_but_followed_by_another(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_query=0.6))
    bank.agree(told, steel, curator)
    bank.deposit(curator, 100)
    meter = Meter(steel)
    bank.send(steel, meter.batch([meter.record(told)]))
    first = bank.admin("POST", "/periods/2026-11/statements").json()
    assert bank.admin("POST", "/periods/2026-11/statements").json() == first

    # when more of the same month arrives
    bank.send(steel, meter.batch([meter.record(told)]))
    second = bank.admin("POST", "/periods/2026-11/statements").json()

    # then the first statements stand, and the further ones carry the part of a won: 1.2 in all
    mine = [s for s in second["statements"] if s["participant_id"] == curator.id]
    assert [s for s in second["statements"] if s["number"] == 1] == first["statements"]
    assert [s["statement_id"] for s in mine] == ["2026-11-curator-1", "2026-11-curator-2"]
    assert [s["purchases"][0]["supply_won"] for s in mine] == ["0", "1"]
    latest = bank.call(curator, "GET", "/statements/2026-11")
    assert latest.json() == mine[1]
    assert bank.call(curator, "GET", "/statements/2026-11?number=1").json() == mine[0]
    assert latest.headers["Databank-Statement-Sha256"] == (
        hashlib.sha256(canonical_bytes(json.loads(latest.content))).hexdigest()
    )
    assert bank.call(curator, "GET", "/statements/2026-12").status_code == 404
