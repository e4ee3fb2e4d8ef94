"""What it costs a negotiation that the parties show each other credentials."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.integration.identity.conftest import member
from tests.support.connectors import Running, publish
from tests.support.contracts import negotiate
from tests.support.registry import running_broker

WARM_UP = 5
NEGOTIATIONS = 40


def milliseconds(buyer: Running, supplier: Running, *, is_first: bool = False) -> float:
    published = publish(supplier.runtime, "energy")
    if is_first:  # as if the two had never met
        buyer.runtime.verifier.forget(supplier.runtime.did)
        supplier.runtime.verifier.forget(buyer.runtime.did)
    began = time.perf_counter()
    shown = negotiate(buyer, supplier, published)
    assert shown["state"] == "FINALIZED", shown
    return 1000 * (time.perf_counter() - began)


@pytest.mark.benchmark
def test_negotiation_with_and_without_credentials(tmp_path: Path) -> None:
    medians = {}
    with running_broker(tmp_path / "broker") as broker:
        for check in ("registry", "dcp"):
            options = {"identity": check, "registry_max_age_seconds": 5.0}
            with (
                member(tmp_path / f"s-{check}", broker, f"supplier_{check}", **options) as supplier,
                member(tmp_path / f"b-{check}", broker, f"buyer_{check}", **options) as buyer,
            ):
                for _ in range(WARM_UP):
                    milliseconds(buyer, supplier)
                for is_first in (False, True):
                    taken = [
                        milliseconds(buyer, supplier, is_first=is_first)
                        for _ in range(NEGOTIATIONS)
                    ]
                    medians[check, is_first] = statistics.median(taken)
    for (check, is_first), median in medians.items():
        which = "both never met" if is_first else "known"
        print(f"\nnegotiation, {check}, {which}: p50 {median:.0f} ms")  # noqa: T201
