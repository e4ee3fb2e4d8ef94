"""A refund along what was recorded: which statement lines it is of, and which legs. Pure.

Of a line, ``share(x, r)`` is what belongs to the first ``r`` won of its supply. A refund of the
won after ``before`` takes ``share(before + supply) - share(before)`` of everything that the line
recorded, so parts add up to the whole: when all of the supply was refunded, every account that the
sale had touched is where it was (I11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from clearing.ledger.model import AccountId, Book, Code, Leg, Side, account_id
from clearing.rating.rate import Amounts
from schemas.dispute import CreditPart
from schemas.ids import ParticipantId

Place = tuple[str, int]  # period, number of the line in it
_PAYING: Final = frozenset({Code.DEPOSIT, Code.RECEIVABLE})


class NotThatMuchError(ValueError):
    """More is to be refunded than was stated and not refunded yet."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one statement said of the agreement, in won, as the supplier sees it."""

    period: str
    number: int
    amounts: Amounts

    @property
    def place(self) -> Place:
        """Which line it is."""
        return self.period, self.number


def share(amount: int, supply: int, whole: int) -> int:
    """Return what belongs to the first ``supply`` won of a line's ``whole`` supply.

    A line without supply, which only carries a won of VAT or fee, is one piece.
    """
    return amount if whole == 0 else amount * supply // whole


def remaining_of(lines: Iterable[Line], credited: Mapping[Place, int]) -> int:
    """Return the supply that was not refunded yet."""
    return sum(line.amounts.supply - credited.get(line.place, 0) for line in lines)


def allot(lines: Sequence[Line], credited: Mapping[Place, int], amount: int) -> list[CreditPart]:
    """Say which lines a refund is of: the oldest first.

    Args:
        lines: The agreement's lines of a month, oldest first.
        credited: Of each line that was refunded in part or whole, how much supply.
        amount: How much supply is refunded.

    Raises:
        NotThatMuchError: So much does not remain.
    """
    left = remaining_of(lines, credited) - amount
    if left < 0:
        raise NotThatMuchError(f"{amount} won, and only {left + amount} remain")
    parts, due = [], amount
    for line in lines:
        before = credited.get(line.place, 0)
        supply = min(due, line.amounts.supply - before)
        is_rest = line.amounts.supply == 0 and line.place not in credited
        if supply > 0 or (is_rest and amount > 0 and left == 0):
            due -= supply
            parts.append(
                CreditPart(
                    period=line.period, line=line.number, before_won=before, supply_won=supply
                )
            )
    return parts


def credited_after(credited: Mapping[Place, int], parts: Iterable[CreditPart]) -> dict[Place, int]:
    """Return how much supply of each line is credited after these parts."""
    after = dict(credited)
    for part in parts:
        place = part.period, part.line
        after[place] = after.get(place, 0) + part.supply_won
    return after


def credit_of(stated: Amounts, part: CreditPart) -> Amounts:
    """Return what a part takes back of its line."""
    end = part.before_won + part.supply_won
    vat, fee, fee_vat = (
        share(amount, end, stated.supply)
        - (share(amount, part.before_won, stated.supply) if stated.supply else 0)
        for amount in (stated.vat, stated.fee, stated.fee_vat)
    )
    return Amounts(part.supply_won, vat, fee, fee_vat)


def refund_legs(
    recorded: Iterable[Leg], part: CreditPart, stated: Amounts, *, provider: ParticipantId
) -> list[Leg]:
    """Return the legs that take a part of a recorded sale back, whatever legs that has.

    Every leg gives its share, cut off below a won; the supplier's earnings give what is then
    missing. What was paid, from the deposit or beyond it, comes to the buyer's deposit as one
    leg.

    Args:
        recorded: The posted legs of the entry that booked the line, in won.
        part: Which part of it.
        stated: What the line said.
        provider: The supplier.
    """
    credit = credit_of(stated, part)
    book, taken = Book.CASH, dict[AccountId, int]()
    refunded, deposit = credit.paid, None
    for leg in recorded:
        kind, code, owner = leg.account_id.split(":", 2)
        book = Book(kind)
        if code in _PAYING:
            deposit = account_id(book, Code.DEPOSIT, owner)
            continue
        signed = leg.amount if leg.side is Side.CREDIT else -leg.amount
        taken[leg.account_id] = taken.get(leg.account_id, 0) + signed
    earned = account_id(book, Code.EARNED, provider)
    end, whole = part.before_won + part.supply_won, stated.supply
    moved = {
        id_: share(amount, end, whole) - (share(amount, part.before_won, whole) if whole else 0)
        for id_, amount in taken.items()
        if id_ != earned
    }
    moved[earned] = refunded - sum(moved.values())
    legs = [_leg(id_, debit) for id_, debit in sorted(moved.items()) if debit]
    if deposit is not None and refunded:
        legs.append(Leg(deposit, Side.CREDIT, refunded))
    return legs


def _leg(id_: AccountId, debit: int) -> Leg:
    return Leg(id_, Side.DEBIT if debit > 0 else Side.CREDIT, abs(debit))


def scaled(legs: Iterable[Leg], book: Book, units: int) -> tuple[Leg, ...]:
    """Return the same legs in another book, in its units."""
    return tuple(
        replace(
            leg,
            account_id=AccountId(f"{book}:{leg.account_id.split(':', 1)[1]}"),
            amount=leg.amount * units,
        )
        for leg in legs
    )
