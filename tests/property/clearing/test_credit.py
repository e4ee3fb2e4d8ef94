"""Credit: statuses follow from days overdue, and what is granted never passes the limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.credit.model import CreditLine, Owed, Standing, oldest_unpaid, room_micro, standing
from schemas.bank import CreditStatus

BOOKED = datetime(2026, 11, 1, tzinfo=UTC)
LINE = CreditLine(1_000, term_days=30)
AMOUNTS = st.lists(st.integers(1, 1_000), max_size=20)


@pytest.mark.parametrize(
    ("days", "status"),
    [
        (0, "current"),
        (30, "current"),
        (30.99, "current"),
        (31, "notice"),
        (36.99, "notice"),
        (37, "reminder"),
        (43.99, "reminder"),
        (44, "suspended"),
        (74.99, "suspended"),
        (75, "terminated"),
        (4000, "terminated"),
    ],
)
def test_a_status_follows_from_the_days_overdue(days: float, status: str) -> None:
    now = BOOKED + timedelta(days=days)
    found = standing(LINE, owed_micro=5, oldest=BOOKED, now=now)
    assert found.status == status
    assert found.due_at == BOOKED + timedelta(days=30)
    assert found.days_overdue == max(0, int(days) - 30)


@given(st.integers(0, 180), st.integers(-5, 400), st.integers(0, 400))
def test_a_status_only_grows_graver_with_time_and_nothing_owed_is_current(
    term: int, days: int, more: int
) -> None:
    line, order = CreditLine(1, term), list(CreditStatus)
    early, late = BOOKED + timedelta(days=days), BOOKED + timedelta(days=days + more)
    before = standing(line, owed_micro=1, oldest=BOOKED, now=early).status
    after = standing(line, owed_micro=1, oldest=BOOKED, now=late).status
    assert order.index(before) <= order.index(after)
    assert standing(line, owed_micro=0, oldest=None, now=late) == Standing(CreditStatus.CURRENT)


@given(AMOUNTS, st.integers(0, 30_000))
def test_what_was_owed_first_is_paid_first(amounts: list[int], paid: int) -> None:
    owed = [Owed(amount, BOOKED + timedelta(days=n)) for n, amount in enumerate(amounts)]
    won = [each.booked_at for each in owed for _ in range(each.amount_micro)]  # one for each
    found = oldest_unpaid(owed, paid)
    assert (None if found is None else found.booked_at) == (won[paid] if paid < len(won) else None)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_owed_and_granted_never_passes_the_limit(limit: int, owed: int, out: int) -> None:
    line = CreditLine(limit, 30)
    room = room_micro(line, Standing(CreditStatus.REMINDER, owed), out)
    assert room == 0 or owed + out + room == limit
    for stopped in (CreditStatus.SUSPENDED, CreditStatus.TERMINATED):
        assert room_micro(line, Standing(stopped, owed), 0) == 0
