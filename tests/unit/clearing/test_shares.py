"""Split plans: what a reader works out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from clearing.rating.rate import Amounts
from clearing.shares.model import (
    Income,
    Key,
    Recorded,
    cycle_in,
    due,
    flow,
    in_force,
    integer_weights,
    is_less_than_demanded,
    next_line,
    party_shares,
)
from schemas.ids import AgreementId
from schemas.shares import Basis, EdgeRole, PlanEdge, SplitEdge, Unit
from tests.support.splits import PERIOD, edge, product, split_plan

WON = 1_000_000
A, B, C = product("a"), product("b"), product("c")
GROSS, NET = Basis.PCT_OF_GROSS, Basis.PCT_OF_NET


def test_the_worked_example_comes_out_to_the_won() -> None:
    """₩1,000 for C (fee 5 %): 30 % of net to A, 20 % to B, and B owes 10 % of its share to A."""
    plans = {
        C: split_plan(C, edge(A, NET, 300_000), edge(B, NET, 200_000)),
        B: split_plan(B, edge(A, GROSS, 100_000)),
    }
    found = flow(plans, {C: Income(acts=1, supply=1_000 * WON, fee=50 * WON)})
    owed = {
        (key.product.owner_id, key.upstream.owner_id): amounts.supply // WON
        for key, amounts in found.royalties.items()
    }
    assert owed == {("c", "a"): 285, ("c", "b"): 190, ("b", "a"): 19}
    kept = {
        "a": 285 + 19,
        "b": 190 - 19,
        "c": 1_000 - 50 - 285 - 190,
        "operator": 50,
    }
    assert kept == {"a": 304, "b": 171, "c": 475, "operator": 50}
    shares = party_shares(C, plans, sale_fee_bps=500)
    assert shares == {id_: Fraction(won, 1_000) for id_, won in kept.items()}
    weights = integer_weights(shares)
    assert weights == {id_: won * 10**6 for id_, won in kept.items()}


def test_a_diamond_adds_up_at_its_end() -> None:
    """C owes A and B half each of a half; both owe D all they get."""
    d = product("d")
    plans = {
        C: split_plan(C, edge(A, GROSS, 250_000), edge(B, GROSS, 250_000)),
        A: split_plan(A, edge(d, GROSS, 1_000_000)),
        B: split_plan(B, edge(d, GROSS, 500_000)),
    }
    found = flow(plans, {C: Income(acts=1, supply=8 * WON)})
    assert found.incomes[d].received == 3 * WON
    shares = party_shares(C, plans, sale_fee_bps=0)
    assert shares == {"operator": 0, "c": Fraction(1, 2), "a": 0, "b": Fraction(1, 8),
                      "d": Fraction(3, 8)}  # fmt: skip


@pytest.mark.parametrize(
    ("upstream", "income", "owed"),
    [
        (edge(A, GROSS, 333_333), Income(acts=1, supply=10), 3),
        (edge(A, GROSS, 500_000), Income(acts=1, supply=10, received=7), 8),
        (edge(A, NET, 500_000), Income(acts=1, supply=100, fee=5, received=10, received_fee=1), 52),
        (edge(A, Basis.PER_UNIT_ROYALTY, 7, unit=Unit.QUERY), Income(acts=3, queries=2), 14),
        (edge(A, Basis.PER_UNIT_ROYALTY, 7, unit=Unit.ROW), Income(acts=1, rows=9), 63),
        (edge(A, Basis.PER_UNIT_ROYALTY, 7, unit=Unit.MEGABYTE), Income(acts=1, bytes=999_999), 6),
        (edge(A, Basis.FIXED_PER_PERIOD, 50), Income(acts=1), 50),
        (edge(A, Basis.FIXED_PER_PERIOD, 50), Income(received=1), 50),
        (edge(A, Basis.FIXED_PER_PERIOD, 50), Income(), 0),
        (edge(A, GROSS, 1, floor=40), Income(acts=1), 40),
        (edge(A, GROSS, 1, floor=40), Income(), 0),
        (edge(A, GROSS, 1_000_000, floor=40, cap=60), Income(acts=1, supply=50), 50),
        (edge(A, GROSS, 1_000_000, floor=40, cap=60), Income(acts=1, supply=99), 60),
    ],
)
def test_an_edge_makes_due_what_a_reader_works_out(
    upstream: PlanEdge, income: Income, owed: int
) -> None:
    assert due(upstream, income) == owed


def test_the_last_word_of_those_that_apply_by_then_is_in_force() -> None:
    first, second, third = (
        split_plan(C, edge(A, GROSS, share), number=number, from_period=period)
        for number, (share, period) in enumerate(
            [(1, "2026-11"), (2, "2027-01"), (3, "2026-12")], start=1
        )
    )
    plans = [third, first, second]
    assert in_force(plans, "2026-10") == {}
    assert in_force(plans, PERIOD) == {C: first}
    assert in_force(plans, "2026-12") == {C: third}
    assert in_force(plans, "2027-01") == {C: third}


def test_a_way_back_to_itself_is_found() -> None:
    there = split_plan(C, edge(B, GROSS, 1))
    assert cycle_in([there]) == []
    back = split_plan(B, edge(A, GROSS, 1))
    assert cycle_in([there, back]) == []
    assert set(cycle_in([there, back, split_plan(A, edge(C, GROSS, 1))])) == {A, B, C}
    assert cycle_in([split_plan(A, edge(A, GROSS, 1))])


def test_the_rest_of_a_won_is_carried_into_the_next_line() -> None:
    said = Recorded()
    won = []
    for micro in (600_000, 1_200_000, 1_800_000, 2_400_000):
        line = next_line(Amounts(micro, micro // 10), in_period=said, in_all=said)
        said = said.plus(line)
        won.append((line.won.supply, line.won.vat))
    assert won == [(0, 0), (1, 0), (0, 0), (1, 0)]


def test_two_months_share_one_carry() -> None:
    november = Recorded(Amounts(700_000), Amounts(0))
    line = next_line(Amounts(600_000), in_period=Recorded(), in_all=november)
    assert line.won == Amounts(1)


@pytest.mark.parametrize(
    ("edges", "is_less"),
    [
        ([], True),
        ([edge(A, GROSS, 50_000)], False),
        ([edge(A, GROSS, 49_999)], True),
        ([edge(A, GROSS, 30_000), edge(A, GROSS, 20_000)], False),
        ([edge(A, NET, 50_000)], True),
        ([edge(A, NET, 52_632)], False),
        ([edge(A, GROSS, 50_000, cap=1)], True),
        ([edge(A, GROSS, 50_000, floor=1)], False),
        ([edge(A, Basis.FIXED_PER_PERIOD, 10**9)], True),
    ],
)
def test_what_an_agreement_asks_for_is_covered_by_percentages_alone(
    edges: list[PlanEdge], *, is_less: bool
) -> None:
    assert is_less_than_demanded(edges, royalty_percent=5, sale_fee_bps=500) is is_less


def test_largest_remainders_get_what_is_left() -> None:
    third = Fraction(1, 3)
    assert integer_weights({"a": third, "b": third, "c": third}) == {
        "a": 333_333_334,
        "b": 333_333_333,
        "c": 333_333_333,
    }
    halves = {"a": Fraction(1, 10**10), "b": 1 - Fraction(1, 10**10)}
    assert integer_weights(halves) == {"a": 0, "b": 10**9}


@pytest.mark.parametrize(
    "told",
    [
        {"basis": "pct_of_gross", "share": "1000001"},
        {"basis": "pct_of_gross", "share": "0"},
        {"basis": "pct_of_gross", "share": "-1"},
        {"basis": "pct_of_gross", "share": 0.3},
        {"basis": "pct_of_gross", "share": "1", "unit": "row"},
        {"basis": "per_unit_royalty", "share": "1"},
        {"basis": "per_unit_royalty", "share": "1000000000001", "unit": "row"},
        {"basis": "pct_of_net", "share": "1", "floor_micro": "2", "cap_micro": "1"},
        {"basis": "barter", "share": "1"},
    ],
)
def test_an_edge_that_makes_no_sense_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SplitEdge.model_validate({"agreement_id": AgreementId("urn:a"), **told})


def test_agent_and_principal_edges_are_lines_of_their_own() -> None:
    agent = edge(A, GROSS, 100_000, role=EdgeRole.AGENT)
    plans = {C: split_plan(C, edge(A, GROSS, 200_000), agent)}
    found = flow(plans, {C: Income(acts=1, supply=10 * WON)}).royalties
    assert found == {
        Key(C, A, EdgeRole.PRINCIPAL): Amounts(2 * WON, 200_000),
        Key(C, A, EdgeRole.AGENT): Amounts(1 * WON, 100_000),
    }
