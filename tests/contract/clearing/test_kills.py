"""Whatever point the service dies at: nothing lost, nothing doubled, not a won off.

``DATABANK_LONG_TESTS=1`` kills 1,000 times, half on each database; else a bounded part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.postgres import BACKENDS

LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
KILLS: Final = 500 if LONG else 40
SECONDS_MAX: Final = 7_200 if LONG else 600


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_service_that_is_killed_anywhere_goes_on_to_the_same_books(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plan: dict[str, Any] = {"folder": str(tmp_path), "kills": KILLS, "seed": 20261124}
    for name in ("killed", "calm"):
        plan[name] = f"sqlite:///{tmp_path}/{name}.db"
        if backend != "sqlite":
            make: Callable[[], str] = request.getfixturevalue("make_postgres_url")
            plan[name] = make()
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.kills", str(file)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["failures"] == []
    assert result["kills"] == KILLS
    kinds = {"before statement", "after statement", "before commit", "before answer", "os.rename"}
    assert set(result["points"]) == kinds
    assert result["differences"] == []
    assert result["unproven"] == []
    assert result["statements"] > 3
    for table in ("clearing_royalty_line", "clearing_credit_stated", "clearing_payment"):
        assert result["rows"][table] > 0, table
    assert result["taken_back"] > 0, "no royalty of a refunded sale"
    sys.stdout.write(f"{backend}: {json.dumps(result['points'])}\n")
