"""Rating: one cumulative function, so that batching and order cannot change a won."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import format_won, parse_won, round_half_even, vat_on
from schemas.price import AMOUNT_MICRO_MAX, PriceComponent, PriceKind, PricePlan, Usage, rate

COMPONENT = st.builds(
    PriceComponent, kind=st.sampled_from(PriceKind), amount_micro=st.integers(1, AMOUNT_MICRO_MAX)
)
PLANS = st.builds(PricePlan, components=st.lists(COMPONENT, max_size=5).map(tuple))
ACTS = st.lists(
    st.fixed_dictionaries(
        {
            "queries": st.integers(0, 1),
            "rows": st.integers(0, 10**9),
            "bytes_": st.integers(0, 10**12),
            "new_month": st.booleans(),
        }
    ),
    max_size=12,
)


@given(PLANS, ACTS)
def test_charges_of_acts_add_up_to_the_rate_of_the_whole(
    plan: PricePlan, acts: list[dict[str, int]]
) -> None:
    usage, charged = Usage(), 0
    for act in acts:
        after = usage.plus(**act)  # type: ignore[arg-type]
        charge = rate(plan, after) - rate(plan, usage)
        assert charge >= 0
        usage, charged = after, charged + charge
    assert charged == rate(plan, usage)
    assert usage.acts == len(acts)


@given(ACTS)
def test_without_components_everything_is_free(acts: list[dict[str, int]]) -> None:
    usage = Usage()
    for act in acts:
        usage = usage.plus(**act)  # type: ignore[arg-type]
    assert rate(PricePlan(), usage) == 0


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
    ],
)
def test_each_kind_is_charged_by_its_own_count(kind: PriceKind, usage: Usage, charge: int) -> None:
    plan = PricePlan(components=(PriceComponent(kind=kind, amount_micro=7),))
    assert rate(plan, usage) == charge


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
