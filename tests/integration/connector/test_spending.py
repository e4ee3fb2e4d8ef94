"""Nobody is charged more than was said: a maximum for one act, and a limit for a month."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from databank.cli.program import run
from databank.client.profile import Profile
from databank.client.session import Session
from databank.kit.clock import new_urn
from databank.kit.http import RemoteRefusedError
from schemas.price import PricePlan
from schemas.price_form import parse_plan
from schemas.spending import TOTAL_MAX_HEADER
from tests.support.connectors import Registry, Running, connector
from tests.support.use import ADMIN, Contract, contract, put_file, wait_until

WON = 10**6


class LosingTransport(httpx.HTTPTransport):
    """A network that loses the answer to the next query, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.loses_next = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if self.loses_next and "/data/" in request.url.path:
            self.loses_next = False
            response.close()
            raise httpx.ReadError("the answer was lost", request=request)
        return response


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


@pytest.fixture
def network() -> LosingTransport:
    return LosingTransport()


@pytest.fixture
def buyer(
    tmp_path: Path, registry: Registry, clearing: str, network: LosingTransport
) -> Iterator[Running]:
    with (
        httpx.Client(transport=network, timeout=30) as http,
        connector(
            tmp_path / "buyer", registry, "buyer", clearing_url=clearing, http=http
        ) as running,
    ):
        yield running


