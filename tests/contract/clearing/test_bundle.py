"""Bundles over HTTP, from both databases, between statements of two months."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from clearing.bundle.service import NotProvableError
from clearing.bundle.verify import verify_bundle
from schemas.bank import Statement
from tests.contract.clearing.test_statements import DECEMBER, PERIODS, _make_deals, _use
from tests.support.bank import Bank, Company, Meter, agreement, company, plan
from tests.support.ledger import open_ledger


def test_each_party_can_prove_each_of_its_statements(
    bank: Bank, steel: Company, curator: Company
) -> None:
    deals = _make_deals(bank, steel, curator)
    bank.clock.now = DECEMBER
    _use(bank, deals)
    key = bank.http.get(f"{bank.url}/log/key").text
    people = {party.id: party for supplier, buyer, _ in deals for party in (supplier, buyer)}
    proven = 0
    for period in PERIODS:
        issued = bank.admin("POST", f"/periods/{period}/statements").json()["statements"]
        for document in issued:
            statement = Statement.model_validate(document)
            who = people[statement.participant_id]
            path = f"/statements/{period}/bundle?number={statement.number}"
            answer = bank.call(who, "GET", path)
            assert answer.status_code == 200, answer.text
            assert verify_bundle(answer.content, log_key=key).statement == statement
            proven += 1
    assert proven > 10


def test_a_bundle_is_its_owners_and_without_a_number_it_is_the_latest(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_query=0.6))
    bank.agree(told, steel, curator)
    meter = Meter(steel)
    assert bank.call(curator, "GET", "/statements/2026-11/bundle").status_code == 404
    for number in (1, 2):
        bank.send(steel, meter.batch([meter.record(told)]))
        bank.admin("POST", "/periods/2026-11/statements")
        latest = bank.call(curator, "GET", "/statements/2026-11/bundle")
        statement = verify_bundle(latest.content).statement
        assert (statement.number, statement.participant_id) == (number, curator.id)
    assert bank.call(curator, "GET", "/statements/2026-11/bundle?number=3").status_code == 404
    assert bank.http.get(f"{bank.url}/statements/2026-11/bundle").status_code == 401


def test_the_title_of_a_sealed_agreement_stays(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told = agreement(steel, curator, plan(per_query=10))
    bank.agree(told, curator, steel)
    renamed = told.model_copy(update={"dataset_title": "다른 제목"})
    assert bank.call(steel, "POST", "/agreements", json=renamed.to_json()).status_code == 200
    meter = Meter(steel)
    bank.send(steel, meter.batch([meter.record(told)]))
    bank.admin("POST", "/periods/2026-11/statements")
    content = bank.call(steel, "GET", "/statements/2026-11/bundle").content
    assert verify_bundle(content).statement.sales[0].dataset_title == told.dataset_title


def test_a_statement_from_before_the_log_stops_only_bundles_that_follow_from_it() -> None:
    steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
    old, new = (agreement(steel, curator, plan(per_query=10), name=name) for name in ("old", "new"))
    meter = Meter(steel)
    with open_ledger() as ledger:
        for told in (old, new):
            ledger.agree(told, steel, curator)
            ledger.send(steel, meter.batch([meter.record(told)]))
            ledger.issue("2026-11")
        with ledger.database.unit_of_work() as uow:
            uow.run(text("DROP TRIGGER clearing_statement_no_update"))
            uow.run(text("UPDATE clearing_statement SET seal = NULL WHERE number = 1"))
        assert verify_bundle(ledger.bundle(steel, "2026-11", 2)).statement.number == 2
        with pytest.raises(NotProvableError):
            ledger.bundle(steel, "2026-11", 1)
        ledger.send(steel, meter.batch([meter.record(old)]))
        ledger.issue("2026-11")
        with pytest.raises(NotProvableError):
            ledger.bundle(steel, "2026-11", 3)
