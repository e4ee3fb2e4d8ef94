"""However usage is grouped, and however often months are stated, the sums are the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clearing.grants.model import coverable, hold_for
from clearing.rating.rate import Amounts, Meter, Rated, charge, cumulative, month_of, runs_of
from clearing.settlement.lines import line_won
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.money import MICRO_PER_WON, vat_on
from schemas.price import PricePlan
from schemas.usage import Act, UsageRecord
from tests.support.plans import plans as plans_of

MONTHS = tuple(datetime(2026, month, 10, tzinfo=UTC) for month in (10, 11, 12))

plans = plans_of(
    st.integers(1, 50) | st.integers(1, 10**10), st.integers(1, 20) | st.integers(1, 10**6)
)
acts = st.tuples(
    st.sampled_from(MONTHS),
    st.integers(0, 1),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
    st.integers(0, 10**5),  # milliseconds of processor time
)
Told = tuple[datetime, int, int, int, int]
histories = st.lists(acts, min_size=1, max_size=30)
fees = st.integers(0, 5000)


def records_of(history: list[Told]) -> list[UsageRecord]:
    return [
        UsageRecord(
            seq=seq,
            act_id=str(seq),
            act=Act.QUERY,
            agreement_id=AgreementId("a"),
            process_id=ProcessId("p"),
            consumer_id=ParticipantId("c"),
            dataset_id=DatasetId("d"),
            rows_count=rows,
            bytes_count=bytes_,
            queries_count=queries,
            result_sha256="",
            occurred_at=at,
            compute_ms=compute,
        )
        for seq, (at, queries, rows, bytes_, compute) in enumerate(history, 1)
    ]


@dataclass
class Booked:
    """What a sequence of batches leaves behind."""

    meter: Meter
    by_month: dict[str, Amounts]


def book_in_batches(
    plan: PricePlan, records: list[UsageRecord], cuts: list[int], fee_bps: int
) -> Booked:
    meter, by_month = Meter(), defaultdict[str, Amounts](Amounts)
    edges = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        rated: Rated = charge(plan, meter, runs_of(records[start:end]), fee_bps=fee_bps)
        meter = rated.meter
        for month, amounts in rated.by_month.items():
            by_month[month] += amounts
    return Booked(meter, dict(by_month))


@given(plans, histories, st.lists(st.integers(0, 100), max_size=10), fees)
def test_any_grouping_of_the_records_books_the_same_in_every_month(
    plan: PricePlan, history: list[Told], cuts: list[int], fee_bps: int
) -> None:
    records = records_of(history)
    at_once = book_in_batches(plan, records, [], fee_bps)
    assert book_in_batches(plan, records, cuts, fee_bps) == at_once
    assert book_in_batches(plan, records, list(range(len(records))), fee_bps) == at_once


@given(plans, histories, fees)
def test_the_charges_add_up_to_what_all_usage_costs(
    plan: PricePlan, history: list[Told], fee_bps: int
) -> None:
    booked = book_in_batches(plan, records_of(history), list(range(len(history))), fee_bps)
    total = sum(booked.by_month.values(), Amounts())
    assert total == cumulative(plan, booked.meter.usage, fee_bps)
    assert total.vat == vat_on(total.supply)
    assert total.fee == total.supply * fee_bps // 10_000
    assert total.paid == total.earned + total.vat + total.fee + total.fee_vat


@given(st.integers(0, 10**18), st.integers(0, 10**15))
def test_a_hold_covers_a_charge_wherever_its_vat_is_rounded(before: int, supply: int) -> None:
    assert supply + vat_on(before + supply) - vat_on(before) <= hold_for(supply)


@given(st.integers(0, 10**15))
def test_what_is_coverable_is_available_and_one_more_is_not(available: int) -> None:
    assert hold_for(coverable(available)) <= available < hold_for(coverable(available) + 1)


amounts = st.integers(0, 3 * MICRO_PER_WON)


@given(st.lists(amounts, min_size=1, max_size=30), fees, st.data())
def test_statements_never_drift_by_a_won_and_never_take_more_than_they_state(
    supplies: list[int], fee_bps: int, data: st.DataObject
) -> None:
    # given charges whose cumulative amounts are as the meter makes them
    stated_micro = stated_won = before = Amounts()
    supply = 0
    for part in supplies:
        supply += part
        fee = supply * fee_bps // 10_000
        after = Amounts(supply, vat_on(supply), fee, vat_on(fee))
        if data.draw(st.booleans()):  # a statement is issued now, or only after more usage
            continue
        line = line_won(stated_micro=stated_micro, stated_won=stated_won, new_micro=after - before)
        assert min(line.supply, line.vat, line.fee, line.fee_vat, line.earned) >= 0
        stated_micro, stated_won, before = after, stated_won + line, after
        # then what both parties see is the floor of what was charged, to the won
        assert stated_won.supply == after.supply // MICRO_PER_WON
        assert stated_won.vat == after.vat // MICRO_PER_WON == stated_won.supply // 10
        # and the operator's fee is never taken early
        assert 0 <= after.fee - stated_won.fee * MICRO_PER_WON < 2 * MICRO_PER_WON
        assert 0 <= after.fee_vat - stated_won.fee_vat * MICRO_PER_WON < 2 * MICRO_PER_WON


def test_months_are_those_of_seoul() -> None:
    assert month_of(datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC)) == "2026-11"
    assert month_of(datetime(2026, 11, 30, 15, tzinfo=UTC)) == "2026-12"
