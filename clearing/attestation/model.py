"""Both sides' records of one agreement, compared act by act. Pure.

Counts are exact on both sides, so there is no tolerance. What is undisputed is the smaller of each
count; an act that the buyer has not signed stands as the supplier metered it, for good once the
buyer's time is over. Where the buyer alone signed an act, nothing is charged for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from clearing.rating.rate import Meter, charge, month_of, runs_of
from schemas.attestation import Attested, ComparedAct, Comparison, Counts
from schemas.ids import AgreementId
from schemas.price import PricePlan
from schemas.usage import UsageRecord

SHOWN_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """One act as each side signed it; at least one did."""

    supplier: UsageRecord | None
    buyer: UsageRecord | None

    @property
    def record(self) -> UsageRecord:
        """The act: the supplier's word for it where there is one."""
        found = self.supplier or self.buyer
        assert found is not None
        return found

    def attested(self, *, silent_before: datetime) -> Attested:
        """Say who has signed it; a buyer is silent about acts before ``silent_before``."""
        if self.supplier is None:
            return Attested.BUYER_ONLY
        if self.buyer is None:
            is_over = self.supplier.occurred_at < silent_before
            return Attested.SILENT if is_over else Attested.SUPPLIER_ONLY
        same = _content(self.supplier) == _content(self.buyer)
        return Attested.BOTH if same else Attested.DIFFERENT

    @property
    def smaller(self) -> UsageRecord | None:
        """The supplier's record with the smaller of each count; none if it has none."""
        if self.supplier is None or self.buyer is None:
            return self.supplier
        return replace(
            self.supplier,
            rows_count=min(self.supplier.rows_count, self.buyer.rows_count),
            bytes_count=min(self.supplier.bytes_count, self.buyer.bytes_count),
            queries_count=min(self.supplier.queries_count, self.buyer.queries_count),
        )


def _content(record: UsageRecord) -> tuple[object, ...]:
    return (
        record.act, record.rows_count, record.bytes_count, record.queries_count,
        record.result_sha256,
    )  # fmt: skip


def pairs_of(supplier: Sequence[UsageRecord], buyer: Sequence[UsageRecord]) -> list[Pair]:
    """Join both sides by act: the supplier's acts in its order, then the buyer's alone."""
    theirs = {record.act_id: record for record in buyer}
    metered = {record.act_id for record in supplier}
    joined = [Pair(record, theirs.get(record.act_id)) for record in supplier]
    return joined + [Pair(None, record) for record in buyer if record.act_id not in metered]


def compare(
    agreement_id: AgreementId,
    plan: PricePlan,
    pairs: Sequence[Pair],
    *,
    period: str,
    now: datetime,
    silence: timedelta,
) -> Comparison:
    """Compare a month of an agreement.

    Args:
        agreement_id: The agreement.
        plan: What it costs.
        pairs: All its acts since its beginning.
        period: The month in Seoul.
        now: The time.
        silence: How long a buyer may take to sign.

    Raises:
        clearing.rating.rate.OutOfRangeError: The counts leave the range of the ledger.
    """
    within = [pair for pair in pairs if month_of(pair.record.occurred_at) == period]
    silent_before = now - silence
    states = [(pair, pair.attested(silent_before=silent_before)) for pair in within]
    so_far = [pair for pair in pairs if month_of(pair.record.occurred_at) <= period]
    charged = _cost(plan, (pair.supplier for pair in so_far))
    undisputed = _cost(plan, (pair.smaller for pair in so_far))
    differing = [(p, state) for p, state in states if state is not Attested.BOTH]
    differing.sort(key=lambda each: (each[0].record.occurred_at, each[0].record.act_id))
    found = Counter(state for _, state in states)
    return Comparison(
        agreement_id=agreement_id,
        period=period,
        acts={state: found[state] for state in Attested},
        supplier=_sum(pair.supplier for pair in within),
        buyer=_sum(pair.buyer for pair in within),
        charged_micro=charged,
        undisputed_micro=undisputed,
        difference_micro=charged - undisputed,
        not_agreed=tuple(_told(pair, state) for pair, state in differing[:SHOWN_MAX]),
    )


def _cost(plan: PricePlan, records: Iterable[UsageRecord | None]) -> int:
    runs = runs_of(record for record in records if record is not None)
    return charge(plan, Meter(), runs, fee_bps=0).total.supply


def _sum(records: Iterable[UsageRecord | None]) -> Counts:
    found = [record for record in records if record is not None]
    return Counts(
        queries_count=sum(record.queries_count for record in found),
        rows_count=sum(record.rows_count for record in found),
        bytes_count=sum(record.bytes_count for record in found),
    )


def _told(pair: Pair, state: Attested) -> ComparedAct:
    return ComparedAct(
        act_id=pair.record.act_id,
        act=pair.record.act,
        attested=state,
        occurred_at=pair.record.occurred_at,
        supplier=_sum([pair.supplier]) if pair.supplier else None,
        buyer=_sum([pair.buyer]) if pair.buyer else None,
    )
