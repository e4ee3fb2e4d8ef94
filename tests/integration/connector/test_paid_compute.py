"""Queries paid by the compute second: from the worker to the ledger, and stopped at every bound."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from clearing.bundle.verify import verify_bundle
from databank.cli.program import run
from databank.client.cost import BudgetExceededError
from databank.client.profile import Profile
from databank.client.session import Session
from databank.kit.clock import new_urn, system_clock
from schemas.price_form import parse_plan
from tests.support.connectors import Running
from tests.support.use import ADMIN, Contract, contract, put_file, wait_until

WON = 10**6
SHORT = "SELECT kwh FROM $data LIMIT 3"
LONG = (
    "SELECT sum(sqrt(a.kwh * b.kwh)) AS s FROM $data a "
    "JOIN (SELECT kwh FROM $data LIMIT 60) b ON a.kwh < b.kwh + 1"
)
ENDLESS = LONG.replace("LIMIT 60", "")


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


def deposit(clearing: str, buyer: Running, won: int) -> None:
    body = {
        "deposit_id": new_urn(),
        "participant_id": buyer.runtime.did,
        "amount_won": str(won),
    }
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.post(f"{clearing}/deposits", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def agree(buyer: Running, supplier: Running, price: str) -> Contract:
    """Agree on a price, and wait until clearing knows it."""
    made = contract(buyer, supplier, put_file(supplier, plan=parse_plan(price)))
    wait_until(lambda: made.query(SHORT).status_code == 200, "both sides have told clearing")
    return made


def ask(made: Contract, sql: str, most: int | None = None) -> httpx.Response:
    body = {"query_id": new_urn(), "sql": sql.replace("$data", made.name)}
    if most is not None:
        body["total_max_micro"] = str(most)
    return made.buyer.manage("POST", f"/agreements/{made.agreement_id}/query", json=body)


def compared(made: Contract, who: Running) -> Any:
    period = f"{system_clock().astimezone(ZoneInfo('Asia/Seoul')):%Y-%m}"
    path = f"/agreements/{made.agreement_id}/comparison?period={period}"
    return who.manage("GET", path).json()


def test_what_the_worker_computes_is_metered_attested_charged_and_stated(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    deposit(clearing, buyer, 1_000_000)
    made = agree(buyer, supplier, "compute=1000/over:1000:500 query=2")
    quote = made.quote(LONG).json()
    assert quote["compute_ms"] > 20
    assert int(quote["charge_micro"]) == (2 + quote["compute_ms"]) * WON
    assert int(quote["total_most_micro"]) == 30_002 * WON * 11 // 10  # thirty seconds at the most
    quoted = made.query(LONG)  # it waits for that: it has run
    assert quoted.headers["databank-compute-ms"] == str(quote["compute_ms"])
    assert quoted.headers["databank-charge-micro"] == quote["charge_micro"]
    again = made.query(LONG)
    counted = [int(each.headers.get("databank-compute-ms", 0)) for each in (quoted, again)]
    assert all(ms > 20 for ms in counted)

    wait_until(lambda: compared(made, buyer)["acts"]["both"] == 3, "both sides have signed")
    found = compared(made, supplier)
    metered = found["supplier"]["compute_ms"]
    assert found["buyer"]["compute_ms"] == metered >= sum(counted)
    assert int(found["difference_micro"]) == 0
    price = 6 * WON + min(metered, 1000) * WON + max(0, metered - 1000) * WON // 2
    assert int(found["charged_micro"]) == price

    headers = {"Authorization": f"Bearer {ADMIN}"}
    issued = httpx.post(f"{clearing}/periods/{found['period']}/statements", headers=headers)
    assert issued.status_code == 200, issued.text
    for who, side in ((buyer, "purchases"), (supplier, "sales")):
        content = who.manage("GET", f"/statements/{found['period']}/bundle").content
        (line,) = getattr(verify_bundle(content).statement, side)
        assert (line.compute_ms, line.supply_won) == (metered, price // WON)


def test_sdk_and_command_line_say_what_was_computed_and_keep_the_budget(
    supplier: Running, buyer: Running, clearing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deposit(clearing, buyer, 1_000_000)
    made = agree(buyer, supplier, "compute=1000")
    ref, token = f"supplier.{made.name}", buyer.app.state.context.admin_token
    sql = LONG.replace("$data", ref)
    with Session(Profile(url=buyer.url, token=token)) as session:
        answer = session.sql(sql, budget_won=100_000)
        (line,) = answer.cost.lines
        assert line.compute_ms is not None
        assert answer.cost.total_micro == line.compute_ms * WON * 11 // 10
        with pytest.raises(BudgetExceededError):
            session.sql(sql, budget_won=1)
    environment = {"DATABANK_URL": buyer.url, "DATABANK_TOKEN": token, "LANG": "ko_KR.UTF-8"}
    capsys.readouterr()
    assert run(("quote", ref, sql), environment) == 0
    said = capsys.readouterr()
    assert f"{ref}: 연산 0." in said.out + said.err
    assert "최대 ₩33,000 (부가세 포함)" in said.out + said.err
    assert run(("quote", ref, sql, "--json"), environment) == 0
    (told,) = json.loads(capsys.readouterr().out)["lines"]
    assert (told["compute_ms"] > 0, told["total_most_micro"]) == (True, str(33_000 * WON))


def test_what_is_said_beyond_the_wait_is_not_signed(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    deposit(clearing, buyer, 1_000_000)
    made = agree(buyer, supplier, "compute=1000")
    quote = made.quote(LONG.replace("60", "400")).json()
    buyer.runtime.waited._waits.clear()  # as a restart would
    told = made.query(LONG.replace("60", "400"))  # at once: it has run
    said_ms = int(told.headers["databank-compute-ms"])
    assert said_ms == quote["compute_ms"]

    wait_until(lambda: compared(made, buyer)["acts"]["different"] == 1, "both sides have signed")
    found = compared(made, supplier)
    (act,) = found["not_agreed"]
    assert act["supplier"]["compute_ms"] == said_ms
    believed_ms = act["buyer"].get("compute_ms", 0)
    assert believed_ms < said_ms
    assert int(found["difference_micro"]) == (said_ms - believed_ms) * WON


def test_a_query_is_stopped_where_its_price_reaches_the_maximum(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    deposit(clearing, buyer, 1_000_000)
    made = agree(buyer, supplier, "compute=1000 query=10")
    recorded = made.recorded
    stopped = ask(made, ENDLESS, 110 * WON)
    assert (stopped.status_code, stopped.json()["type"]) == (
        402,
        "urn:idb:problem:compute-limit-reached",
    )
    assert stopped.json()["compute_ms"] == 90  # a hundred won without VAT, ten of them the query's
    assert "연산 0.090초" in stopped.json()["detail"]
    assert "compute seconds" in stopped.json()["detail_en"]
    refused = ask(made, SHORT, 10 * WON)  # less than the query's own amount with VAT
    assert refused.json()["type"] == "urn:idb:problem:charge-above-maximum"
    path = f"/agreements/{made.agreement_id}/spending-limit"
    assert made.buyer.manage("PUT", path, json={"limit_micro": str(60 * WON)}).status_code == 200
    by_limit = ask(made, ENDLESS)
    assert by_limit.json()["type"] == "urn:idb:problem:compute-limit-reached", by_limit.text
    assert made.recorded == recorded


def test_a_query_is_stopped_where_the_deposit_ends(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    deposit(clearing, buyer, 1_000)
    made = agree(buyer, supplier, "compute=1000")
    recorded = made.recorded
    stopped = made.query(ENDLESS)
    assert (stopped.status_code, stopped.json()["type"]) == (
        402,
        "urn:idb:problem:insufficient-balance",
    )
    assert made.recorded == recorded
    assert made.query(LONG.replace("60", "6")).status_code == 200  # what is left pays for less
    deposit(clearing, buyer, 100_000)
    assert made.query(LONG).status_code == 200
