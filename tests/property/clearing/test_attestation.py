"""Two signed counts of the same use: joined by act, and the smaller never costs more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from clearing.attestation.model import Pair, Signed, compare, pairs_of
from schemas.attestation import Attested
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.price import PricePlan
from schemas.usage import Act, UsageRecord
from tests.support.plans import plans

MONTHS = tuple(datetime(2026, month, 10, tzinfo=UTC) for month in (10, 11, 12))
NOW = datetime(2026, 12, 11, tzinfo=UTC)
SILENCE = timedelta(hours=72)
PLANS = plans(st.integers(1, 10**9), st.integers(1, 30))
COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 10**7), st.integers(0, 10**4))
Counted = tuple[int, int, int]  # rows, bytes, milliseconds of processor time
# of each act: the month, what the supplier counted, and what the buyer did; none: not at all
ACTS = st.lists(
    st.tuples(st.sampled_from(MONTHS), st.none() | COUNTS, st.none() | COUNTS), max_size=12
)
# what is said once more: by whom, of which act, with which counts, and how many hours later
AGAIN = st.lists(
    st.tuples(st.sampled_from(["supplier", "buyer"]), st.integers(0, 11), COUNTS,
              st.integers(0, 200)),
    max_size=6,
)  # fmt: skip


def record(seq: int, at: datetime, counts: Counted) -> UsageRecord:
    return UsageRecord(
        seq=seq,
        act_id=f"act-{seq}",
        act=Act.QUERY,
        agreement_id=AgreementId("a"),
        process_id=ProcessId("p"),
        consumer_id=ParticipantId("c"),
        dataset_id=DatasetId("d"),
        rows_count=counts[0],
        bytes_count=counts[1],
        queries_count=1,
        result_sha256="0" * 64,
        occurred_at=at,
        compute_ms=counts[2],
    )


def signed(record: UsageRecord, *, hours: int = 0) -> Signed:
    return Signed(record, record.occurred_at + timedelta(hours=hours))


def paired(metered: list[UsageRecord], said: list[UsageRecord]) -> list[Pair]:
    return pairs_of([signed(it) for it in metered], [signed(it) for it in said], silence=SILENCE)


@given(PLANS, ACTS)
def test_the_smaller_counts_never_cost_more_than_the_suppliers(
    plan: PricePlan,
    acts: list[tuple[datetime, Counted | None, Counted | None]],
) -> None:
    supplier = [record(n, at, it) for n, (at, it, _) in enumerate(acts) if it]
    buyer = [record(n, at, it) for n, (at, _, it) in enumerate(acts) if it]
    pairs = paired(supplier, buyer)
    for period in ("2026-10", "2026-11", "2026-12"):
        found = compare(AgreementId("a"), plan, pairs, period=period, now=NOW)
        assert found.difference_micro == found.charged_micro - found.undisputed_micro >= 0
        month = int(period[-2:])
        told = [(s, b) for at, s, b in acts if at.month == month and (s or b)]
        assert sum(found.acts.values()) == len(told)
        assert found.acts[Attested.BOTH] == sum(s == b for s, b in told)
        assert found.acts[Attested.BUYER_ONLY] == sum(s is None for s, _ in told)
        alone = sum(b is None for _, b in told)
        silent, waiting = found.acts[Attested.SILENT], found.acts[Attested.SUPPLIER_ONLY]
        assert (silent, waiting) == ((0, alone) if month == 12 else (alone, 0))
        assert len(found.not_agreed) == len(told) - found.acts[Attested.BOTH]
    all_of = compare(AgreementId("a"), plan, pairs, period="2026-12", now=NOW)
    if all(b is None or s is None or b == s for _, s, b in acts):
        assert all_of.difference_micro == 0


def test_a_result_that_differs_is_told_though_the_counts_agree() -> None:
    mine = record(1, MONTHS[0], (5, 40, 0))
    theirs = replace(mine, result_sha256="1" * 64)
    found = compare(
        AgreementId("a"), PricePlan(), paired([mine], [theirs]), period="2026-10", now=NOW
    )  # fmt: skip
    assert found.acts[Attested.DIFFERENT] == 1
    assert found.difference_micro == 0


@given(PLANS, ACTS, AGAIN)
def test_what_is_said_again_changes_nothing_that_was_undisputed(
    plan: PricePlan,
    acts: list[tuple[datetime, Counted | None, Counted | None]],
    again: list[tuple[str, int, Counted, int]],
) -> None:
    supplier = [signed(record(n, at, it)) for n, (at, it, _) in enumerate(acts) if it]
    buyer = [signed(record(n, at, it)) for n, (at, _, it) in enumerate(acts) if it]
    first = compare(
        AgreementId("a"), plan, pairs_of(supplier, buyer, silence=SILENCE),
        period="2026-12", now=NOW,
    )  # fmt: skip
    for who, n, counts, hours in again:
        if n < len(acts) and acts[n][1 if who == "supplier" else 2]:
            more = signed(record(n, acts[n][0], counts), hours=hours)
            (supplier if who == "supplier" else buyer).append(more)
    then = compare(
        AgreementId("a"), plan, pairs_of(supplier, buyer, silence=SILENCE),
        period="2026-12", now=NOW,
    )  # fmt: skip
    assert then.undisputed_micro == first.undisputed_micro
    assert then.charged_micro >= first.charged_micro
    assert then.buyer == first.buyer
