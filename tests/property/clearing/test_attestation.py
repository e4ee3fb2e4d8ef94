"""Two signed counts of the same use: joined by act, and the smaller never costs more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from clearing.attestation.model import compare, pairs_of
from schemas.attestation import Attested
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.price import PricePlan
from schemas.usage import Act, UsageRecord
from tests.support.plans import plans

MONTHS = tuple(datetime(2026, month, 10, tzinfo=UTC) for month in (10, 11, 12))
NOW = datetime(2026, 12, 11, tzinfo=UTC)
SILENCE = timedelta(hours=72)
PLANS = plans(st.integers(1, 10**9), st.integers(1, 30))
COUNTS = st.tuples(st.integers(0, 60), st.integers(0, 10**7))
# of each act: the month, what the supplier counted, and what the buyer did; none: not at all
ACTS = st.lists(
    st.tuples(st.sampled_from(MONTHS), st.none() | COUNTS, st.none() | COUNTS), max_size=12
)


def record(seq: int, at: datetime, counts: tuple[int, int]) -> UsageRecord:
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
    )


@given(PLANS, ACTS)
def test_the_smaller_counts_never_cost_more_than_the_suppliers(
    plan: PricePlan,
    acts: list[tuple[datetime, tuple[int, int] | None, tuple[int, int] | None]],
) -> None:
    supplier = [record(n, at, it) for n, (at, it, _) in enumerate(acts) if it]
    buyer = [record(n, at, it) for n, (at, _, it) in enumerate(acts) if it]
    pairs = pairs_of(supplier, buyer)
    for period in ("2026-10", "2026-11", "2026-12"):
        found = compare(AgreementId("a"), plan, pairs, period=period, now=NOW, silence=SILENCE)
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
    all_of = compare(AgreementId("a"), plan, pairs, period="2026-12", now=NOW, silence=SILENCE)
    if all(b is None or s is None or b == s for _, s, b in acts):
        assert all_of.difference_micro == 0


def test_a_result_that_differs_is_told_though_the_counts_agree() -> None:
    mine = record(1, MONTHS[0], (5, 40))
    theirs = replace(mine, result_sha256="1" * 64)
    found = compare(
        AgreementId("a"), PricePlan(), pairs_of([mine], [theirs]),
        period="2026-10", now=NOW, silence=SILENCE,
    )  # fmt: skip
    assert found.acts[Attested.DIFFERENT] == 1
    assert found.difference_micro == 0
