"""A statement computed anew: records in the order of the log, rated, months stated.

The same pure functions that clearing charges and states with, run over signed evidence instead
of the books.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from clearing.rating.rate import Amounts, Meter, Run, charge, runs_of
from clearing.settlement.lines import line_won
from schemas.bank import StatementLine
from schemas.ids import ParticipantId
from schemas.seal import SealedAgreement
from schemas.usage import UsageRecord


@dataclass
class Account:
    """What an agreement has used, cost and been stated so far."""

    agreement: SealedAgreement
    meter: Meter = field(default_factory=Meter)
    counts: dict[str, Run] = field(default_factory=dict)
    charged: dict[str, Amounts] = field(default_factory=dict)
    stated_counts: dict[str, Run] = field(default_factory=dict)
    stated_micro: dict[str, Amounts] = field(default_factory=dict)
    stated_won: Amounts = field(default_factory=Amounts)
    lines: dict[str, list[tuple[str, Amounts]]] = field(default_factory=dict)

    def use(self, records: Iterable[UsageRecord]) -> None:
        """Rate further records.

        Raises:
            clearing.rating.rate.OutOfRangeError: The sums leave the range of the ledger.
        """
        plan, fee_bps = self.agreement.record.plan, self.agreement.fee_bps
        rated = charge(plan, self.meter, runs_of(records), fee_bps=fee_bps)
        self.meter = rated.meter
        for month, amounts in rated.by_month.items():
            self.charged[month] = self.charged.get(month, Amounts()) + amounts
            counts = rated.counts_by_month[month]
            self.counts[month] = self.counts.get(month, Run(month)).plus(counts)

    def state(self, period: str, statement_id: str) -> tuple[Run, Amounts]:
        """State what no statement has said yet of a month; return its counts and won.

        ``lines`` keeps each line of a month with the statement that says it, for later credits.
        """
        before = self.stated_micro.get(period, Amounts())
        new = self.charged.get(period, Amounts()) - before
        micro = sum(self.stated_micro.values(), Amounts())
        won = line_won(stated_micro=micro, stated_won=self.stated_won, new_micro=new)
        all_counts = self.counts.get(period, Run(period))
        counts = all_counts.minus(self.stated_counts.get(period, Run(period)))
        self.stated_counts[period] = all_counts
        self.stated_micro[period] = before + new
        self.stated_won = self.stated_won + won
        self.lines.setdefault(period, []).append((statement_id, won))
        return counts, won


def line_of(
    agreement: SealedAgreement, participant: ParticipantId, name: str, counts: Run, won: Amounts
) -> StatementLine:
    """Return the line that a party's statement has about an agreement.

    Args:
        agreement: The agreement.
        participant: Whose statement it is: the buyer's has no fee.
        name: The counterparty's name.
        counts: What was used.
        won: What it costs, as the supplier sees it.
    """
    record = agreement.record
    is_buyer = participant == record.consumer_id
    seen = Amounts(won.supply, won.vat) if is_buyer else won
    return StatementLine(
        agreement_id=record.agreement_id,
        dataset_title=record.dataset_title,
        counterparty_id=record.provider_id if is_buyer else record.consumer_id,
        counterparty_name=name,
        queries_count=counts.queries,
        rows_count=counts.rows,
        bytes_count=counts.bytes,
        compute_ms=counts.compute_ms or None,
        supply_won=seen.supply,
        vat_won=seen.vat,
        fee_won=seen.fee,
        fee_vat_won=seen.fee_vat,
        net_won=seen.earned + seen.vat,
    )
