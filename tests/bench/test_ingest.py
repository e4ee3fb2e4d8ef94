"""Metered events a second into the ledger, from signed bytes to committed entries."""

from __future__ import annotations

import time

import pytest

from clearing.agreements.service import confirm
from clearing.ledger.service import take_deposit
from clearing.metering.service import Signer, read, take
from clearing.settlement.service import trial_balance
from databank.kit.clock import new_secret
from databank.kit.db import Database
from schemas.bank import DepositRequest
from schemas.signature import generate_key
from tests.support.bank import NOON, Meter, agreement, company, plan

EVENTS = 50_000
AGREEMENTS = 10


@pytest.mark.benchmark
@pytest.mark.parametrize("batch_size", [100, 1_000, 8_192])
def test_ingest(database_url: str, batch_size: int) -> None:
    steel, buyer = company("steel", "광양제철"), company("buyer", "구매사")
    database = Database(database_url)
    database.migrate("clearing")
    told = [agreement(steel, buyer, plan(per_row=1), name=str(n)) for n in range(AGREEMENTS)]
    with database.unit_of_work() as uow:
        for record in told:
            confirm(uow, record, steel.participant, fee_bps=500)
            confirm(uow, record, buyer.participant, fee_bps=500)
        money = DepositRequest(deposit_id="d", participant_id=buyer.id, amount_won=10**9)
        take_deposit(uow, money, buyer.participant, now=NOON)
    meter = Meter(steel)
    batches = [
        meter.batch([meter.record(told[n % AGREEMENTS], rows=3) for n in range(batch_size)])
        for _ in range(EVENTS // batch_size)
    ]
    signer = Signer(generate_key("did:web:clearing"), new_secret)

    started = time.perf_counter()
    for jws, body in batches:
        batch = read(jws, body, steel.participant, now=NOON)
        with database.unit_of_work() as uow:
            take(uow, batch, signer, now=NOON)
    seconds = time.perf_counter() - started

    events = len(batches) * batch_size
    with database.unit_of_work() as uow:
        assert trial_balance(uow).records_count == events
    database.close()
    kind = database_url.partition(":")[0]
    print(f"\n{kind} batch {batch_size}: {events / seconds:,.0f} events/s")  # noqa: T201
