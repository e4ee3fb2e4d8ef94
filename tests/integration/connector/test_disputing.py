"""Companies contest a month with their own commands, through their connectors, and settle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from databank.cli.program import run
from databank.kit.clock import new_urn
from schemas.price_form import parse_plan
from tests.integration.connector.test_receiving import period
from tests.support.connectors import Running
from tests.support.use import ADMIN, contract, put_file, wait_until


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


def used(supplier: Running, buyer: Running, clearing: str) -> str:
    """Let the buyer use 2,000 won's worth and the operator close the month; return the dataset."""
    operator = {"Authorization": f"Bearer {ADMIN}"}
    body = {
        "deposit_id": new_urn(),
        "participant_id": buyer.runtime.did,
        "amount_won": "10000",
    }
    answer = httpx.post(f"{clearing}/deposits", json=body, headers=operator)
    assert answer.status_code == 200, answer.text
    made = contract(buyer, supplier, put_file(supplier, plan=parse_plan("query=2000")))
    wait_until(
        lambda: made.query("SELECT kwh FROM $data LIMIT 3").status_code == 200, "the query is paid"
    )
    wait_until(lambda: supplier.manage("GET", "/meter").json()["acknowledged"] == 1, "it is booked")
    closed = httpx.post(f"{clearing}/periods/{period()}/close", headers=operator, timeout=30)
    assert closed.status_code == 200, closed.text
    return f"supplier.{made.name}"


def test_a_dispute_is_opened_and_settled_by_commands(
    supplier: Running,
    buyer: Running,
    clearing: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = used(supplier, buyer, clearing)

    def command(who: Running, *words: str, code: int = 0, form: str = "--json") -> Any:
        token = who.app.state.context.admin_token
        environment = {"DATABANK_URL": who.url, "DATABANK_TOKEN": token, "LANG": "ko_KR.UTF-8"}
        capsys.readouterr()
        options = (form,) if form == "--json" else ("--lang", form)
        assert run((*options, "dispute", *words), environment) == code
        said = capsys.readouterr()
        return said.err if code else json.loads(said.out) if form == "--json" else said.out

    proof = tmp_path / "점검표.pdf"
    proof.write_bytes(b"%PDF-1.7")
    about = (name, period(), "--text", "값이 비어 있습니다")
    wrong = command(buyer, "open", *about, "--reason", "taste", code=1)
    assert "count, price, quality" in wrong
    refused = command(buyer, "open", *about, "--reason", "count", code=1)
    assert "차이는 0원" in refused
    opened = command(
        buyer, "open", *about, "--reason", "quality", "--amount", "1500", "--file", str(proof)
    )
    id_ = opened["dispute_id"]
    assert (opened["status"], opened["held_won"]) == ("open", str(1_500 + 150 - 75 - 7))
    assert opened["moves"][0]["move"]["files"] == [hashlib.sha256(b"%PDF-1.7").hexdigest()]
    seen = command(supplier, "show", id_, form="ko")
    assert "값이 비어 있습니다" in seen
    assert "수요기업" in seen
    assert command(supplier, "evidence", id_, "--text", "계약서 2조")["status"] == "evidence"
    command(supplier, "propose", id_, "500", "--text", "절반")
    assert "마지막으로 제안한 금액" in command(buyer, "accept", id_, "1500", code=1)
    assert command(buyer, "accept", id_, "500")["refunded_won"] == "500"
    (listed,) = command(buyer, "list")["disputes"]
    assert (listed["status"], listed["held_won"]) == ("settled", "0")
    assert "settled" in command(buyer, "list", form="en")
    assert "끝난 분쟁" in command(buyer, "withdraw", id_, code=1)
    spent = 2_200 - 550
    assert int(buyer.manage("GET", "/balance").json()["deposit_micro"]) == (10_000 - spent) * 10**6
