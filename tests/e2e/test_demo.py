"""The walk runs from end to end, on generated and on real data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.processes import run_command
from tests.support.shared import shared

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]
WALK_SECONDS = 150.0


def test_the_walk_on_generated_data_adds_up(tmp_path: Path) -> None:
    answer = run_command("demo", "--files", str(tmp_path), timeout_seconds=WALK_SECONDS)
    assert answer.returncode == 0, answer.stderr
    assert "생성한 것입니다" in answer.stderr
    assert "차변 = 대변" in answer.stderr
    assert "4개 회사가 증빙 자료를 받아 명세서를 오프라인에서 다시 계산했습니다" in answer.stderr
    assert "승인 kim, lee" in answer.stderr
    assert len(list(tmp_path.glob("*.pdf"))) == 4
    assert "<InstdAmt" in (tmp_path / "P000001.xml").read_text(encoding="utf-8")
    assert "누리큐레이션" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_the_walk_on_real_data_adds_up() -> None:
    folder = shared("data")
    answer = run_command(
        "demo", "--data", str(folder), "--json", "--lang", "en", timeout_seconds=WALK_SECONDS
    )
    assert answer.returncode == 0, answer.stderr
    assert "Gwangyang" in answer.stderr
    assert "'Weight Captured Separately' – not a number" in answer.stderr
    assert "6,372 rows (3,952 left out)" in answer.stderr
    assert "mode Air · tonnes 8301.0 · tco2e_estimated" in answer.stderr
    payments = json.loads(answer.stdout)
    assert len(payments) == 3
    assert all(int(payment["supply_won"]) > 0 for payment in payments)
