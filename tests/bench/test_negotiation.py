"""From the buyer's request to FINALIZED, between two connectors in processes of their own."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.support.company_process import Company, company

WARM_UP = 5
NEGOTIATIONS = 50


def negotiate(buyer: Company, supplier: Company) -> float:
    began = time.perf_counter()
    pid = buyer.manage("POST", "/negotiations", json=supplier.published)["pid"]
    shown = buyer.manage("GET", f"/negotiations/{pid}?wait_seconds=30")
    assert shown["state"] == "FINALIZED", shown
    return time.perf_counter() - began


@pytest.mark.benchmark
def test_negotiation(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    with (
        company(tmp_path / "supplier", registry) as supplier,
        company(tmp_path / "buyer", registry) as buyer,
    ):
        for _ in range(WARM_UP):
            negotiate(buyer, supplier)
        taken = sorted(1000 * negotiate(buyer, supplier) for _ in range(NEGOTIATIONS))
    p95 = taken[int(0.95 * NEGOTIATIONS)]
    p50 = statistics.median(taken)
    print(f"\nnegotiation to FINALIZED: p50 {p50:.0f} ms, p95 {p95:.0f} ms")  # noqa: T201
