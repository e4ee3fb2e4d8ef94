"""Credit as pure arithmetic: what is overdue, what follows, and what may still be granted.

A delivery beyond the deposit is due ``term_days`` after it was booked. What was owed first is paid
first. Days overdue are whole days after that moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.bank import CreditStatus

# Days overdue from which a status holds, the gravest first.
STEPS: Final = (
    (45, CreditStatus.TERMINATED),
    (14, CreditStatus.SUSPENDED),
    (7, CreditStatus.REMINDER),
    (1, CreditStatus.NOTICE),
)
STOPPED: Final = frozenset({CreditStatus.SUSPENDED, CreditStatus.TERMINATED})


@dataclass(frozen=True, slots=True)
class CreditLine:
    """What the operator allows a participant; without a limit it pays in before use."""

    limit_micro: int = 0
    term_days: int = 0


@dataclass(frozen=True, slots=True)
class Owed:
    """One amount that was delivered beyond the deposit, and when it was booked."""

    amount_micro: int
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a participant stands with what it owes."""

    status: CreditStatus
    owed_micro: int = 0
    due_at: datetime | None = None  # of what has been owed longest
    days_overdue: int = 0


def oldest_unpaid(owed: Iterable[Owed], paid_micro: int) -> Owed | None:
    """Return what has been owed longest, reduced to what of it is unpaid.

    Args:
        owed: Amounts in the order of booking.
        paid_micro: All that was paid on them.
    """
    left = paid_micro
    for each in owed:
        if each.amount_micro > left:
            return Owed(each.amount_micro - left, each.booked_at)
        left -= each.amount_micro
    return None


def standing(
    line: CreditLine, *, owed_micro: int, oldest: datetime | None, now: datetime
) -> Standing:
    """Say how a participant stands.

    Args:
        line: Its credit.
        owed_micro: All that it owes.
        oldest: When what it has owed longest was booked; none if it owes nothing.
        now: The time.
    """
    if owed_micro <= 0 or oldest is None:
        return Standing(CreditStatus.CURRENT)
    due_at = oldest + timedelta(days=line.term_days)
    days = max(0, (now - due_at) // timedelta(days=1))
    status = next((found for least, found in STEPS if days >= least), CreditStatus.CURRENT)
    return Standing(status, owed_micro, due_at, days)


def room_micro(line: CreditLine, found: Standing, granted_micro: int) -> int:
    """Return how much more may be granted beyond the deposit, VAT included.

    Args:
        line: The credit.
        found: What is owed.
        granted_micro: What running grants already cover beyond the deposit, used or not.
    """
    if found.status in STOPPED:
        return 0
    return max(0, line.limit_micro - found.owed_micro - granted_micro)
