"""What may be paid out: what was earned, less what buyers have not paid yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from schemas.billing import BankAccount
from schemas.ids import ParticipantId

ROUNDS_MAX: Final = 50  # then participants that owe each other wait for all of it
EVERYTHING_WON: Final = 10**18


@dataclass(frozen=True, slots=True)
class Owed:
    """A sale that a buyer owed when it was stated, or a royalty that a curator owed.

    It tells what was to be paid, and what the supplier earned of it.
    """

    provider_id: ParticipantId
    owed_won: int
    earned_won: int  # with VAT, after the fee
    entry_id: str = ""  # of the sale


@dataclass(frozen=True, slots=True)
class Payable:
    """A participant's cash balances, in won."""

    participant_id: ParticipantId
    earned: int
    vat: int
    withheld: int = 0  # of sales that buyers still owe
    receivable: int = 0  # what the participant owes itself
    recoverable: int = 0  # refunded after it was paid out, and not set off yet
    return_fee: int = 0  # a bank kept it, and nobody has said yet who bears it
    contested: int = 0  # kept back for disputes, and not in what was earned

    @property
    def amount(self) -> int:
        """What may be paid: nothing to one that owes, and nothing that is not collected."""
        if self.receivable > 0:
            return 0
        return max(0, self.earned + self.vat - self.withheld - self.recoverable - self.return_fee)

    @property
    def parts(self) -> tuple[int, int]:
        """How the amount is taken from earnings and VAT.

        The first gives what it has, but for a fee that its owner may have to bear of it.
        """
        earned = min(max(0, self.earned - self.return_fee), self.amount)
        return earned, self.amount - earned


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment as it stands in a file."""

    end_to_end_id: str
    participant_id: ParticipantId
    name: str
    earned: int
    vat: int
    account: BankAccount

    @property
    def amount(self) -> int:
        """Won."""
        return self.earned + self.vat


def withheld_of(
    receivables: Mapping[ParticipantId, int], owed: Mapping[ParticipantId, Sequence[Owed]]
) -> dict[ParticipantId, int]:
    """Return what each supplier must wait for.

    Deposits pay what was owed first, so what a buyer still owes is of its newest sales. The
    supplier waits for all of that, at most for what it earned: the operator lends nothing.

    Args:
        receivables: What each buyer owes now.
        owed: For each buyer, the sales that were stated beyond its deposit, newest first.
    """
    waiting: dict[ParticipantId, int] = defaultdict(int)
    for buyer, rest in receivables.items():
        left = rest
        for sale in owed.get(buyer, ()):
            if left <= 0:
                break
            part = min(left, sale.owed_won)
            left -= part
            waiting[sale.provider_id] += min(part, sale.earned_won)
    return dict(waiting)


def unpaid_of(
    receivables: Mapping[ParticipantId, int], owed: Mapping[ParticipantId, Sequence[Owed]]
) -> set[str]:
    """Return the entries of the sales that buyers have not paid in full, newest first as above."""
    found: set[str] = set()
    for buyer, rest in receivables.items():
        left = rest
        for sale in owed.get(buyer, ()):
            if left > 0 and sale.owed_won > 0:
                left -= min(left, sale.owed_won)
                found.add(sale.entry_id)
    return found


def waiting_of(
    receivables: Mapping[ParticipantId, int],
    owed: Mapping[ParticipantId, Sequence[Owed]],
    balances: Mapping[ParticipantId, int],
    royalties: Callable[[ParticipantId], Sequence[Owed]],
) -> dict[ParticipantId, int]:
    """Return what each supplier must wait for, along royalties as well.

    Who owes royalties pays them from what it earned. What it must itself wait for beyond what it
    has, its newest royalties wait for, and so on upstream: nothing is paid that nobody collected.

    Args:
        receivables: What each buyer owes now.
        owed: For each buyer, the sales that were stated beyond its deposit, newest first.
        balances: What each participant has earned, with VAT; below zero it owes that much.
        royalties: Returns what a participant owed others as royalties, newest first.
    """
    direct = withheld_of(receivables, owed)
    waiting = direct
    for round_ in count():
        missing = {
            id_: short if round_ < ROUNDS_MAX else EVERYTHING_WON
            for id_ in sorted({*balances, *waiting})
            if (short := waiting.get(id_, 0) - balances.get(id_, 0)) > 0
        }
        upstream = withheld_of(missing, {id_: royalties(id_) for id_ in missing})
        found = {id_: direct.get(id_, 0) + upstream.get(id_, 0) for id_ in {*direct, *upstream}}
        if found == waiting:
            break
        waiting = found
    return waiting


def less_given_back(moved: Iterable[Owed]) -> list[Owed]:
    """Return royalties without what was given back of them, newest first.

    Args:
        moved: Royalties that were taken from one participant's earnings, newest first; negative
            ones were given back, and leave as much out of the newest before them.
    """
    back: dict[ParticipantId, tuple[int, int]] = defaultdict(lambda: (0, 0))
    found = []
    for each in moved:
        owed, earned = back[each.provider_id]
        owed, earned = owed + each.owed_won, earned + each.earned_won
        back[each.provider_id] = min(owed, 0), min(earned, 0)
        if owed > 0:
            found.append(replace(each, owed_won=owed, earned_won=max(earned, 0)))
    return found


def is_covered(
    payments: Iterable[Payment],
    payables: Mapping[ParticipantId, Payable],
    *,
    is_reserved: bool = False,
) -> bool:
    """Whether everything in a file may still be paid.

    Args:
        payments: What the file pays.
        payables: What may be paid now.
        is_reserved: Whether an officer has approved the file: then disputes take nothing of it, so
            what they have kept back or refunded since then does not count against it.
    """
    for each in payments:
        now = payables.get(each.participant_id)
        if now is not None and is_reserved:
            withheld = max(0, now.withheld - now.contested)  # else an unpaid sale counts twice
            now = replace(now, withheld=withheld, recoverable=0)
        if now is None or now.amount < each.amount:
            return False
        if max(0, now.earned) < each.earned or max(0, now.vat) < each.vat:  # one may be below 0
            return False
    return True
