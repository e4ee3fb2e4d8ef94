"""What a priced answer waits for, and how long a month of a million events is verified."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from clearing.bundle.verify import verify_bundle
from connector.metering import grants, store
from connector.metering.store import HeldGrant
from connector.runtime import Runtime
from databank.kit.db import Database
from schemas.ids import AgreementId
from tests.support.bank import NOON, Meter, agreement, company, plan
from tests.support.figures import Figure, Figures
from tests.support.ledger import open_ledger

GROUP: Final = "Grants and verification"
AGREEMENT: Final = AgreementId("urn:agreement:one")
CHECKS: Final = 2_000
EVENTS: Final = 1_000_000
BATCH: Final = 8_192
BUYERS: Final = 20


def microseconds(count: int, act: Any) -> float:
    began = time.perf_counter()
    for _ in range(count):
        act()
    return (time.perf_counter() - began) / count * 1e6


@pytest.mark.benchmark
def test_a_grant_is_counted_down(durable_url: str, figures: Figures) -> None:
    database = Database(durable_url)
    database.migrate("connector")
    runtime = cast("Runtime", SimpleNamespace(clock=lambda: NOON))
    held = HeldGrant("g", 1, 10**15, 10**15, NOON + timedelta(hours=1))
    checks, reads = [], []
    with database.unit_of_work() as uow:
        store.put_grant(uow, AGREEMENT, held)
        for _ in range(9):
            reads.append(microseconds(CHECKS, lambda: store.grant(uow, AGREEMENT)))
            checks.append(microseconds(CHECKS, lambda: grants.spend(uow, runtime, AGREEMENT, 1)))
        left = store.grant(uow, AGREEMENT)
        assert left is not None
        assert left.remaining_micro == 10**15 - 9 * CHECKS
    database.close()
    kind = "PostgreSQL" if durable_url.startswith("postgresql") else "SQLite"
    name = f"{kind}, a grant is read, checked and counted down in an open transaction"
    figures.add(Figure(GROUP, name, "µs", checks, "reading it only", reads))


@pytest.mark.benchmark
def test_a_month_of_a_million_events_is_verified(figures: Figures) -> None:
    """Each of 20 buyers verifies its own bundle; all of them together are the month."""
    steel = company("steel", "광양제철")
    buyers = [company(f"buyer{n}", f"구매 {n}") for n in range(BUYERS)]
    told = [agreement(steel, each, plan(per_row=1), name=each.id) for each in buyers]
    with open_ledger() as ledger:
        for record, buyer in zip(told, buyers, strict=True):
            ledger.agree(record, steel, buyer)
            ledger.deposit(buyer, 10**9)
        meter = Meter(steel)
        for first in range(0, EVENTS, BATCH):
            count = min(BATCH, EVENTS - first)
            records = [meter.record(told[(first + n) % BUYERS], rows=3) for n in range(count)]
            ledger.send(steel, meter.batch(records))
        ledger.issue("2026-11")
        bundles = [ledger.bundle(buyer, "2026-11") for buyer in buyers]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        found = [verify_bundle(content) for content in bundles]
        seconds.append(time.perf_counter() - began)
    charged = sum(line.supply_won for each in found for line in each.statement.purchases)
    assert charged == EVENTS * 3
    size = sum(map(len, bundles)) / 2**20
    name = f"a month of {EVENTS:,} events in {BUYERS} bundles ({size:.0f} MiB) is verified"
    figures.add(Figure(GROUP, name, "s", seconds))
