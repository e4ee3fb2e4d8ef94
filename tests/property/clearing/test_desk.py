"""Batches booked together leave what they would leave one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from clearing.metering.service import read, take_all
from schemas.bank import AgreementRecord
from schemas.ids import ParticipantId
from schemas.price import PricePlan
from schemas.price_form import parse_plan
from schemas.problem import ProblemError
from schemas.signature import peek_payload
from schemas.usage import FIRST_PREVIOUS_SHA256
from tests.support.bank import NOON, Company, Meter, agreement, company, plan
from tests.support.ledger import Ledger, open_ledger

STEEL, CARBON = company("steel", "광양제철"), company("carbon", "탄소")
BUYER = company("buyer", "구매사")
PRICES = (
    plan(per_row=0.37, one_off=3),
    plan(per_query=0.7, monthly=9),
    plan(),
    plan(per_row=10**9),
    parse_plan("row=0.37/free:2/over:3:0.1/monthly query=1 minimum=2 cap=4"),
)
Sent = tuple[Company, tuple[str, bytes]]

sizes = st.lists(st.integers(0, 3), min_size=1, max_size=6)  # rows of records, by agreement
moves = st.lists(
    st.tuples(st.sampled_from("ab"), sizes, st.sampled_from(["", "twice", "gap", "fork", "bad"])),
    min_size=1,
    max_size=8,
)
TABLES = {
    "clearing_account": "id, debits_posted, credits_posted, debits_pending, credits_pending",
    "clearing_posting": "entry_id, leg, account_id, side, phase, amount, balance_after",
    "clearing_meter": "agreement_id, acts, queries, rows, bytes, months",
    "clearing_period_usage": "agreement_id, period, acts, rows, supply, vat, fee, fee_vat",
    "clearing_stream": "provider_id, epoch, next_seq, last_body_sha256",
    "clearing_batch": "provider_id, epoch, first_seq, body_sha256, header",
    "clearing_batch_agreement": "agreement_id, provider_id, epoch, first_seq, entry_id",
    "clearing_evidence": "provider_id, epoch, body_sha256, contradicted_seq",
    "clearing_log_head": "size",
}


def told_of(supplier: Company) -> list[AgreementRecord]:
    tariffs: tuple[PricePlan, ...] = PRICES
    return [
        agreement(supplier, BUYER, tariff, name=f"{supplier.participant.handle}{n}")
        for n, tariff in enumerate(tariffs)
    ]


def batches_of(history: list[Any]) -> list[Sent]:
    """Sign what two meters send, now and then twice, out of place, or with a wrong record."""
    suppliers = {"a": STEEL, "b": CARBON}
    meters = {name: Meter(supplier) for name, supplier in suppliers.items()}
    sent: list[Sent] = []
    for name, rows, fault in history:
        meter, supplier = meters[name], suppliers[name]
        told = told_of(supplier)
        seq, previous = meter.next_seq, meter.previous
        records = [
            meter.record(told[n % len(told)], rows=count * 1_000) for n, count in enumerate(rows)
        ]
        if fault == "bad":
            records[-1] = replace(records[-1], consumer_id=ParticipantId("did:web:other"))
        batch = meter.batch(records)
        if fault in ("gap", "bad"):  # not to be booked: the meter goes on from before
            meter.next_seq, meter.previous = seq, previous
        if fault == "gap":
            late = [replace(record, seq=record.seq + 1) for record in records]
            batch = meter.sign(late, previous=previous)
        sent.append((supplier, batch))
        if fault == "twice":
            sent.append((supplier, batch))
        if fault == "fork":
            forged = [replace(record, rows_count=99) for record in records]
            sent.append((supplier, meter.sign(forged, previous=FIRST_PREVIOUS_SHA256)))
    return sent


def book(ledger: Ledger, groups: list[list[Sent]]) -> list[dict[str, Any] | str]:
    """Open the books and book groups; return what each batch was answered."""
    for supplier in (STEEL, CARBON):
        for told in told_of(supplier):
            ledger.agree(told, supplier, BUYER)
    ledger.deposit(BUYER, 5_000, deposit_id="d")
    answers: list[dict[str, Any] | str] = []
    for group in groups:
        batches = [read(*batch, who.participant, now=NOON) for who, batch in group]
        with ledger.database.unit_of_work() as uow:
            for outcome in take_all(uow, batches, ledger.log, now=NOON):
                if isinstance(outcome, ProblemError):
                    answers.append(f"{outcome.slug} {sorted(outcome.members.items())}")
                else:
                    answers.append(peek_payload(outcome) | {"nonce": ""})
    return answers


def left_in(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.database.unit_of_work() as uow:
        return {
            table: sorted(tuple(row) for row in uow.run(text(f"SELECT {columns} FROM {table}")))
            for table, columns in TABLES.items()
        }


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves, st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_a_group_is_booked_as_if_each_batch_came_alone(history: list[Any], cuts: list[int]) -> None:
    sent = batches_of(history)
    groups, rest = [], sent
    for cut in cuts:
        groups.append(rest[:cut])
        rest = rest[cut:]
    groups.append(rest)
    with open_ledger() as one, open_ledger() as many:
        alone = book(one, [[each] for each in sent])
        together = book(many, [group for group in groups if group])
        assert together == alone
        assert left_in(many) == left_in(one)
