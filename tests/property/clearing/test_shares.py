"""I10: royalties are exact, whoever sells how much when, and however often a period is closed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.rating.rate import Amounts, Run
from clearing.shares.model import (
    OPERATOR,
    Flow,
    Income,
    Key,
    Plan,
    Product,
    Recorded,
    due,
    flow,
    integer_weights,
    next_line,
    party_shares,
)
from schemas.money import MICRO_PER_WON
from schemas.shares import PERCENTAGES, WEIGHT_TOTAL, Basis, EdgeRole, PlanEdge, Unit
from tests.support.splits import edge, product, split_plan

NODES_MAX = 12
MONTHS = ("2026-11", "2026-12")
Plans = dict[Product, Plan]


@st.composite
def edges(draw: st.DrawFn, upstream: Product, *, is_percentage: bool, share_max: int) -> PlanEdge:
    """An edge of any basis, or a percentage without floor and cap."""
    role = draw(st.sampled_from(EdgeRole))
    basis = draw(st.sampled_from(sorted(PERCENTAGES) if is_percentage else list(Basis)))
    bound = st.none() if is_percentage else st.none() | st.integers(1, 10 * MICRO_PER_WON)
    floor, cap = draw(bound), draw(bound)
    if floor is not None and cap is not None:
        floor, cap = sorted((floor, cap))
    top = share_max if basis in PERCENTAGES else 3 * MICRO_PER_WON
    return edge(
        upstream,
        basis,
        draw(st.integers(1, top)),
        unit=draw(st.sampled_from(Unit)) if basis is Basis.PER_UNIT_ROYALTY else None,
        role=role,
        floor=floor,
        cap=cap,
    )


@st.composite
def graphs(draw: st.DrawFn, *, is_percentage: bool = False) -> Plans:
    """Plans over up to twelve products; each owes only to later ones, so diamonds are common."""
    count = draw(st.integers(2, NODES_MAX))
    nodes = [product(f"p{number:02}") for number in range(count)]
    plans = {}
    for number, node in enumerate(nodes[:-1]):
        chosen = draw(st.lists(st.sampled_from(nodes[number + 1 :]), max_size=4))
        share_max = 10**6 // max(1, len(chosen)) * 9 // 10  # with a fee of 5 % something is left
        of_it = [
            draw(edges(each, is_percentage=is_percentage, share_max=share_max)) for each in chosen
        ]
        plans[node] = split_plan(node, *of_it, fee_bps=draw(st.sampled_from((0, 0, 500))))
    return plans


amounts = st.integers(0, 49 * MICRO_PER_WON) | st.integers(0, 10**15)
sales = st.tuples(
    st.integers(0, NODES_MAX - 1),
    st.sampled_from(MONTHS),
    amounts,
    st.integers(0, 10**6),
    st.integers(0, 10**9),
)
closes = st.sampled_from(MONTHS)
histories = st.lists(sales | closes, max_size=25)


@dataclass
class World:
    """What was sold, and what closes have said of it."""

    plans: Plans
    sold: dict[str, dict[Product, Income]] = field(
        default_factory=lambda: {month: {} for month in MONTHS}
    )
    said: dict[tuple[str, Key], Recorded] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)

    def sell(self, sale: tuple[int, str, int, int, int]) -> None:
        place, month, supply, rows, bytes_ = sale
        nodes = sorted(
            {*self.plans, *(k.upstream for p in self.plans.values() for k in p.upstream)}
        )
        node = nodes[place % len(nodes)]
        before = self.sold[month].get(node, Income())
        self.sold[month][node] = before.sold(
            Run(month, 1, 1, rows, bytes_), Amounts(supply, fee=supply * 500 // 10_000)
        )

    def all_said(self, key: Key) -> Recorded:
        found = Recorded()
        for (_, other), recorded in self.said.items():
            if other == key:
                found = found.plus(recorded)
        return found

    def close(self, month: str) -> None:
        self.flows[month] = flow(self.plans, self.sold[month])
        for key, royalty in self.flows[month].royalties.items():
            in_period = self.said.get((month, key), Recorded())
            line = next_line(royalty, in_period=in_period, in_all=self.all_said(key))
            assert min(line.micro.supply, line.micro.vat, line.micro.fee) >= 0
            assert min(line.won.supply, line.won.vat, line.won.fee, line.won.fee_vat) >= 0
            assert line.won.earned >= 0
            self.said[month, key] = in_period.plus(line)

    def play(self, history: list[object], *, is_closed_between: bool) -> None:
        for step in history:
            if isinstance(step, tuple):
                self.sell(step)
            elif is_closed_between:
                self.close(str(step))
        for month in MONTHS:
            self.close(month)


@settings(max_examples=40, deadline=None)
@given(graphs(), histories)
def test_the_schedule_of_closes_and_the_order_of_sales_change_nothing(
    plans: Plans, history: list[object]
) -> None:
    often, once, backwards = World(plans), World(plans), World(plans)
    often.play(history, is_closed_between=True)
    once.play(history, is_closed_between=False)
    backwards.play(history[::-1], is_closed_between=True)
    keys = {key for _, key in once.said}
    for other in (often, backwards):
        assert {each: other.said[each].micro for each in other.said} == {
            each: once.said[each].micro for each in once.said
        }
        for key in keys:
            ours, theirs = other.all_said(key).won, once.all_said(key).won
            assert (ours.supply, ours.vat) == (theirs.supply, theirs.vat)
            # a fee never exceeds the supply of its own line: it may wait for the next one
            assert abs(ours.fee - theirs.fee) <= 1


@settings(max_examples=40, deadline=None)
@given(graphs(), histories)
def test_nobody_ever_drifts_by_a_won_and_the_rest_is_bounded(
    plans: Plans, history: list[object]
) -> None:
    world = World(plans)
    world.play(history, is_closed_between=True)
    rest_by_payer: dict[Product, int] = defaultdict(int)
    for key in {key for _, key in world.said}:
        said = world.all_said(key)
        rest = said.micro.supply - said.won.supply * MICRO_PER_WON
        assert 0 <= rest < MICRO_PER_WON
        assert 0 <= said.micro.vat - said.won.vat * MICRO_PER_WON < MICRO_PER_WON
        rest_by_payer[key.product] += rest
    for node, rest in rest_by_payer.items():  # 0 ≤ suspense < n
        assert 0 <= rest < len(plans[node].upstream) * MICRO_PER_WON


@settings(max_examples=40, deadline=None)
@given(graphs(), histories)
def test_all_that_came_in_is_kept_by_somebody(plans: Plans, history: list[object]) -> None:
    world = World(plans)
    world.play(history, is_closed_between=False)
    for month in MONTHS:
        found = world.flows[month]
        sold = sum(income.supply for income in world.sold[month].values())
        kept = {
            node: income.net
            - sum(a.supply for k, a in found.royalties.items() if k.product == node)
            for node, income in found.incomes.items()
        }
        fees = sum(income.fee + income.received_fee for income in found.incomes.values())
        assert sum(kept.values()) + fees == sold


@settings(max_examples=40, deadline=None)
@given(graphs(is_percentage=True), st.integers(0, 10**15))
def test_weights_are_what_sales_come_to(plans: Plans, supply: int) -> None:
    root = min(plans)
    shares = party_shares(root, plans, sale_fee_bps=500)
    assert sum(shares.values()) == 1
    assert min(shares.values()) >= 0
    weights = integer_weights(shares)
    assert sum(weights.values()) == WEIGHT_TOTAL
    assert all(abs(weights[id_] - shares[id_] * WEIGHT_TOTAL) < 1 for id_ in shares)
    found = flow(plans, {root: Income(acts=1, supply=supply, fee=supply * 500 // 10_000)})
    edges_count = sum(len(plan.edges) for plan in plans.values())
    for node, income in found.incomes.items():
        owed = sum(a.supply for k, a in found.royalties.items() if k.product == node)
        kept = income.net - owed
        assert kept >= 0  # no leg is negative
        if node.owner_id in shares:
            # each edge cuts off less than a micro-won, and so does each fee
            assert abs(kept - shares[node.owner_id] * supply) <= 4 * edges_count + 4
    fees = sum(income.fee + income.received_fee for income in found.incomes.values())
    assert abs(fees - shares[OPERATOR] * supply) <= 4 * edges_count + 4


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_an_edge_makes_due_never_falls_as_income_grows(data: st.DataObject) -> None:
    upstream = data.draw(edges(product("a"), is_percentage=False, share_max=10**6))
    before = Income()
    for _ in range(data.draw(st.integers(1, 6))):
        supply = data.draw(amounts)
        run = Run("2026-11", 1, data.draw(st.integers(0, 9)), data.draw(st.integers(0, 99)), 0)
        after = before.sold(run, Amounts(supply, fee=supply // 20)).got(Amounts(supply // 3))
        assert due(upstream, after) >= due(upstream, before)
        assert due(upstream, after) >= (upstream.floor_micro or 0)
        if upstream.cap_micro is not None:
            assert due(upstream, after) <= upstream.cap_micro
        before = after


def test_a_thousand_small_sales_starve_nobody() -> None:
    """Of 10,000 sales of 1 to 49 won, a party with 1 % gets what it is due, to the won."""
    root, small = product("root"), product("small")
    plans = {root: split_plan(root, edge(small, Basis.PCT_OF_GROSS, 10_000))}
    key = next(iter(plans[root].upstream))
    said, sold = Recorded(), Income()
    for number in range(10_000):
        supply = (number * 37 % 49 + 1) * MICRO_PER_WON
        sold = sold.sold(Run("2026-11", 1, 1, 0, 0), Amounts(supply))
        line = next_line(flow(plans, {root: sold}).royalties[key], in_period=said, in_all=said)
        said = said.plus(line)
    exact = Fraction(sold.supply, 100) / MICRO_PER_WON
    assert 0 <= exact - said.won.supply < 1
