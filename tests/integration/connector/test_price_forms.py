"""Every form of price: what is quoted is what the supplier charges and what clearing books."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from databank.kit.clock import new_urn
from schemas.management import AgreementList
from schemas.price_form import parse_plan
from schemas.terms import from_policy
from tests.support.connectors import Running
from tests.support.use import ADMIN, Contract, contract, put_file, wait_until

DEPOSIT_WON = 10_000_000
ROWS_ASKED = (3, 40, 0, 12, 900, 1)  # of one query after the other
PRICES = (
    "month=3000 row=1/free:20/monthly",
    "query=100/free:2 row=0.7/over:10:0.3/over:50:0",
    "row=5/over:40:2/volume mb=3",
    "row=90/block:25 once=7",
    "row=4 query=30 minimum=500 cap=900",
    "mb=70000/over:1:100/monthly row=1 cap=1500",
)


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


def deposited(buyer: Running) -> int:
    return int(buyer.manage("GET", "/balance").json()["deposit_micro"])


def first_query(made: Contract, sql: str) -> httpx.Response:
    """Ask until both sides have told clearing the agreement."""
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(made.query(sql))
        return answers[-1].status_code != 503

    wait_until(is_answered, "clearing knows the agreement")
    return answers[-1]


def test_the_quote_is_the_charge_and_what_clearing_books(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    answer = httpx.post(
        f"{clearing}/deposits",
        json={
            "deposit_id": new_urn(),
            "participant_id": buyer.runtime.did,
            "amount_won": str(DEPOSIT_WON),
        },
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    assert answer.status_code == 200, answer.text
    charged = acts = 0
    for text in PRICES:
        plan = parse_plan(text)
        made = contract(buyer, supplier, put_file(supplier, plan=plan))
        for rows in ROWS_ASKED:
            sql = f"SELECT kwh FROM $data LIMIT {rows}"
            quote = made.quote(sql).json()
            delivered = first_query(made, sql)
            assert delivered.status_code == 200, (text, rows, delivered.text)
            charge = int(delivered.headers["databank-charge-micro"])
            vat = int(delivered.headers["databank-vat-micro"])
            assert (str(charge), str(vat)) == (quote["charge_micro"], quote["vat_micro"]), text
            charged, acts = charged + charge + vat, acts + 1

    def is_booked() -> bool:
        return bool(supplier.manage("GET", "/meter").json()["acknowledged"] == acts)

    wait_until(is_booked, "clearing books all acts")
    assert DEPOSIT_WON * 10**6 - deposited(buyer) == charged > 0


def test_a_form_stands_in_the_offer_as_it_was_published(supplier: Running, buyer: Running) -> None:
    for text in PRICES:
        plan = parse_plan(text)
        published = put_file(supplier, plan=plan)
        made = contract(buyer, supplier, published)
        held = AgreementList.model_validate(buyer.manage("GET", "/agreements").json())
        (agreed,) = (a for a in held.agreements if a.agreement_id == made.agreement_id)
        assert from_policy(agreed.policy)[1] == plan
