"""Invoices over HTTP: drafts name what is missing, and are complete once it was told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, Final

import pytest
from sqlalchemy import text

from clearing.invoices import service
from clearing.invoices.model import invoices_of
from databank.kit.db import Database
from schemas.invoice import Invoice, InvoiceList
from tests.support.bank import NOON, Bank, Company, Meter, agreement, company, plan

PERIOD = "2026-11"
WAIT_SECONDS: Final = 20.0
TOLD = {"representative": "홍길동", "address": "전남 광양시 폭포사랑길 1"}
ACCOUNT = {"bank": "004", "number": "123-456-789012", "holder": "광양제철"}


@pytest.fixture
def closed(bank: Bank, steel: Company, curator: Company) -> Bank:
    told, meter = agreement(steel, curator, plan(per_row=0.37)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 10_000)
    batch = meter.batch([meter.record(told, rows=10_000, at=NOON)])
    assert bank.send(steel, batch).status_code == 200
    assert bank.admin("POST", f"/periods/{PERIOD}/close").status_code == 200
    return bank


def _tell(bank: Bank, who: Company, told: dict[str, Any]) -> dict[str, Any]:
    answer = bank.call(who, "POST", "/billing-profile", json=told)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _invoices(bank: Bank, who: Company) -> tuple[Invoice, ...]:
    answer = bank.call(who, "GET", f"/invoices/{PERIOD}").json()
    return InvoiceList.model_validate(answer).invoices


def test_an_invoice_names_what_is_missing_until_it_is_told(
    closed: Bank, steel: Company, curator: Company
) -> None:
    (bought,) = _invoices(closed, curator)
    assert {(each.participant_name, each.field) for each in bought.missing} == {
        (name, field)
        for name in ("광양제철", "큐레이터")
        for field in ("representative", "address")
    }
    path = f"/invoices/{PERIOD}/{bought.invoice_id}/ubl"
    refused = closed.call(curator, "GET", path)
    assert refused.status_code == 409
    assert "광양제철: 대표자" in refused.json()["detail"]
    for who in (steel, curator):
        _tell(closed, who, TOLD)
    (complete,) = _invoices(closed, curator)
    assert complete.missing == ()
    assert complete.supply_won == 3_700
    answer = closed.call(curator, "GET", path)
    assert answer.headers["content-type"] == "application/xml"
    assert '<cbc:PayableAmount currencyID="KRW">4070<' in answer.text
    assert closed.admin("GET", f"/admin{path}").content == answer.content
    sold = [each.invoice_id for each in _invoices(closed, steel)]
    assert complete.invoice_id in sold
    assert len(sold) == 2  # and the operator's fee
    all_ = closed.admin("GET", f"/admin/invoices/{PERIOD}").json()["invoices"]
    assert {each["invoice_id"] for each in all_} == set(sold)


def test_what_a_buyer_still_owes_is_claimed_until_it_has_paid(
    bank: Bank, steel: Company, curator: Company
) -> None:
    told, meter = agreement(steel, curator, plan(per_row=0.37)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_000)
    batch = meter.batch([meter.record(told, rows=10_000, at=NOON)])
    assert bank.send(steel, batch).status_code == 200
    assert bank.admin("POST", f"/periods/{PERIOD}/close").status_code == 200
    assert {each.purpose_code for each in _invoices(bank, steel)} == {"02"}
    bank.deposit(curator, 5_000, deposit_id="rest")
    assert {each.purpose_code for each in _invoices(bank, steel)} == {"01"}


def test_money_moves_while_invoices_are_made(
    closed: Bank, curator: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The making is held up until money has moved, which it could not inside a transaction."""
    make, is_making, may_go_on = invoices_of, Event(), Event()

    def held_up(*args: Any, **options: Any) -> list[Invoice]:
        is_making.set()
        assert may_go_on.wait(WAIT_SECONDS)
        return make(*args, **options)

    monkeypatch.setattr(service, "invoices_of", held_up)
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(_invoices, closed, curator)
        try:
            assert is_making.wait(WAIT_SECONDS)
            assert closed.deposit(curator, 1, deposit_id="meanwhile").status_code == 200
            assert not making.done()
        finally:
            may_go_on.set()
        assert len(making.result()) == 1


def test_invoices_are_only_for_those_they_name(closed: Bank, curator: Company) -> None:
    other = company("other", "다른 회사")
    closed.join(other)
    assert _invoices(closed, other) == ()
    (bought,) = _invoices(closed, curator)
    path = f"/invoices/{PERIOD}/{bought.invoice_id}/ubl"
    assert closed.call(other, "GET", path).status_code == 404
    assert closed.http.get(f"{closed.url}/admin/invoices/{PERIOD}").status_code == 401


def test_a_billing_profile_keeps_every_change(
    bank: Bank, steel: Company, database_url: str
) -> None:
    assert bank.call(steel, "GET", "/billing-profile").json()["number"] == 0
    first = _tell(bank, steel, {**TOLD, "account": ACCOUNT})
    assert first["profile"]["account"]["number"] == "123456789012"
    assert _tell(bank, steel, {**TOLD, "account": ACCOUNT}) == first
    assert _tell(bank, steel, TOLD)["number"] == 2
    for id_, status in ((bank.did, 200), ("did:web:nobody.example", 404)):
        params = {"participant_id": id_}
        answer = bank.admin("POST", "/admin/billing-profile", params=params, json=TOLD)
        assert answer.status_code == status
    assert bank.call(steel, "POST", "/billing-profile", json={"ceo": "x"}).status_code == 422
    database = Database(database_url)
    with pytest.raises(Exception, match="append-only"), database.unit_of_work() as uow:
        uow.run(text("DELETE FROM clearing_billing"))
    database.close()
