"""Approval by rule or by people, counter-offers, and why a negotiation fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.offering import store as offerings
from connector.offering.model import Published
from schemas.approval import Approval
from schemas.ids import DatasetId
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import wait
from tests.support.haggling import answer, ask, inbox_of, wait_for_turn

LISTED = PricePlan(components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=100_000_000),))
CHEAPER = {"components": [{"kind": "per_query", "amount_micro": "60000000"}], "currency": "KRW"}
MIDDLE = {"components": [{"kind": "per_query", "amount_micro": "80000000"}], "currency": "KRW"}


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    registry = Registry()
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        yield supplier, buyer


def offered(supplier: Running, approval: Approval) -> Published:
    published = publish(supplier.runtime, "energy", terms=Terms(valid_days=30), plan=LISTED)
    path = f"/publications/{published.dataset.id}"
    changed = supplier.manage("PATCH", path, json={"approval": approval.value})
    assert changed.json()["approval"] == approval.value
    with supplier.runtime.database.unit_of_work() as uow:
        stored = offerings.get(uow, published.dataset.id)
    assert stored is not None
    assert stored.offer_id == published.offer_id  # how it is approved is no part of the offer
    return stored


def proposal(plan: dict[str, Any], **terms: Any) -> dict[str, Any]:
    return {"terms": Terms(valid_days=30).to_json() | terms, "plan": plan}


def test_an_offer_as_it_stands_waits_for_a_manual_supplier_and_is_agreed_on_its_word(
    sides: tuple[Running, Running],
) -> None:
    supplier, buyer = sides
    pid = ask(buyer, supplier, offered(supplier, Approval.MANUAL))
    waiting = wait_for_turn(supplier)
    assert waiting["awaits_us"]
    assert [r["by"] for r in waiting["rounds"]] == ["provider", "consumer"]
    assert waiting["rounds"][1]["changes"] == []
    assert answer(supplier, waiting, kind="accept").status_code == 200
    assert wait(buyer, f"/negotiations/{pid}")["state"] == "FINALIZED"
    assert inbox_of(supplier) == []


def test_both_sides_counter_until_one_accepts(sides: tuple[Running, Running]) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.NEGOTIABLE)
    pid = ask(buyer, supplier, published, proposal=proposal(CHEAPER, queries_max=500))
    asked = wait_for_turn(supplier)
    assert {c["field"] for c in asked["rounds"][-1]["changes"]} == {"plan", "queries_max"}
    assert "₩100 " in asked["rounds"][-1]["changes"][0]["before"]["ko"]
    assert "₩60 " in asked["rounds"][-1]["changes"][0]["after"]["ko"]
    countered = answer(supplier, asked, kind="counter", proposal=proposal(MIDDLE, valid_days=10))
    assert countered.json()["state"] == "OFFERED"

    seen = wait_for_turn(buyer)
    assert seen["pid"] == pid
    fields = {c["field"] for c in seen["rounds"][-1]["changes"]}
    assert fields == {"plan", "queries_max", "valid_days"}
    assert answer(buyer, seen, kind="accept").json()["state"] == "ACCEPTED"
    ended = wait(buyer, f"/negotiations/{pid}")
    assert ended["state"] == "FINALIZED", ended
    held = buyer.manage("GET", "/agreements").json()["agreements"][0]
    theirs = supplier.manage("GET", "/agreements").json()["agreements"][0]
    assert held["policy"] == theirs["policy"]
    assert "80000000" in str(held["policy"]["obligation"])
    assert held["ends_at"] is not None


def test_a_counter_request_to_a_counter_offer_goes_back_to_the_supplier(
    sides: tuple[Running, Running],
) -> None:
    supplier, buyer = sides
    ask(buyer, supplier, offered(supplier, Approval.MANUAL))
    answer(supplier, wait_for_turn(supplier), kind="counter", proposal=proposal(MIDDLE))
    answer(buyer, wait_for_turn(buyer), kind="counter", proposal=proposal(CHEAPER))
    again = wait_for_turn(supplier)
    assert [r["by"] for r in again["rounds"]] == ["provider", "consumer", "provider", "consumer"]
    assert answer(supplier, again, kind="accept").json()["state"] == "AGREED"


@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_a_refusal_tells_its_kind_and_its_words(sides: tuple[Running, Running], who: str) -> None:
    supplier, buyer = sides
    pid = ask(buyer, supplier, offered(supplier, Approval.MANUAL))
    waiting = wait_for_turn(supplier)
    if who == "buyer":
        answer(supplier, waiting, kind="counter", proposal=proposal(MIDDLE))
        waiting = wait_for_turn(buyer)
    refuser, other = (supplier, buyer) if who == "supplier" else (buyer, supplier)
    said = answer(refuser, waiting, kind="refuse", code="price", reason="예산을 넘습니다")
    assert said.json()["state"] == "TERMINATED"
    pids = {"buyer": pid, "supplier": waiting["provider_pid"]}
    seen = wait(other, f"/negotiations/{pids['buyer' if other is buyer else 'supplier']}")
    assert (seen["reason_code"], seen["reason"]) == ("price", "예산을 넘습니다")


def test_an_automatic_supplier_refuses_other_terms_at_once(sides: tuple[Running, Running]) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.AUTOMATIC)
    pid = ask(buyer, supplier, published, proposal=proposal(CHEAPER))
    ended = wait(buyer, f"/negotiations/{pid}")
    assert (ended["state"], ended["reason_code"]) == ("TERMINATED", "terms-differ")


def test_terms_that_nobody_could_enforce_are_refused_and_never_wait(
    sides: tuple[Running, Running],
) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.MANUAL)
    strange = {**published.offer(), "prohibition": [{"action": "sell"}]}
    pid = ask(buyer, supplier, published, policy=strange)
    ended = wait(buyer, f"/negotiations/{pid}")
    assert (ended["state"], ended["reason_code"]) == ("TERMINATED", "unknown-term")


def test_a_listing_that_changed_meanwhile_is_refused_as_such(
    sides: tuple[Running, Running],
) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.NEGOTIABLE)
    path = f"/publications/{published.dataset.id}"
    supplier.manage("PATCH", path, json={"plan": MIDDLE})
    ended = wait(buyer, f"/negotiations/{ask(buyer, supplier, published)}")
    assert (ended["state"], ended["reason_code"]) == ("TERMINATED", "unknown-offer")


def test_nobody_answers_twice_or_what_they_have_not_seen(sides: tuple[Running, Running]) -> None:
    supplier, buyer = sides
    ask(buyer, supplier, offered(supplier, Approval.MANUAL))
    waiting = wait_for_turn(supplier)
    stale = answer(supplier, {**waiting, "rounds": waiting["rounds"][:1]}, kind="accept")
    assert (stale.status_code, stale.json()["type"]) == (409, "urn:idb:problem:not-our-turn")
    same = answer(supplier, waiting, kind="counter", proposal=waiting["rounds"][-1]["proposal"])
    assert same.status_code == 422
    assert "수락" in same.json()["detail"]
    assert answer(supplier, waiting, kind="refuse").status_code == 200
    again = answer(supplier, waiting, kind="accept")
    assert (again.status_code, "끝난" in again.json()["detail"]) == (409, True)


def test_terms_whose_time_is_over_can_be_neither_offered_nor_accepted(
    sides: tuple[Running, Running],
) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.MANUAL)
    ask(buyer, supplier, published)
    past = proposal(MIDDLE, valid_until="2020-01-01T00:00:00Z")
    refused = answer(supplier, wait_for_turn(supplier), kind="counter", proposal=past)
    assert (refused.status_code, refused.json()["code"]) == (409, "expired")
    ended = wait(buyer, f"/negotiations/{ask(buyer, supplier, published, proposal=past)}")
    assert (ended["state"], ended["reason_code"]) == ("TERMINATED", "expired")


def test_the_listing_says_how_requests_are_approved(sides: tuple[Running, Running]) -> None:
    supplier, buyer = sides
    published = offered(supplier, Approval.MANUAL)
    headers = buyer.runtime.client.authorization(supplier.runtime.did)
    path = f"{supplier.url}/dsp/2025-1/catalog/datasets/{DatasetId(published.dataset.id)}"
    wire = buyer.http.get(path, headers=headers).json()
    assert wire["urn:idb:approval:1"] == "manual"
