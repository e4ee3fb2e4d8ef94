"""Wherever closes stop and however often they are repeated, the same stands in the end (I12)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.closing.service import advance, close, rehearse
from clearing.disputes.service import all_disputes
from clearing.settlement.service import all_of
from schemas.bank import AgreementRecord
from schemas.close import CloseReport
from schemas.shares import Basis, RoyaltyLine, Unit
from tests.support.bank import NOON, Company, Meter, Receiver, agreement, company, plan
from tests.support.ledger import Ledger, open_ledger
from tests.support.splits import request, told_edge

PERIOD = "2026-11"


@dataclass(frozen=True)
class Sent:
    """A batch of one supplier, made once and sent to every ledger."""

    supplier: Company
    batch: tuple[str, bytes]
    signed: list[tuple[Company, tuple[str, bytes]]]  # by its buyers, of half of the rows


class StoppedError(Exception):
    """The process dies in the middle of a transaction."""


acts = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 10**5))
histories = st.lists(st.lists(acts, min_size=1, max_size=3), min_size=1, max_size=4)
# what the operator does after each batch: nothing, steps that are done, or steps that are lost
stops = st.lists(st.sampled_from(["", "advance", "lost", "close", "dry"]), max_size=8)


def _world() -> tuple[list[Company], list[AgreementRecord], list[Company]]:
    suppliers = [company("steel", "광양제철"), company("carbon", "탄소")]
    buyers = [company("buyer", "구매사"), suppliers[0]]
    deals = [
        agreement(supplier, buyer, plan(per_row=0.37, monthly=9.9), name=f"{n}{m}")
        for n, supplier in enumerate(suppliers)
        for m, buyer in enumerate(buyers)
        if supplier is not buyer
    ]
    return suppliers, deals, buyers


def _open(ledger: Ledger, deals: list[AgreementRecord], people: list[Company]) -> None:
    by_id = {each.id: each for each in people}
    for told in deals:
        ledger.agree(told, by_id[told.provider_id], by_id[told.consumer_id])
    for who in people:
        ledger.deposit(who, 50, deposit_id=who.id)
    used, sold = deals[-1], deals[0]  # what the first supplier uses of the other's, and sells
    ledger.share(
        by_id[sold.provider_id],
        request(
            sold,
            told_edge(used, Basis.PCT_OF_NET, 333_333),
            told_edge(used, Basis.PER_UNIT_ROYALTY, 123_456, unit=Unit.ROW, cap_micro=9 * 10**9),
        ),
    )


def _do(ledger: Ledger, what: str) -> None:
    if what == "close":
        close(ledger.database, PERIOD, ledger.log, clock=lambda: NOON)
    elif what == "dry":
        rehearse(ledger.database, PERIOD, now=NOON)
    elif what == "advance":
        with ledger.database.unit_of_work() as uow:
            advance(uow, PERIOD, ledger.log, now=NOON)
    elif what == "lost":
        with suppress(StoppedError), ledger.database.unit_of_work() as uow:
            advance(uow, PERIOD, ledger.log, now=NOON)
            raise StoppedError


def _results(report: CloseReport) -> list[dict[str, Any]]:
    return [step.to_json() for run in report.runs for step in run.steps]


def _royalties(ledger: Ledger) -> list[list[RoyaltyLine]]:
    """Return what statements say of royalties; each is in two, of who pays and who gets it."""
    with ledger.database.unit_of_work() as uow:
        found = all_of(uow, PERIOD).statements
    paid = sum(line.net_won for each in found for line in each.royalties_paid or ())
    got = sum(
        line.supply_won + line.vat_won for each in found for line in each.royalties_received or ()
    )
    assert paid == got
    return [
        [line.model_copy(update={"plan_sha256": ""}) for line in each.royalties_received or ()]
        for each in found
    ]


@settings(max_examples=12, deadline=None)
@given(histories, stops)
def test_a_close_that_stops_anywhere_ends_as_one_that_does_not(
    history: list[list[tuple[int, int, int]]], stops: list[str]
) -> None:
    suppliers, deals, buyers = _world()
    meters = {each.id: Meter(each) for each in suppliers}
    receivers = {each.id: Receiver(each) for each in [*suppliers, *buyers]}
    sent = []
    for records in history:
        supplier = suppliers[records[0][0]]
        own = [deal for deal in deals if deal.provider_id == supplier.id]
        meter = meters[supplier.id]
        made = [meter.record(own[m % len(own)], rows=rows, at=NOON) for _, m, rows in records]
        signed = []
        for record in made:
            buyer = next(who for who in buyers if who.id == record.consumer_id)
            receiver = receivers[buyer.id]
            said = replace(record, seq=receiver.next_seq, rows_count=record.rows_count // 2)
            receiver.next_seq += 1
            signed.append((buyer, receiver.batch([said])))
        sent.append(Sent(supplier, meter.batch(made), signed))
    people = [*suppliers, buyers[0]]
    with open_ledger() as stopped, open_ledger() as calm:
        for ledger in (stopped, calm):
            _open(ledger, deals, people)
            for each in sent:
                ledger.send(each.supplier, each.batch)
                for buyer, batch in each.signed:
                    ledger.acknowledge(buyer, batch)
        foreseen = rehearse(calm.database, PERIOD, now=NOON)
        for what in stops:
            _do(stopped, what)
        left = close(stopped.database, PERIOD, stopped.log, clock=lambda: NOON)
        right = close(calm.database, PERIOD, calm.log, clock=lambda: NOON)
        # then both are closed, alike, and as foreseen; and closing again adds nothing
        assert left == right
        assert right.is_closed
        assert _results(foreseen) == _results(right)
        assert close(stopped.database, PERIOD, stopped.log, clock=lambda: NOON) == left
        assert _royalties(stopped) == _royalties(calm)
        for run in left.runs:
            for step in run.steps:
                if step.netting is not None:
                    assert sum(p.net_won for p in step.netting.positions) == 0
        # what both sides signed differently is held once, however often it was closed
        with stopped.database.unit_of_work() as uow:
            found = all_disputes(uow, None).disputes
        steps = [step.holds for run in left.runs for step in run.steps if step.holds]
        held = {each.dispute_id: each.claimed_won for step in steps for each in step.disputes}
        assert {each.dispute_id: each.claimed_won for each in found} == held
        assert all(each.held_won > 0 for each in found)
