"""Metered events a second into the ledger, against storing the same signed bytes and no more."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import text

from clearing.agreements.service import confirm
from clearing.ledger.service import take_deposit
from clearing.log.service import Log
from clearing.metering.service import read, take
from clearing.settlement.service import trial_balance
from databank.kit.clock import new_secret
from databank.kit.db import Database
from schemas.bank import AgreementRecord, DepositRequest
from schemas.signature import generate_key
from schemas.usage import PLAIN_SCHEMA
from tests.support.bank import (
    NOON,
    Bank,
    Company,
    FrozenClock,
    Meter,
    agreement,
    company,
    plan,
)
from tests.support.bank_process import bank_process
from tests.support.figures import Figure, Figures

GROUP: Final = "Events into the ledger"
BATCHES: Final = {1: 300, 100: 100, 1_000: 40, 8_192: 10}
AGREEMENTS: Final = 10
DEPOSIT_WON: Final = 10**9
PRICES: Final = plan(per_row=1)
SENDERS: Final = 8
NAMES: Final = PLAIN_SCHEMA.names
TEXTS: Final = {f.name for f in PLAIN_SCHEMA if f.type == pa.string()}
_STORE: Final = text("INSERT INTO bare (body) VALUES (:body)")
Batches = list[tuple[str, bytes]]


def make_batches(
    supplier: Company, told: list[AgreementRecord], size: int, *, epoch: int = 1
) -> Batches:
    """Sign batches as one connector does: a chain, its events spread over all agreements."""
    meter = Meter(supplier, epoch)
    return [
        meter.batch([meter.record(told[n % len(told)], rows=3) for n in range(size)])
        for _ in range(BATCHES[size])
    ]


def rate(events: int, act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return events / (time.perf_counter() - began)


def open_books(
    database: Database, supplier: Company, buyer: Company, log: Log
) -> list[AgreementRecord]:
    """Agree on both sides and book a deposit."""
    told = [agreement(supplier, buyer, PRICES, name=str(n)) for n in range(AGREEMENTS)]
    with database.unit_of_work() as uow:
        for record in told:
            for party in (supplier, buyer):
                confirm(uow, record, party.participant, log, fee_bps=500)
        money = DepositRequest(deposit_id="d", participant_id=buyer.id, amount_won=DEPOSIT_WON)
        take_deposit(uow, money, buyer.participant, now=NOON)
        uow.session.connection().execute(text("CREATE TABLE bare (body BYTEA)"))
    return told


def open_log(database: Database, folder: Path) -> Log:
    """Open an empty log."""
    memory = Path(tempfile.mkdtemp(dir=folder)) / "log-checkpoint"
    key = generate_key("did:web:clearing")
    log = Log(key, origin="clearing/log", memory=memory, make_nonce=new_secret)
    with database.unit_of_work() as uow:
        log.open(uow)
    return log


@pytest.mark.benchmark
@pytest.mark.parametrize("size", BATCHES)
def test_ingest(durable_url: str, disk: Path, figures: Figures, size: int) -> None:
    steel, buyer = company("steel", "광양제철"), company("buyer", "구매사")
    database = Database(durable_url)
    database.migrate("clearing")
    log = open_log(database, disk)
    batches = make_batches(steel, open_books(database, steel, buyer, log), size)

    def book(jws: str, body: bytes) -> None:
        batch = read(jws, body, steel.participant, now=NOON)
        with database.unit_of_work() as uow:
            take(uow, batch, log, now=NOON)

    def store(body: bytes) -> None:
        with database.unit_of_work() as uow:
            uow.run(_STORE, body=body)

    taken, limits = [], []
    for jws, body in batches:
        limits.append(rate(size, partial(store, body)))
        taken.append(rate(size, partial(book, jws, body)))
    with database.unit_of_work() as uow:
        assert trial_balance(uow).records_count == size * len(batches)
    database.close()
    kind = "PostgreSQL" if durable_url.startswith("postgresql") else "SQLite"
    name = f"{kind}, {size:,} a batch"
    limit = "a durable insert of the same bytes"
    figures.add(Figure(GROUP, name, "events/s", taken, limit, limits, is_rate=True))


def raw_rows(database: Database) -> Callable[[str, bytes], None]:
    """Return what a bare system would do with a batch: insert its records, durably, unchecked."""
    columns = ", ".join(f"{name} {'TEXT' if name in TEXTS else 'BIGINT'}" for name in NAMES)
    with database.unit_of_work() as uow:
        uow.session.connection().execute(text(f"CREATE TABLE bare_record ({columns})"))
    names = ", ".join(f":{name}" for name in NAMES)
    insert = text(f"INSERT INTO bare_record VALUES ({names})")

    def act(jws: str, body: bytes) -> None:
        del jws
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table = table.set_column(
            NAMES.index("occurred_at"), "occurred_at", table["occurred_at"].cast(pa.int64())
        )
        with database.unit_of_work() as uow:
            uow.run_each(insert, table.to_pylist())

    return act


def tell(bank: Bank, steel: Company, told: list[AgreementRecord], buyer: Company) -> None:
    for record in told:
        bank.agree(record, steel, buyer)


@pytest.mark.benchmark
def test_ingest_over_http(durable_url: str, disk: Path, figures: Figures) -> None:
    """Several suppliers send at once to a service in a process of its own."""
    folder = Path(tempfile.mkdtemp(dir=disk))
    suppliers = [company(f"steel{n}", f"제철 {n}") for n in range(SENDERS)]
    buyer = company("buyer", "구매사")
    kind = "PostgreSQL" if durable_url.startswith("postgresql") else "SQLite"
    with (
        bank_process(folder, durable_url, [*suppliers, buyer]) as url,
        httpx.Client(timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        bank = Bank(url, FrozenClock(), http)
        bank.deposit(buyer, DEPOSIT_WON)
        told = {}
        for number, supplier in enumerate(suppliers):
            told[supplier.id] = [
                agreement(supplier, buyer, PRICES, name=f"{number}-{n}") for n in range(AGREEMENTS)
            ]
            tell(bank, supplier, told[supplier.id], buyer)
        database = Database(durable_url)
        insert_rows = raw_rows(database)
        for epoch, size in enumerate(BATCHES, 1):
            chains = [
                (who, make_batches(who, told[who.id], size, epoch=epoch)) for who in suppliers
            ]
            count = BATCHES[size] * size * SENDERS
            send = partial(send_chains, bank, pool, chains)
            taken, limits = [rate(count, send)], []
            for jws, body in chains[0][1][:10]:
                limits.append(rate(size, partial(insert_rows, jws, body)))
            name = f"{kind} over HTTP, {SENDERS} senders, {size:,} a batch"
            limit = "a durable insert of the same rows"
            figures.add(Figure(GROUP, name, "events/s", taken, limit, limits, is_rate=True))
        database.close()


def send_chains(
    bank: Bank, pool: ThreadPoolExecutor, chains: list[tuple[Company, Batches]]
) -> None:
    list(pool.map(lambda chain: send_chain(bank, *chain), chains))


def send_chain(bank: Bank, who: Company, batches: Batches) -> None:
    """Send one supplier's batches, each after the receipt of the one before."""
    for batch in batches:
        answer = bank.send(who, batch)
        assert answer.is_success, answer.text
