"""A connector that dies by SIGKILL at any moment completes what it has promised."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.company_process import company

STARTED = 6


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.mark.e2e
@pytest.mark.parametrize("victim", ["buyer", "supplier"])
def test_negotiations_survive_the_death_of_either_side(tmp_path: Path, victim: str) -> None:
    registry = tmp_path / "registry"
    with company(tmp_path / "other", registry) as other:
        with company(tmp_path / "victim", registry) as first:
            buyer, supplier = (first, other) if victim == "buyer" else (other, first)
            started = [
                buyer.manage("POST", "/negotiations", json=supplier.published)["pid"]
                for _ in range(STARTED)
            ]
            first.kill()
        with company(tmp_path / "victim", registry, port=port_of(first.url)) as second:
            buyer = second if victim == "buyer" else other
            for pid in started:
                shown = buyer.manage("GET", f"/negotiations/{pid}?wait_seconds=30")
                assert shown["state"] == "FINALIZED", shown
            supplier = other if victim == "buyer" else second
            ids = [
                {a["agreement_id"] for a in side.manage("GET", "/agreements")["agreements"]}
                for side in (buyer, supplier)
            ]
            assert ids[0] == ids[1]
            assert len(ids[0]) == STARTED
