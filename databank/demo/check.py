"""Whether the walk's totals add up: pure, and the reason why the demo may fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from databank.client.cost import CostLine
from schemas.bank import Payment, Statement, TrialBalance


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a month, in whole won as statements say them."""

    paid_won: int  # by consumers, with VAT
    income_won: int  # to suppliers, after fee and its VAT
    fee_won: int  # to the operator, with its VAT


def totals_of(payments: Sequence[Payment], statements: Sequence[Statement]) -> Totals:
    """Add up what consumers paid, suppliers received and the operator kept."""
    return Totals(
        paid_won=sum(s.purchases_total_won for s in statements),
        income_won=sum(s.sales_total_won for s in statements),
        fee_won=sum(p.fee_won + p.fee_vat_won for p in payments),
    )


def find_faults(
    payments: Sequence[Payment],
    statements: Sequence[Statement],
    books: TrialBalance,
    *,
    charged: Sequence[CostLine],
    acts_count: int,
) -> list[str]:
    """Return every sum that does not hold, as a sentence; none if all is well.

    Args:
        payments: Who paid whom, from clearing.
        statements: What the parties were told.
        books: The trial balance.
        charged: What the curator's answers said they cost.
        acts_count: How many metered acts there were.
    """
    totals = totals_of(payments, statements)
    checks = [
        ("payments = income + fees", totals.paid_won, totals.income_won + totals.fee_won),
        (
            "payments = supply + VAT",
            totals.paid_won,
            sum(p.supply_won + p.vat_won for p in payments),
        ),
        (
            "charges at clearing = charges in the answers",
            sum(p.supply_micro for p in payments),
            sum(line.charge_micro for line in charged),
        ),
        ("records at clearing = metered acts", books.records_count, acts_count),
        ("accrual debits = credits", books.accrual_debits_micro, books.accrual_credits_micro),
        ("cash debits = credits", books.cash_debits_won, books.cash_credits_won),
    ]  # fmt: skip
    return [f"{what}: {left} ≠ {right}" for what, left, right in checks if left != right]
