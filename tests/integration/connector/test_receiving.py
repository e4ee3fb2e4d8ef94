"""The buyer's connector counts what it receives, signs it, and clearing lays both side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from databank.cli.program import run
from databank.kit.clock import system_clock
from tests.support.connectors import Registry, Running, connector
from tests.support.use import Contract, contract, put_file, wait_until


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


def period() -> str:
    return f"{system_clock().astimezone(ZoneInfo('Asia/Seoul')):%Y-%m}"


def acts(made: Contract, who: Running) -> dict[str, int]:
    path = f"/agreements/{made.agreement_id}/comparison?period={period()}"
    answer = who.manage("GET", path)
    assert answer.status_code == 200, answer.text
    found: dict[str, int] = answer.json()["acts"]
    return found


def test_what_the_buyer_counts_is_what_the_supplier_metered(
    supplier: Running, buyer: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    queries = (
        "SELECT kwh FROM $data LIMIT 0",
        "SELECT kwh FROM $data LIMIT 7",
        "SELECT kwh, kwh > 5 AS big, 'x' || kwh AS text FROM $data",  # over several batches
        "SELECT kwh % 3 AS k, count(*) AS n FROM $data GROUP BY k ORDER BY k",
    )
    for number, sql in enumerate(queries):
        assert made.query(sql, f"query-no-{number}").status_code == 200
    again = made.query(queries[1], "query-no-1")
    assert again.status_code == 200
    assert made.read(Range="bytes=0-99999").status_code == 206

    def is_compared() -> bool:
        found = acts(made, supplier)
        return found["both"] == len(queries) and found["supplier_only"] == 1

    wait_until(is_compared, "both sides have signed")
    assert acts(made, buyer) == acts(made, supplier)
    assert acts(made, buyer)["different"] == acts(made, buyer)["buyer_only"] == 0
    token = buyer.app.state.context.admin_token
    environment = {"DATABANK_URL": buyer.url, "DATABANK_TOKEN": token, "LANG": "ko_KR.UTF-8"}
    capsys.readouterr()
    assert run(("compare", f"supplier.{made.name}", period()), environment) == 0
    said = capsys.readouterr().out
    assert "양쪽 확인" in said
    assert "공급기업만 (확인을 기다림)" in said
    assert run(("compare", made.agreement_id, period(), "--lang", "en"), environment) == 0
    assert "undisputed" in capsys.readouterr().out
    assert run(("compare", made.agreement_id, "2026-13"), environment) != 0


def test_acknowledgements_wait_for_clearing_and_outlive_a_restart(
    supplier: Running, registry: Registry, clearing: str, tmp_path: Path
) -> None:
    folder = tmp_path / "restarted"
    with connector(folder, registry, "restarted", clearing_url="http://localhost:9") as cut_off:
        made = contract(cut_off, supplier, put_file(supplier))
        assert made.query("SELECT kwh FROM $data LIMIT 7").status_code == 200
        port = int(cut_off.url.rsplit(":", 1)[1])
    with connector(folder, registry, "restarted", clearing_url=clearing, port=port) as restarted:
        wait_until(lambda: acts(made, restarted)["both"] == 1, "the act is acknowledged at last")
