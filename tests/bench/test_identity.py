"""What it costs a negotiation that the parties show each other credentials."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from connector.offering.model import Published
from tests.integration.identity.conftest import member
from tests.support.company_process import NOBODY
from tests.support.connectors import Running, publish
from tests.support.contracts import negotiate
from tests.support.registry import running_broker

ROUNDS = 25
WARM_UP = 3
KINDS = ("registry", "dcp, known", "dcp, both never met")


def milliseconds(buyer: Running, supplier: Running, energy: Published, *, is_first: bool) -> float:
    if is_first:  # as if the two had never met
        buyer.runtime.verifier.forget(supplier.runtime.did)
        supplier.runtime.verifier.forget(buyer.runtime.did)
    began = time.perf_counter()
    shown = negotiate(buyer, supplier, energy)
    assert shown["state"] == "FINALIZED", shown
    return 1000 * (time.perf_counter() - began)


@pytest.mark.benchmark
def test_negotiation_with_and_without_credentials(tmp_path: Path) -> None:
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        broker = stack.enter_context(running_broker(tmp_path / "broker"))
        pairs = {}
        for check in ("registry", "dcp"):
            options: dict[str, Any] = {
                "identity": check,
                "registry_max_age_seconds": 5.0,
                "clearing_url": NOBODY,
                "catalog_url": NOBODY,
            }
            buyer, supplier = (
                stack.enter_context(
                    member(tmp_path / f"{role}-{check}", broker, f"{role}_{check}", **options)
                )
                for role in ("buyer", "supplier")
            )
            pairs[check] = (buyer, supplier, publish(supplier.runtime, "energy"))
        for turn in range(WARM_UP + ROUNDS):
            for kind in KINDS:  # in turns, so that the machine's load is the same for all
                pair = pairs[kind.partition(",")[0]]
                spent = milliseconds(*pair, is_first=kind.endswith("never met"))
                if turn >= WARM_UP:
                    taken[kind].append(spent)
    for kind, all_of_it in taken.items():
        print(f"\nnegotiation, {kind}: p50 {statistics.median(all_of_it):.0f} ms")  # noqa: T201
