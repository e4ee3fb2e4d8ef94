"""Months of the passbook page, at the ends of the calendar and written otherwise."""

from __future__ import annotations

import pytest

from connector.desk.passbook import month_beside
from connector.management.bank import check_period
from schemas.problem import InvalidRequestError


@pytest.mark.parametrize(
    ("month", "step", "beside"),
    [
        ("2026-12", 1, "2027-01"),
        ("2026-01", -1, "2025-12"),
        ("0000-01", -1, None),
        ("9999-12", 1, None),
    ],
)
def test_there_is_a_link_to_a_month_only_where_there_is_one(
    month: str, step: int, beside: str | None
) -> None:
    assert month_beside(month, step) == beside


@pytest.mark.parametrize("period", ["2026-11\n", "\uff12\uff10\uff12\uff16-11", "2026-13"])
def test_what_clearing_takes_for_no_month_is_none_here(period: str) -> None:
    with pytest.raises(InvalidRequestError):
        check_period(period)
