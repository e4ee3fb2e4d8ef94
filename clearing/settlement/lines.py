"""From micro-won to whole won: floor the cumulative amounts and carry the rest.

What is stated of an agreement is always ``floor`` of what it has cost so far, so nobody ever
drifts by a won, and how often statements are issued changes nothing in the end.
"""

from __future__ import annotations

from clearing.rating.rate import Amounts
from schemas.money import MICRO_PER_WON


def line_won(*, stated_micro: Amounts, stated_won: Amounts, new_micro: Amounts) -> Amounts:
    """Return the next statement line of an agreement in whole won.

    The fee never exceeds the supply of its own line: a fee that becomes due a moment before
    the supply it is taken from waits for the next line. Nor is more of it taken back than of the
    supply, where that falls.

    Args:
        stated_micro: What earlier lines were about.
        stated_won: What earlier lines said.
        new_micro: What this line is about.
    """
    due = _floor(stated_micro + new_micro) - stated_won
    fee = _within(due.fee, due.supply)
    return Amounts(due.supply, due.vat, fee, _within(due.fee_vat, due.supply - fee))


def _within(amount: int, bound: int) -> int:
    """Return the amount, on the same side of zero as the bound and no further from it."""
    return max(bound, min(amount, 0)) if bound < 0 else min(amount, bound)


def _floor(micro: Amounts) -> Amounts:
    return Amounts(
        micro.supply // MICRO_PER_WON,
        micro.vat // MICRO_PER_WON,
        micro.fee // MICRO_PER_WON,
        micro.fee_vat // MICRO_PER_WON,
    )
