"""Which invoices a royalty that is taken back amends: those that told it, the oldest first. Pure.

A line names the statement with the first line of its month. Later statements may have told more
of the month, so what is taken back is allotted to them in order: no invoice is amended below zero,
and none that there is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clearing.shares.model import key_of, lines_of
from schemas.bank import Statement
from schemas.shares import RoyaltyLine

Amounts = tuple[int, int]  # supply and VAT, or a fee and its VAT, in won


@dataclass(slots=True)
class Part:
    """What one statement's invoice has, or loses."""

    statement_id: str
    supply: int = 0
    vat: int = 0


def allot_back(
    history: Iterable[Statement],
    statement: Statement,
    line: RoyaltyLine,
    amounts: Callable[[RoyaltyLine], Amounts],
) -> list[Part]:
    """Return what a line takes back of which statements' invoices, as negative won.

    Args:
        history: All statements of the participant who was paid, in the order of their issue.
        statement: The one of them that says the line.
        line: A royalty received that is taken back.
        amounts: Which of a line's amounts.
    """
    whose = statement.participant_id
    wanted = key_of(line, whose, is_paid=False), line.period or statement.period
    left: list[Part] = []
    for each in history:
        for key, month, told in lines_of(each):
            if (key, month) != wanted or told not in (each.royalties_received or ()):
                continue
            supply, vat = amounts(told)
            if told.original_statement_id is None:
                left.append(Part(each.statement_id, supply, vat))
                continue
            taken = _take(left, -supply, -vat)
            if each.statement_id == statement.statement_id:
                return taken
    supply, vat = amounts(line)
    return [Part(line.original_statement_id or statement.statement_id, supply, vat)]


def _take(left: list[Part], supply: int, vat: int) -> list[Part]:
    """Take so much from what is left, the oldest first; VAT goes with its supply."""
    taken = []
    for part in left:
        of_supply = min(supply, part.supply)
        share = part.vat if of_supply == part.supply else part.vat * of_supply // part.supply
        taken.append(Part(part.statement_id, of_supply, min(vat, share)))
        supply, vat = supply - of_supply, vat - taken[-1].vat
    for part, so_far in zip(left, taken, strict=True):  # a won of VAT that floors have left over
        more = min(vat, part.vat - so_far.vat)
        so_far.vat += more
        vat -= more
        part.supply -= so_far.supply
        part.vat -= so_far.vat
    return [Part(p.statement_id, -p.supply, -p.vat) for p in taken if p.supply or p.vat]
