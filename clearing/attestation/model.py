"""Both sides' records of one agreement, compared act by act. Pure.

Counts are exact on both sides, so there is no tolerance. What is undisputed is the smaller of each
count; an act that the buyer has not signed stands as the supplier metered it, for good once the
buyer's time is over. Where the buyer alone signed an act, nothing is charged for it.

Nobody can change its word by saying it again: of each side the first record of an act counts. What
the supplier metered once more is undisputed to no part. A buyer's time runs from when the act took
place or, if that is later, from when clearing booked it: neither side's clock alone decides it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
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
class Signed:
    """A record, and when clearing received it."""

    record: UsageRecord
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Pair:
    """One act as each side signed it; at least one did.

    ``ends_at`` is when the buyer's time to sign it is over, ``is_repeated`` that the supplier had
    metered it before, ``is_contradicted`` that the buyer has signed it again with other content.
    """

    supplier: UsageRecord | None
    buyer: UsageRecord | None
    ends_at: datetime
    is_repeated: bool = False
    is_contradicted: bool = False

    @property
    def record(self) -> UsageRecord:
        """The act: the supplier's word for it where there is one."""
        found = self.supplier or self.buyer
        assert found is not None
        return found

    def attested(self, now: datetime) -> Attested:
        """Say who has signed it."""
        if self.supplier is None:
            return Attested.BUYER_ONLY
        if self.is_repeated:
            return Attested.REPEATED
        if self.buyer is None:
            return Attested.SILENT if self.ends_at < now else Attested.SUPPLIER_ONLY
        if self.is_contradicted:
            return Attested.CONTRADICTED
        same = _content(self.supplier) == _content(self.buyer)
        return Attested.BOTH if same else Attested.DIFFERENT

    @property
    def smaller(self) -> UsageRecord | None:
        """The supplier's record with the smaller of each count; none if nothing is undisputed."""
        if self.is_repeated:
            return None
        if self.supplier is None or self.buyer is None:
            return self.supplier
        return replace(
            self.supplier,
            rows_count=min(self.supplier.rows_count, self.buyer.rows_count),
            bytes_count=min(self.supplier.bytes_count, self.buyer.bytes_count),
            queries_count=min(self.supplier.queries_count, self.buyer.queries_count),
            compute_ms=min(self.supplier.compute_ms, self.buyer.compute_ms),
        )


def _content(record: UsageRecord) -> tuple[object, ...]:
    return (
        record.act, record.rows_count, record.bytes_count, record.queries_count,
        record.result_sha256, record.compute_ms,
    )  # fmt: skip


def pairs_of(
    supplier: Sequence[Signed], buyer: Sequence[Signed], *, silence: timedelta
) -> list[Pair]:
    """Join both sides by act: the supplier's acts in its order, then the buyer's alone.

    Args:
        supplier: What the supplier metered, in the order of booking.
        buyer: What the buyer signed, in the order of taking.
        silence: How long a buyer may take to sign.
    """
    theirs: dict[str, list[Signed]] = {}
    for signed in buyer:
        theirs.setdefault(signed.record.act_id, []).append(signed)
    pairs = []
    met: set[str] = set()
    for signed in supplier:
        act_id, ends_at = signed.record.act_id, _end_of(signed, silence)
        if act_id in met:
            pairs.append(Pair(signed.record, None, ends_at, is_repeated=True))
            continue
        met.add(act_id)
        in_time = [each.record for each in theirs.get(act_id, []) if each.received_at <= ends_at]
        pairs.append(_joined(signed.record, in_time, ends_at))
    alone = [said for act_id, said in theirs.items() if act_id not in met]
    return pairs + [Pair(None, said[0].record, _end_of(said[0], silence)) for said in alone]


def _joined(metered: UsageRecord, said: Collection[UsageRecord], ends_at: datetime) -> Pair:
    first = next(iter(said), None)
    is_contradicted = len({_content(each) for each in said}) > 1
    return Pair(metered, first, ends_at, is_contradicted=is_contradicted)


def _end_of(signed: Signed, silence: timedelta) -> datetime:
    return max(signed.record.occurred_at, signed.received_at) + silence


def compare(
    agreement_id: AgreementId,
    plan: PricePlan,
    pairs: Sequence[Pair],
    *,
    period: str,
    now: datetime,
) -> Comparison:
    """Compare a month of an agreement.

    Args:
        agreement_id: The agreement.
        plan: What it costs.
        pairs: All its acts since its beginning.
        period: The month in Seoul.
        now: The time.

    Raises:
        clearing.rating.rate.OutOfRangeError: The counts leave the range of the ledger.
    """
    within = [pair for pair in pairs if month_of(pair.record.occurred_at) == period]
    states = [(pair, pair.attested(now)) for pair in within]
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


def difference_in(plan: PricePlan, pairs: Sequence[Pair], period: str) -> int:
    """Return by how much more the supplier's counts cost than the smaller ones, in one month.

    Micro-won without VAT, never negative: what the month adds to the difference of all months
    before it, since a month alone may come out dearer by smaller counts of earlier ones.

    Args:
        plan: What the agreement costs.
        pairs: All its acts since its beginning.
        period: The month in Seoul.

    Raises:
        clearing.rating.rate.OutOfRangeError: The counts leave the range of the ledger.
    """

    def gap(within: list[Pair]) -> int:
        charged = _cost(plan, (pair.supplier for pair in within))
        return charged - _cost(plan, (pair.smaller for pair in within))

    months = [(pair, month_of(pair.record.occurred_at)) for pair in pairs]
    through = gap([pair for pair, month in months if month <= period])
    return max(0, through - gap([pair for pair, month in months if month < period]))


def _cost(plan: PricePlan, records: Iterable[UsageRecord | None]) -> int:
    runs = runs_of(record for record in records if record is not None)
    return charge(plan, Meter(), runs, fee_bps=0).total.supply


def _sum(records: Iterable[UsageRecord | None]) -> Counts:
    found = [record for record in records if record is not None]
    return Counts(
        queries_count=sum(record.queries_count for record in found),
        rows_count=sum(record.rows_count for record in found),
        bytes_count=sum(record.bytes_count for record in found),
        compute_ms=sum(record.compute_ms for record in found) or None,
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