def agree(clearing: str, buyer: Running, supplier: Running, price: str | PricePlan) -> Contract:
    plan = parse_plan(price) if isinstance(price, str) else price
    made = contract(buyer, supplier, put_file(supplier, plan=plan))
    answer = httpx.post(
        f"{clearing}/deposits",
        json={
            "deposit_id": new_urn(),
            "participant_id": buyer.runtime.did,
            "amount_won": "1000000",
        },
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    assert answer.status_code == 200, answer.text
    wait_until(lambda: query(made, 1).status_code == 200, "both sides have told clearing")
    return made


def query(
    made: Contract, rows: int, *, most: int | None = None, query_id: str | None = None
) -> httpx.Response:
    body = {"query_id": query_id or new_urn(), "sql": f"SELECT kwh FROM {made.name} LIMIT {rows}"}
    if most is not None:
        body["total_max_micro"] = str(most)
    return made.buyer.manage("POST", f"/agreements/{made.agreement_id}/query", json=body)


def spending(made: Contract) -> dict[str, int]:
    answer = made.buyer.manage("GET", f"/agreements/{made.agreement_id}/spending").json()
    amounts = {k.removesuffix("_micro"): v for k, v in answer.items() if k.endswith("_micro")}
    return {name: int(amount) for name, amount in amounts.items() if amount is not None}


def put_limit(made: Contract, micro: int | None, **more: bool) -> httpx.Response:
    body = {"limit_micro": None if micro is None else str(micro), **more}
    path = f"/agreements/{made.agreement_id}/spending-limit"
    return made.buyer.manage("PUT", path, json=body)


def total_of(answer: httpx.Response) -> int:
    headers = answer.headers
    return int(headers["databank-charge-micro"]) + int(headers["databank-vat-micro"])


def test_what_is_dearer_than_the_maximum_of_an_act_is_neither_delivered_nor_metered(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = agree(clearing, buyer, supplier, "row=1")
    before = made.recorded
    refused = query(made, 10, most=11 * WON - 1)
    assert refused.status_code == 402
    problem = refused.json()
    assert problem["type"] == "urn:idb:problem:charge-above-maximum"
    assert (problem["total_micro"], problem["total_max_micro"]) == ("11000000", "10999999")
    path = f"/agreements/{made.agreement_id}/data"
    dear = made.buyer.manage("GET", path, headers={TOTAL_MAX_HEADER: "1"})
    assert dear.json()["type"] == "urn:idb:problem:charge-above-maximum"
    for value in ("-1", "won", "9" * 30):
        bad = made.buyer.manage("GET", path, headers={TOTAL_MAX_HEADER: value})
        assert bad.status_code == 422, bad.text
    assert made.recorded == before
    accepted = query(made, 10, most=11 * WON)
    assert total_of(accepted) == 11 * WON
    assert made.recorded == before + 1


def test_the_maximum_is_checked_against_what_others_have_used_meanwhile(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = agree(clearing, buyer, supplier, "row=1/free:51")  # one row is used already
    quote = made.quote("SELECT kwh FROM $data LIMIT 50").json()
    assert quote["charge_micro"] == "0"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: query(made, 50, most=0), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 402, 402, 402]


def test_queries_at_once_never_cost_more_than_the_months_limit(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = agree(clearing, buyer, supplier, "row=1 query=3/over:4:9")
    spent = spending(made)["spent"]
    limit = spent + 200 * WON
    assert put_limit(made, limit).status_code == 200
    with ThreadPoolExecutor(6) as pool:
        asked = pool.map(lambda n: query(made, n % 9 + 1, most=(30 + n) * WON), range(48))
        answers = list(asked)
    paid = [total_of(answer) for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 402, 503}
    assert 0 < sum(paid) <= 200 * WON
    now = spending(made)
    assert (now["spent"], now["reserved"]) == (spent + sum(paid), 0)
    # without a maximum of its own an act may use what is left, and no more
    while (last := query(made, 8)).status_code == 200:
        paid.append(total_of(last))
    assert last.status_code == 402
    assert spending(made)["spent"] == spent + sum(paid) <= limit


def test_what_reaches_the_limit_is_not_sent(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = agree(clearing, buyer, supplier, "row=1")
    put_limit(made, spending(made)["spent"])
    recorded, decided = made.recorded, len(made.decisions(supplier))
    refused = query(made, 1)
    assert refused.status_code == 402
    assert refused.json()["type"] == "urn:idb:problem:spending-limit-reached"
    assert "지출 한도" in refused.json()["detail"]
    assert (made.recorded, len(made.decisions(supplier))) == (recorded, decided)
    assert put_limit(made, None).status_code == 200
    assert query(made, 1).status_code == 200
    assert (
        supplier.manage("GET", f"/agreements/{made.agreement_id}/spending").status_code == 404
    )  # only its buyer spends on it


def test_a_lost_answer_counts_until_it_is_asked_for_again(
    supplier: Running, buyer: Running, clearing: str, network: LosingTransport
) -> None:
    made = agree(clearing, buyer, supplier, "row=1")
    before, recorded = spending(made)["spent"], made.recorded
    put_limit(made, before + 100 * WON)
    network.loses_next = True
    lost = query(made, 50, query_id="the-same-query")
    assert lost.status_code == 503, lost.text
    assert made.recorded == recorded + 1  # it was charged
    assert spending(made)["reserved"] == 100 * WON
    busy = query(made, 1)
    assert (busy.status_code, busy.json()["type"]) == (
        503, "urn:idb:problem:spending-limit-reserved",
    )  # fmt: skip
    again = query(made, 50, query_id="the-same-query")
    assert again.status_code == 200
    assert made.recorded == recorded + 1
    now = spending(made)
    assert (now["spent"], now["reserved"]) == (before + 55 * WON, 0)
    network.loses_next = True
    query(made, 5)
    freed = put_limit(made, before + 100 * WON, forget_unsettled=True).json()
    assert freed["reserved_micro"] == "0"


def test_sdk_and_command_line_set_the_limit_and_budgets_are_hard(
    supplier: Running, buyer: Running, clearing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = agree(clearing, buyer, supplier, "row=1/free:101")
    ref, token = f"supplier.{made.name}", buyer.app.state.context.admin_token
    sql = f"SELECT kwh FROM {ref} LIMIT 100"

    def use_up(_: object) -> None:
        assert query(made, 100).status_code == 200  # another's act, between quote and query

    with Session(Profile(url=buyer.url, token=token)) as session:
        with pytest.raises(RemoteRefusedError) as refused:
            session.sql(sql, budget_won=50, on_quote=use_up)
        assert refused.value.remote_status == 402
        assert session.spending(ref).spent_micro == 0
        assert session.limit_spending(ref, 1_000).limit_micro == 1_000 * WON
        assert session.sql(sql, budget_won=200).cost.total_micro == 110 * WON
    environment = {"DATABANK_URL": buyer.url, "DATABANK_TOKEN": token, "LANG": "ko_KR.UTF-8"}
    capsys.readouterr()
    assert run(("limit", ref), environment) == 0
    assert "지출 ₩110" in (said := capsys.readouterr().out)
    assert "남은 한도 ₩890" in said
    assert run(("limit", ref, "5,000원", "--lang", "en"), environment) == 0
    assert "of a limit of ₩5,000" in capsys.readouterr().out
    assert run(("limit", ref, "none", "--forget-unsettled", "--json"), environment) == 0
    assert "limit_micro" not in json.loads(capsys.readouterr().out)
    for bad in (
        ("limit", ref, "5.5"),
        ("limit", ref, "많이"),
        ("limit", ref, "--forget-unsettled"),
    ):
        assert run(bad, environment) != 0
        assert "오류" in capsys.readouterr().err
