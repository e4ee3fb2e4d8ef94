"""Both sides tell an agreement before it is billable."""

from __future__ import annotations

from tests.support.bank import BROKER_URL, Bank, Company, agreement, company, plan


def test_an_agreement_is_active_once_both_sides_told_the_same(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    first = bank.call(steel, "POST", "/agreements", json=told.to_json())
    assert (first.status_code, first.json()["status"]) == (200, "half_confirmed")
    again = bank.call(steel, "POST", "/agreements", json=told.to_json())
    assert again.json()["status"] == "half_confirmed"
    both = bank.call(curator, "POST", "/agreements", json=told.to_json())
    assert both.json()["status"] == "active"
    for party in (steel, curator):
        answer = bank.call(party, "GET", f"/agreements/{told.agreement_id}")
        assert answer.json() == {"agreement_id": told.agreement_id, "status": "active"}


def test_the_consumers_word_alone_does_not_make_an_agreement_active(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    for _ in range(2):
        answer = bank.call(curator, "POST", "/agreements", json=told.to_json())
        assert answer.json()["status"] == "half_confirmed"
    bank.agree(told, steel)
    answer = bank.call(steel, "GET", f"/agreements/{told.agreement_id}")
    assert answer.json()["status"] == "active"


def test_sides_that_tell_different_things_are_told_which(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1))
    cheaper = told.model_copy(update={"plan": plan(per_row=0.5)})
    bank.call(steel, "POST", "/agreements", json=told.to_json())
    refused = bank.call(curator, "POST", "/agreements", json=cheaper.to_json())
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:idb:problem:agreement-conflict"
    assert refused.json()["fields"] == ["plan"]


def test_strangers_neither_tell_nor_see_an_agreement(
    bank: Bank, steel: Company, curator: Company
) -> None:
    stranger = company("stranger", "남")
    bank.join(stranger)
    told = agreement(steel, curator, plan())
    bank.agree(told, steel, curator)
    assert bank.call(stranger, "POST", "/agreements", json=told.to_json()).status_code == 403
    assert bank.call(stranger, "GET", f"/agreements/{told.agreement_id}").status_code == 404
    records = f"/usage/records?agreement_id={told.agreement_id}"
    assert bank.call(stranger, "GET", records).status_code == 404


def test_nobody_agrees_with_itself(bank: Bank, steel: Company) -> None:
    told = agreement(steel, steel, plan())
    assert bank.call(steel, "POST", "/agreements", json=told.to_json()).status_code == 422


OWN = ("/balance", "/passbook", "/statements/2026-11", "/usage/stream?epoch=1")
OPERATORS = (
    ("POST", "/deposits"),
    ("POST", "/deposits/reversals"),
    ("POST", "/periods/2026-11/statements"),
    ("GET", "/trial-balance"),
    ("GET", "/admin/balance?participant_id=x"),
    ("GET", "/admin/passbook?participant_id=x"),
    ("GET", "/admin/statements/2026-11"),
    ("GET", "/admin/payments?period=2026-11"),
)


def test_unregistered_companies_are_refused(bank: Bank) -> None:
    nobody = company("nobody", "없음")
    for path in OWN:
        assert bank.call(nobody, "GET", path).status_code == 401
        assert bank.http.get(bank.url + path).status_code == 401


def test_the_operators_routes_need_the_admin_token(bank: Bank, steel: Company) -> None:
    bodies = {
        "/deposits": {"deposit_id": "d", "participant_id": steel.id, "amount_won": "1"},
        "/deposits/reversals": {"deposit_id": "d", "reason": "r"},
    }
    for method, path in OPERATORS:
        body = bodies.get(path)
        assert bank.call(steel, method, path, json=body).status_code == 401
        assert bank.http.request(method, bank.url + path, json=body).status_code == 401


def test_only_the_broker_sends_notices(bank: Bank, steel: Company) -> None:
    broker = company("broker", "중개소", url=BROKER_URL)
    bank.join(broker)
    notice = {"participant_id": steel.id}
    assert bank.call(steel, "POST", "/registry/notices", json=notice).status_code == 403
    assert bank.call(broker, "POST", "/registry/notices", json=notice).status_code == 204


def test_texts_that_a_database_cannot_hold_are_refused_not_a_crash(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_row=1), name="nul\x00")
    for answer in (
        bank.call(steel, "POST", "/agreements", json=told.to_json()),
        bank.grant(steel, told, minimum=0, wanted=1),
        bank.call(steel, "GET", "/usage/records?agreement_id=%00"),
        bank.admin("GET", "/admin/balance?participant_id=%00"),
    ):
        assert answer.status_code < 500, answer.text
