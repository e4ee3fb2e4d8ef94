"""Agreements and negotiations that end: by a side's word, or because their time is up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from databank.kit.clock import new_urn
from schemas.approval import Approval
from schemas.terms import Terms
from tests.support.connectors import MovedClock, Registry, Running, connector, publish
from tests.support.haggling import ask, inbox_of, wait_for_turn
from tests.support.use import BOTH, contract, put_file, wait_until

COUNT = "SELECT count(*) FROM $data"


@dataclass(frozen=True)
class Sides:
    supplier: Running
    buyer: Running
    clock: MovedClock

    def move(self, **ahead: float) -> None:
        """Let time pass on both sides, and wake who waits for it."""
        self.clock.ahead += timedelta(**ahead)
        for side in (self.supplier, self.buyer):
            side.runtime.deadlines.give()


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    registry, clock = Registry(), MovedClock()
    with (
        connector(tmp_path / "supplier", registry, "supplier", clock=clock) as supplier,
        connector(tmp_path / "buyer", registry, "buyer", clock=clock) as buyer,
    ):
        yield Sides(supplier, buyer, clock)


def end(running: Running, agreement_id: str, **said: str) -> httpx.Response:
    return running.manage("POST", f"/agreements/{agreement_id}/termination", json=said)


def agreement_of(running: Running) -> dict[str, Any]:
    agreement: dict[str, Any] = running.manage("GET", "/agreements").json()["agreements"][0]
    return agreement


@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_either_side_ends_an_agreement_and_the_next_use_is_refused(sides: Sides, who: str) -> None:
    held = contract(sides.buyer, sides.supplier, put_file(sides.supplier))
    assert held.query(COUNT).status_code == 200
    ender = sides.supplier if who == "supplier" else sides.buyer
    ended = end(ender, held.agreement_id, code="breach", reason="재배포가 확인됨").json()
    assert (ended["is_over"], ended["end"]["by"]) == (True, ender.runtime.did)
    assert held.query(COUNT).status_code in {403, 409}
    for side in (sides.supplier, sides.buyer):
        wait_until(lambda side=side: agreement_of(side)["is_over"], "both sides know")  # type: ignore[misc]
        told = agreement_of(side)["end"]
        assert (told["code"], told["reason"]) == ("breach", "재배포가 확인됨")
    refused = held.query(COUNT)
    assert (refused.status_code, refused.json()["code"]) == (409, "breach")
    assert "재배포가 확인됨" in refused.json()["detail"]
    assert end(ender, held.agreement_id, reason="또").status_code == 409
    assert sides.buyer.manage("GET", f"/agreements?ref=supplier.{held.name}").json() == {
        "agreements": []
    }


def test_an_ended_agreement_is_refused_at_the_supplier_even_if_the_buyer_has_not_heard(
    sides: Sides,
) -> None:
    """The data address of the buyer is still good as far as it knows."""
    held = contract(sides.buyer, sides.supplier, put_file(sides.supplier))
    assert held.read(Range="bytes=0-99").status_code == 206
    sides.supplier.app.state.dispatcher.stop()  # nothing is told
    end(sides.supplier, held.agreement_id, code="breach", reason="재배포")
    refused = held.read(Range="bytes=0-99")
    assert refused.status_code == 403, refused.text
    assert held.decisions(sides.buyer)[0]["code"] == "agreement_terminated"


def test_an_end_that_calls_itself_expired_counts_like_any_other(sides: Sides) -> None:
    """The code is the ender's word; only the agreement's own time makes an expiry."""
    held = contract(sides.buyer, sides.supplier, put_file(sides.supplier))
    assert held.read(Range="bytes=0-99").status_code == 206
    sides.supplier.app.state.dispatcher.stop()  # the buyer hears nothing
    end(sides.supplier, held.agreement_id, code="expired", reason="끝")
    assert held.read(Range="bytes=0-99").status_code == 403
    assert held.decisions(sides.buyer)[0]["code"] == "agreement_terminated"


def test_only_a_party_ends_an_agreement(sides: Sides, tmp_path: Path) -> None:
    held = contract(sides.buyer, sides.supplier, put_file(sides.supplier))
    registry = Registry(sides.supplier.runtime.directory._lookup.__self__.participants)  # type: ignore[attr-defined]
    with connector(tmp_path / "other", registry, "other", clock=sides.clock) as other:
        headers = other.runtime.client.authorization(sides.supplier.runtime.did)
        body = {"agreement_id": held.agreement_id, "code": "other", "reason": "x"}
        url = f"{sides.supplier.url}/agreements/terminations"
        assert other.http.post(url, json=body, headers=headers).status_code == 404
        unknown = {**body, "agreement_id": new_urn()}
        assert other.http.post(url, json=unknown, headers=headers).status_code == 404
    assert not agreement_of(sides.supplier)["is_over"]


def test_an_agreement_whose_time_is_up_ends_by_itself_on_both_sides(sides: Sides) -> None:
    terms = Terms(modes=BOTH, valid_days=30)
    held = contract(sides.buyer, sides.supplier, put_file(sides.supplier, terms=terms))
    assert held.query(COUNT).status_code == 200
    transfer = agreement_of(sides.buyer)["transfer_pid"]
    sides.move(days=29)
    assert not agreement_of(sides.buyer)["is_over"]
    assert held.query(COUNT).status_code == 200
    sides.move(days=1, seconds=1)

    def shown() -> dict[str, Any]:
        answer: dict[str, Any] = sides.buyer.manage("GET", f"/transfers/{transfer}").json()
        return answer

    wait_until(lambda: shown()["state"] == "TERMINATED", "the supplier ends the transfer process")
    assert shown()["reason_code"] == "expired"
    for side in (sides.supplier, sides.buyer):
        wait_until(lambda side=side: "end" in agreement_of(side), "both close it")  # type: ignore[misc]
        assert agreement_of(side)["end"]["code"] == "expired"
    refused = held.query(COUNT)
    assert (refused.status_code, refused.json()["code"]) == (409, "expired")


def test_a_proposal_that_nobody_answers_ends_both_sides(sides: Sides) -> None:
    published = publish(sides.supplier.runtime, "energy")
    path = f"/publications/{published.dataset.id}"
    sides.supplier.manage("PATCH", path, json={"approval": Approval.MANUAL.value})
    pid = ask(sides.buyer, sides.supplier, published)
    waiting = wait_for_turn(sides.supplier)
    assert waiting["expires_at"] > waiting["updated_at"]
    sides.move(days=13.9)
    assert inbox_of(sides.supplier)
    sides.move(days=0.2)
    for side, own in ((sides.supplier, waiting["pid"]), (sides.buyer, pid)):
        path = f"/negotiations/{own}"
        wait_until(lambda s=side, p=path: s.manage("GET", p).json()["state"] == "TERMINATED", path)  # type: ignore[misc]
        assert side.manage("GET", path).json()["reason_code"] == "no-answer"
        assert not inbox_of(side)
