"""A curator's commands of revenue share, from the agreement's royalty to the plan at clearing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from databank.cli.program import run
from schemas.price import PricePlan
from schemas.terms import Terms
from tests.support.connectors import Running
from tests.support.use import BOTH, contract, put_file, wait_until


def test_a_curator_registers_a_plan_that_gives_what_its_agreement_asks_for(
    buyer: Running, supplier: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = Terms(modes=BOTH, derivation_royalty_percent=10)
    made = contract(buyer, supplier, put_file(supplier, terms=terms, plan=PricePlan()))

    def databank(*words: str, who: Running = buyer, code: int = 0, language: str = "ko") -> str:
        environment = {
            "DATABANK_URL": who.url,
            "DATABANK_TOKEN": who.app.state.context.admin_token,
            "HOME": str(tmp_path),
        }
        capsys.readouterr()
        assert run(["--lang", language, *words], environment) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    def register(*edges: str, code: int = 0) -> str:
        words = [word for edge in edges for word in ("--edge", f"{made.agreement_id} {edge}")]
        product = ("shares", "register", "urn:uuid:product", "--title", "불량과 탄소")
        return databank(*product, "--from", "2100-01", *words, code=code)

    def is_shown() -> bool:
        answer = supplier.manage("POST", f"/shares/policies/{made.agreement_id}")
        return bool(answer.is_success)

    def is_told_by_both() -> bool:
        edge = {"agreement_id": made.agreement_id, "basis": "pct_of_gross", "share": "1"}
        plan = {"request_id": "r", "product_id": "urn:uuid:product", "product_title": "x",
                "from_period": "2100-01", "edges": [edge]}  # fmt: skip
        answer = buyer.manage("POST", "/shares/plans", json=plan).json()
        return "10 %" in answer["detail"]

    wait_until(is_shown, "the agreement told to clearing")
    wait_until(is_told_by_both, "the agreement told by both sides")
    assert "10 %" in databank("shares", "show-policy", made.agreement_id)
    assert "pct_of_gross" in register("gross=9.9999%", code=1)
    assert "--edge" in register("gross", code=1)
    assert "판매액의 10 %" in register("gross=10%/floor=1000")
    assert "판매액의 10 %" in register("gross=10%/floor=1000")  # the same again
    plans = json.loads(databank("--json", "shares", "plans"))["plans"]
    assert [each["plan"]["number"] for each in plans] == [1]
    assert [each["floor_micro"] for each in plans[0]["edges"]] == ["1000000000"]
    shown = databank("shares", "plans", who=supplier, language="en")
    assert "10 % of gross" in shown
    assert " supplier " in shown, "its name, not its did"
    assert "로열티" in databank("shares", "royalties", "2100-01")
