"""Metered events a second into the ledger, against storing the same signed bytes and no more."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text

from clearing.agreements.service import confirm
from clearing.ledger.service import take_deposit
from clearing.log.service import Log
from clearing.metering.service import read, take
from clearing.settlement.service import trial_balance
from databank.kit.clock import new_secret
from databank.kit.db import Database
from databank.kit.http import ServiceClient
from schemas.bank import AgreementRecord, DepositRequest
from schemas.participant import Participant
from schemas.signature import generate_key
from schemas.usage import HEADER, MEDIA_TYPE
from tests.support import registry
from tests.support.bank import NOON, Company, Meter, agreement, company, plan
from tests.support.figures import Figure, Figures
from tests.support.market import Market

GROUP: Final = "Events into the ledger"
BATCHES: Final = {1: 300, 100: 100, 1_000: 40, 8_192: 10}
AGREEMENTS: Final = 10
DEPOSIT_WON: Final = 10**9
PRICES: Final = plan(per_row=1)
MEMBERS: Final = (("meter", "3018100014"), ("payer", "4018100027"))
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


@dataclass(frozen=True)
class Member:
    """A company without a connector, registered at the broker, that speaks to clearing."""

    company: Company
    client: ServiceClient
    clearing: str

    def call(self, path: str, **options: Any) -> None:
        answer = self.client.call("POST", self.clearing + path, **options)
        assert answer.is_success, answer.text


def join(market: Market, http: httpx.Client, handle: str, brn: str) -> Member:
    broker = market.town["broker"].url
    caller = registry.Company(broker, handle, f"http://{handle}.localhost:9")
    client = caller.client(http)
    joined = client.call_json("POST", f"{broker}/participants", json=caller.request(brn=brn))
    company = Company(Participant.model_validate(joined), caller.key)
    return Member(company, client, market.town["clearing"].url)


@pytest.mark.benchmark
def test_ingest_over_http(market: Market, figures: Figures) -> None:
    with httpx.Client(trust_env=False, timeout=60) as http:
        meter, payer = (join(market, http, *who) for who in MEMBERS)
        deposit = {"deposit_id": "events", "participant_id": payer.company.id}
        money = {**deposit, "amount_won": str(DEPOSIT_WON)}
        market.town.api("clearing").post("/deposits", money)
        told = [
            agreement(meter.company, payer.company, PRICES, name=f"over-http-{n}")
            for n in range(AGREEMENTS)
        ]
        for record, member in product(told, (meter, payer)):
            member.call("/agreements", json=record.to_json())
        for epoch, size in enumerate(BATCHES, 1):
            taken = [
                rate(size, partial(send, meter, *batch))
                for batch in make_batches(meter.company, told, size, epoch=epoch)
            ]
            name = f"SQLite over HTTP, {size:,} a batch"
            figures.add(Figure(GROUP, name, "events/s", taken))


def send(member: Member, jws: str, body: bytes) -> None:
    member.call("/usage/batches", content=body, headers={HEADER: jws, "Content-Type": MEDIA_TYPE})
