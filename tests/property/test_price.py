"""Rating: one cumulative function, so that batching and order cannot change a won."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import format_won, parse_won, round_half_even, vat_on
from schemas.policy.odrl import from_policy, to_policy
from schemas.price import (
    AMOUNT_MICRO_MAX,
    UNITS_MAX,
    PriceComponent,
    PriceKind,
    PricePlan,
    Run,
    Step,
    Steps,
    Usage,
    price_sentence,
    rate,
)
from schemas.price_form import BadPriceError, parse_plan, write_plan
from schemas.terms import Terms
from tests.support.plans import plans

PLANS = plans(
    st.integers(1, 50) | st.integers(1, AMOUNT_MICRO_MAX),
    st.integers(1, 20) | st.integers(1, UNITS_MAX),
)
SMALL_PLANS = plans(st.integers(1, 50), st.integers(1, 20))
MONTHS = ("2026-10", "2026-11", "2026-12")
RUNS = st.builds(
    Run,
    month=st.sampled_from(MONTHS),
    acts=st.integers(1, 3),
    queries=st.integers(0, 3),
    rows=st.integers(0, 30) | st.integers(0, 10**9),
    bytes=st.integers(0, 3 * 10**7) | st.integers(0, 10**12),
    compute_ms=st.integers(0, 3 * 10**4) | st.integers(0, 10**9),
)
HISTORIES = st.lists(RUNS, max_size=10)


def used(history: list[Run]) -> list[Usage]:
    """Return the usage before and after each run."""
    found = [Usage()]
    for run in history:
        is_new = not found[-1].has_month(run.month)
        found.append(found[-1].plus(run, is_new_month=is_new))
    return found


@given(PLANS | SMALL_PLANS, HISTORIES)
def test_charges_of_acts_add_up_to_the_rate_of_the_whole(
    plan: PricePlan, history: list[Run]
) -> None:
    usages = used(history)
    charges = [rate(plan, after) - rate(plan, before) for before, after in pairwise(usages)]
    assert all(charge >= 0 for charge in charges)
    assert sum(charges) == rate(plan, usages[-1])
    assert rate(plan, Usage()) == 0


@given(PLANS | SMALL_PLANS, HISTORIES, st.randoms(use_true_random=False))
def test_neither_order_nor_grouping_of_acts_changes_what_they_cost(
    plan: PricePlan, history: list[Run], random: object
) -> None:
    by_month: dict[str, Run] = {}
    for run in history:
        by_month[run.month] = by_month.get(run.month, Run(run.month)).plus(run)
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    whole = rate(plan, used(history)[-1])
    assert rate(plan, used(list(by_month.values()))[-1]) == whole
    assert rate(plan, used(shuffled)[-1]) == whole


@given(SMALL_PLANS, HISTORIES)
def test_a_month_with_use_costs_between_its_minimum_and_its_cap(
    plan: PricePlan, history: list[Run]
) -> None:
    usages = used(history)
    once = sum(c.amount_micro for c in plan.components if c.kind is PriceKind.ONE_OFF)
    months = len({run.month for run in history})
    cost = rate(plan, usages[-1]) - (once if history else 0)
    assert cost >= months * (plan.monthly_minimum_micro or 0)
    if plan.monthly_cap_micro is not None:
        assert cost <= months * plan.monthly_cap_micro


@given(SMALL_PLANS, HISTORIES)
def test_a_cap_only_takes_away_and_a_minimum_only_adds(plan: PricePlan, history: list[Run]) -> None:
    usage = used(history)[-1]
    no_cap = PricePlan.model_validate({**plan.to_json(), "monthly_cap_micro": None})
    no_least = PricePlan.model_validate({**plan.to_json(), "monthly_minimum_micro": None})
    assert rate(no_least, usage) <= rate(plan, usage) <= rate(no_cap, usage)


COUNTS = st.integers(0, 400)
STARTS = st.lists(st.integers(1, 300), min_size=1, max_size=4, unique=True).map(sorted)
FALLING = st.lists(st.integers(1, 99), min_size=5, max_size=5, unique=True).map(
    lambda amounts: sorted(amounts, reverse=True)
)


@given(STARTS, FALLING, COUNTS)
def test_graduated_steps_price_each_unit_by_its_own_place(
    starts: list[int], amounts: list[int], count: int
) -> None:
    tiers = tuple(Step(above=s, amount_micro=a) for s, a in zip(starts, amounts[1:], strict=False))
    component = PriceComponent(
        kind=PriceKind.PER_ROW, amount_micro=amounts[0], steps=Steps.GRADUATED, tiers=tiers
    )
    each = (amounts[sum(start < place for start in starts)] for place in range(1, count + 1))
    assert rate(PricePlan(components=(component,)), Usage(acts=1, rows=count)) == sum(each)


@given(STARTS, FALLING, COUNTS)
def test_volume_steps_cost_the_least_that_this_much_or_more_would(
    starts: list[int], amounts: list[int], count: int
) -> None:
    tiers = tuple(Step(above=s, amount_micro=a) for s, a in zip(starts, amounts[1:], strict=False))
    component = PriceComponent(
        kind=PriceKind.PER_ROW, amount_micro=amounts[0], steps=Steps.VOLUME, tiers=tiers
    )
    plan = PricePlan(components=(component,))
    textbook = [n * amounts[sum(start < n for start in starts)] for n in range(500)]
    cost = rate(plan, Usage(acts=1, rows=count))
    assert cost == min(textbook[count:])
    if count > starts[-1]:
        assert cost == textbook[count]


@given(PLANS | SMALL_PLANS)
def test_a_plan_is_written_and_read_without_loss(plan: PricePlan) -> None:
    assert PricePlan.model_validate(plan.to_json()) == plan
    assert from_policy(to_policy(Terms(), plan)) == (Terms(), plan)
    assert parse_plan(write_plan(plan)) == plan
    assert parse_plan(write_plan(plan)).plan_sha256 == plan.plan_sha256


@given(PLANS)
def test_whatever_a_plan_holds_is_said(plan: PricePlan) -> None:
    said = price_sentence(plan)
    amounts = [c.amount_micro for c in plan.components]
    amounts += [s.amount_micro for c in plan.components for s in c.tiers or ()]
    amounts += [a for a in (plan.monthly_minimum_micro, plan.monthly_cap_micro) if a]
    counts = [n for c in plan.components for n in (c.free, c.block) if n]
    counts += [s.above for c in plan.components for s in c.tiers or ()]
    for text in (said.ko, said.en):
        assert all(format_won(amount) in text for amount in amounts)
        assert all(f"{count:,}" in text for count in counts)
    assert ("달마다 새로 셈" in said.ko) == any(c.is_monthly for c in plan.components)


@given(st.text("onceqryrwmbputa=/:0123456789.,freblkvluthincap ", max_size=40))
def test_whatever_is_typed_as_a_price_is_read_or_explained(text: str) -> None:
    with suppress(BadPriceError):  # whose reason is in both languages, as its type says
        plan = parse_plan(text)
        assert parse_plan(write_plan(plan)) == plan


@pytest.mark.parametrize(
    ("components", "sha256"),
    [
        ((), "a823b6c53160d9d6e377d2393e75e2036debf6dd80ed0cea00455356dad3cddc"),
        (
            ((PriceKind.PER_QUERY, 100_000_000),),
            "8c0c715333df35fbc4a11ce91365726bebca64e61a68882869b6dddc7aaa00c8",
        ),
        (
            tuple(zip(list(PriceKind)[:5], (1, 2, 3, 500_000, 10**15), strict=True)),
            "c3d2715487f183ec8ad8fd188b2de9b82694b1a1750f9e09af941d2e0d761089",
        ),
    ],
)
def test_plans_of_before_the_further_forms_keep_their_hash(
    components: tuple[tuple[PriceKind, int], ...], sha256: str
) -> None:
    plan = PricePlan(
        components=tuple(PriceComponent(kind=kind, amount_micro=a) for kind, a in components)
    )
    assert plan.plan_sha256 == sha256
    more = plan.components and replace_first(plan, free=1)
    assert not more or more.plan_sha256 != sha256


def replace_first(plan: PricePlan, **fields: int) -> PricePlan:
    """Return the plan with its last amount, which is metered, changed."""
    *others, last = plan.components
    changed = PriceComponent.model_validate({**last.to_json(), **fields})
    return PricePlan(components=(*others, changed))


@pytest.mark.parametrize(
    ("kind", "usage", "charge"),
    [
        (PriceKind.ONE_OFF, Usage(), 0),
        (PriceKind.ONE_OFF, Usage(acts=9), 7),
        (PriceKind.MONTHLY, Usage(acts=9, months=2), 14),
        (PriceKind.PER_QUERY, Usage(queries=3), 21),
        (PriceKind.PER_ROW, Usage(rows=5), 35),
        (PriceKind.PER_MEGABYTE, Usage(bytes=1_500_000), 10),  # 10.5 to even
        (PriceKind.PER_MEGABYTE, Usage(bytes=2_500_000), 18),  # 17.5 to even
        (PriceKind.PER_COMPUTE_SECOND, Usage(compute_ms=1_500), 10),  # 10.5 to even
        (PriceKind.PER_COMPUTE_SECOND, Usage(compute_ms=71), 0),
        (PriceKind.PER_COMPUTE_SECOND, Usage(compute_ms=72), 1),
    ],
)
def test_each_kind_is_charged_by_its_own_count(kind: PriceKind, usage: Usage, charge: int) -> None:
    plan = PricePlan(components=(PriceComponent(kind=kind, amount_micro=7),))
    assert rate(plan, usage) == charge


def test_usage_that_lacks_a_month_is_not_rated_by_the_month() -> None:
    plan = parse_plan("row=1/free:5/monthly")
    usage = used([Run("2026-11", 1, 1, 9), Run("2026-12", 1, 1, 9)])[-1]
    assert rate(plan, usage) == 8_000_000
    with pytest.raises(AssertionError):
        rate(plan, replace(usage, by_month=usage.by_month[:1]))


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**15))
def test_half_even_rounds_as_fractions_do(numerator: int, denominator: int) -> None:
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(0, 10**20))
def test_won_are_written_and_read_without_loss(amount_micro: int) -> None:
    assert parse_won(format_won(amount_micro)) == amount_micro
    assert 0 <= amount_micro - 10 * vat_on(amount_micro) < 10


@pytest.mark.parametrize("text", ["", "-1", "1.0000001", "1e3", "원", "1.2.3", "½"])
def test_other_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="원 단위"):
        parse_won(text)
