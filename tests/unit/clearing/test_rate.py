"""What usage costs, in numbers that a reader can check by hand."""

from __future__ import annotations

import pytest

from clearing.rating.rate import (
    CHARGE_MICRO_MAX,
    COUNT_MAX,
    Amounts,
    Meter,
    OutOfRangeError,
    Run,
    charge,
)
from schemas.price import Usage
from tests.support.bank import plan

WON = 1_000_000


def supply_by_month(tariff: dict[str, float], *runs: Run) -> dict[str, float]:
    rated = charge(plan(**tariff), Meter(), runs, fee_bps=500)
    return {month: amounts.supply / WON for month, amounts in rated.by_month.items()}


NOVEMBER = Run("2026-11", acts=2, queries=2, rows=30, bytes=4_000_000)
DECEMBER = Run("2026-12", acts=1, queries=1, rows=5, bytes=500_000)


@pytest.mark.parametrize(
    ("tariff", "expected"),
    [
        ({}, {"2026-11": 0, "2026-12": 0}),
        ({"one_off": 100}, {"2026-11": 100, "2026-12": 0}),
        ({"monthly": 100}, {"2026-11": 100, "2026-12": 100}),
        ({"per_query": 10}, {"2026-11": 40, "2026-12": 10}),
        ({"per_row": 0.5}, {"2026-11": 30, "2026-12": 2.5}),
        ({"per_megabyte": 2}, {"2026-11": 16, "2026-12": 1}),
        ({"monthly": 1, "per_query": 1}, {"2026-11": 5, "2026-12": 2}),
    ],
)
def test_each_price_is_charged_to_the_month_of_its_acts(
    tariff: dict[str, float], expected: dict[str, float]
) -> None:
    assert supply_by_month(tariff, NOVEMBER, DECEMBER, NOVEMBER) == expected


def test_a_month_that_had_use_is_not_charged_again_by_a_late_record() -> None:
    before = Meter(Usage(acts=2, months=2), frozenset({"2026-11", "2026-12"}))
    rated = charge(plan(monthly=100), before, [NOVEMBER], fee_bps=500)
    assert rated.total == Amounts()
    assert rated.meter.usage.months == 2


def test_vat_fee_and_its_vat_follow_the_supply() -> None:
    rated = charge(plan(per_query=1_000), Meter(), [DECEMBER], fee_bps=333)
    assert rated.total == Amounts(1_000 * WON, 100 * WON, 33_300_000, 3_330_000)
    assert rated.total.paid == 1_100 * WON
    assert rated.total.earned == 1_000 * WON - 33_300_000 - 3_330_000


def test_what_the_books_cannot_hold_is_out_of_range() -> None:
    at_most = Run("2026-11", acts=1, rows=COUNT_MAX)
    assert charge(plan(), Meter(), [at_most], fee_bps=0).meter.usage.rows == COUNT_MAX
    with pytest.raises(OutOfRangeError):
        charge(plan(), Meter(), [at_most, Run("2026-11", acts=1, rows=1)], fee_bps=0)
    dear = Run("2026-11", acts=1, queries=CHARGE_MICRO_MAX // WON)
    assert charge(plan(per_query=1), Meter(), [dear], fee_bps=0).total.supply == CHARGE_MICRO_MAX
    with pytest.raises(OutOfRangeError):
        charge(plan(per_query=1), Meter(), [dear, DECEMBER], fee_bps=0)
