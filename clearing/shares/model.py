"""Royalties as pure functions: what a month's income of a product makes due, along all edges.

What an edge makes due is a function of the month's whole income of its product, less refunds, and
grows with it: neither grouping nor order of sales, nor how often a period is closed, changes it.
What a product receives as royalties is income of it, so shares run on along the graph, and meet in
diamonds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from clearing.disputes.refund import share
from clearing.rating.rate import BASIS_POINTS, Amounts, Run
from clearing.settlement.lines import line_won
from schemas.bank import Statement
from schemas.ids import DatasetId, ParticipantId
from schemas.money import vat_on
from schemas.price import BYTES_PER_MEGABYTE
from schemas.shares import (
    MILLIONTHS,
    PERCENTAGES,
    WEIGHT_TOTAL,
    Basis,
    EdgeRole,
    IncomeReport,
    PlanEdge,
    RoyaltyLine,
    SealedPlan,
    Unit,
)

OPERATOR: Final = "operator"
DUE_MICRO_MAX: Final = 10**16  # of a line and month
DEBT_MICRO_MAX: Final = 10**16  # ₩10,000,000,000: what a curator may owe beyond its earnings


class Product(NamedTuple):
    """A dataset of a participant."""

    owner_id: ParticipantId
    dataset_id: DatasetId


class Key(NamedTuple):
    """What statements carry the rest of a won for: one product, one upstream dataset."""

    product: Product
    upstream: Product
    role: EdgeRole


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan in force: the sealed form, its hash, and all edges."""

    sealed: SealedPlan
    sha256: str
    edges: tuple[PlanEdge, ...]

    @property
    def product(self) -> Product:
        """What it is for."""
        return Product(self.sealed.curator_id, self.sealed.product_id)

    @property
    def upstream(self) -> dict[Key, list[PlanEdge]]:
        """The edges by who gets what they make due."""
        found: dict[Key, list[PlanEdge]] = {}
        for edge in self.edges:
            key = Key(self.product, Product(edge.party_id, edge.upstream_id), edge.role)
            found.setdefault(key, []).append(edge)
        return found


def left_after(
    counts: Run, amounts: Amounts, *, credited_won: int, stated_won: int
) -> tuple[Run, Amounts]:
    """Return what stands of an agreement's month after refunds.

    Of everything that was used and charged it leaves out the part that the credited supply is of
    the stated; nothing is left when all of it is credited.
    """

    def left(amount: int) -> int:
        return amount - share(amount, credited_won, stated_won)

    if not credited_won:
        return counts, amounts
    acts, queries = left(counts.acts), left(counts.queries)
    rest = Run(counts.month, acts, queries, left(counts.rows), left(counts.bytes))
    parts = (amounts.supply, amounts.vat, amounts.fee, amounts.fee_vat)
    return rest, Amounts(*map(left, parts))


@dataclass(frozen=True, slots=True)
class Income:
    """What a product took in in one month, in micro-won, and what was used of it."""

    acts: int = 0
    queries: int = 0
    rows: int = 0
    bytes: int = 0
    supply: int = 0
    fee: int = 0
    received: int = 0
    received_fee: int = 0

    @property
    def is_any(self) -> bool:
        """Whether there was anything."""
        return self.acts > 0 or self.received > 0

    @property
    def gross(self) -> int:
        """Sales and royalties received, without VAT."""
        return self.supply + self.received

    @property
    def net(self) -> int:
        """The gross less the operator's fees on it."""
        return self.gross - self.fee - self.received_fee

    def sold(self, counts: Run, amounts: Amounts) -> Income:
        """Return the income with what one agreement used."""
        return replace(
            self,
            acts=self.acts + counts.acts,
            queries=self.queries + counts.queries,
            rows=self.rows + counts.rows,
            bytes=self.bytes + counts.bytes,
            supply=self.supply + amounts.supply,
            fee=self.fee + amounts.fee,
        )

    def got(self, royalty: Amounts) -> Income:
        """Return the income with a royalty."""
        return replace(
            self,
            received=self.received + royalty.supply,
            received_fee=self.received_fee + royalty.fee,
        )


def income_of(report: IncomeReport) -> Income:
    """Return the income that a report tells."""
    return Income(
        report.acts_count,
        report.queries_count,
        report.rows_count,
        report.bytes_count,
        report.supply_micro,
        report.fee_micro,
        report.received_micro,
        report.received_fee_micro,
    )


def due(edge: PlanEdge, income: Income) -> int:
    """Return what a month's income makes due on an edge, in micro-won without VAT.

    It never falls as the income grows. Nothing is due for a month in which nothing came in.
    """
    if not income.is_any:
        return 0
    owed = max(_share_of(edge, income), edge.floor_micro or 0)
    return owed if edge.cap_micro is None else min(owed, edge.cap_micro)


def _share_of(edge: PlanEdge, income: Income) -> int:
    if edge.basis is Basis.PCT_OF_GROSS:
        return income.gross * edge.share // MILLIONTHS
    if edge.basis is Basis.PCT_OF_NET:
        return income.net * edge.share // MILLIONTHS
    if edge.basis is Basis.FIXED_PER_PERIOD:
        return edge.share
    if edge.unit is Unit.MEGABYTE:
        return income.bytes * edge.share // BYTES_PER_MEGABYTE
    return (income.queries if edge.unit is Unit.QUERY else income.rows) * edge.share


def royalty(edges: Iterable[PlanEdge], income: Income, *, fee_bps: int) -> Amounts:
    """Return what edges to the same upstream dataset make due together, with VAT and fee."""
    supply = min(sum(due(edge, income) for edge in edges), DUE_MICRO_MAX)
    fee = supply * fee_bps // BASIS_POINTS
    return Amounts(supply, vat_on(supply), fee, vat_on(fee))


@dataclass(frozen=True, slots=True)
class Flow:
    """What a month's sales make due along all edges, and each product's income with that."""

    incomes: dict[Product, Income] = field(default_factory=dict)
    royalties: dict[Key, Amounts] = field(default_factory=dict)


def flow(
    plans: Mapping[Product, Plan],
    direct: Mapping[Product, Income],
    *,
    at_most: Mapping[Key, Amounts] | None = None,
) -> Flow:
    """Run a month's sales through the plans in force in it.

    Args:
        plans: The plan of each product that has one; without a cycle.
        direct: What was sold of each product itself.
        at_most: What these keys owe at most, whatever their plans say.
    """
    found = Flow(dict(direct))
    for product in downstream_first(plans.values()):
        income = found.incomes.get(product, Income())
        plan = plans.get(product)
        for key, edges in plan.upstream.items() if plan is not None else ():
            owed = royalty(edges, income, fee_bps=plan.sealed.fee_bps)  # type: ignore[union-attr]  # there are edges
            bound = (at_most or {}).get(key, owed)
            owed = min(owed, bound, key=lambda amounts: amounts.supply)
            found.royalties[key] = owed
            before = found.incomes.get(key.upstream, Income())
            found.incomes[key.upstream] = before.got(owed)
    return found


def downstream_first(plans: Iterable[Plan]) -> list[Product]:
    """Return all products of plans, each before those that it owes to.

    Raises:
        CycleError: A product would owe to itself; ``args[1]`` is the way.
    """
    sorter: TopologicalSorter[Product] = TopologicalSorter()
    for plan in plans:
        sorter.add(plan.product)
        for key in plan.upstream:
            sorter.add(key.upstream, plan.product)
    return list(sorter.static_order())


def cycle_in(plans: Iterable[Plan]) -> list[Product]:
    """Return the products along which one would owe to itself; nothing if there is none."""
    try:
        downstream_first(plans)
    except CycleError as error:
        return list(error.args[1])
    return []


def in_force(plans: Iterable[Plan], period: str) -> dict[Product, Plan]:
    """Return the plan of each product in a month: the last told of those that apply by then."""
    found: dict[Product, Plan] = {}
    for plan in sorted(plans, key=lambda each: each.sealed.number):
        if plan.sealed.from_period <= period:
            found[plan.product] = plan
    return found


def party_shares(
    product: Product, plans: Mapping[Product, Plan], *, sale_fee_bps: int
) -> dict[str, Fraction]:
    """Return what each party and the operator keep of one won that a product is sold for.

    Percentages along all paths, exactly; amounts a unit or a month, floors and caps are no shares.
    A party that owes more than it gets has a negative share.

    Args:
        product: What is sold.
        plans: The plans in force.
        sale_fee_bps: The operator's fee on a sale.
    """
    gross = {product: Fraction(1)}
    fees = {product: Fraction(sale_fee_bps, BASIS_POINTS)}
    kept: dict[str, Fraction] = {OPERATOR: Fraction(0)}
    for each in downstream_first(plans.values()) if plans else [product]:
        if each not in gross:
            continue
        kept[OPERATOR] += fees[each]
        rest = net = gross[each] - fees[each]
        plan = plans.get(each)
        for key, edges in plan.upstream.items() if plan is not None else ():
            for edge in edges:
                if edge.basis not in PERCENTAGES:
                    continue
                base = gross[each] if edge.basis is Basis.PCT_OF_GROSS else net
                share = base * Fraction(edge.share, MILLIONTHS)
                rest -= share
                fee = share * Fraction(plan.sealed.fee_bps, BASIS_POINTS)  # type: ignore[union-attr]  # it has edges
                gross[key.upstream] = gross.get(key.upstream, Fraction(0)) + share
                fees[key.upstream] = fees.get(key.upstream, Fraction(0)) + fee
        kept[each.owner_id] = kept.get(each.owner_id, Fraction(0)) + rest
    return kept


def integer_weights(shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Return shares of one as integers that add up to 10^9, by largest remainder.

    Args:
        shares: Not negative, and one together.
    """
    exact = {id_: share * WEIGHT_TOTAL for id_, share in shares.items()}
    found = {id_: int(share) for id_, share in exact.items()}
    left = WEIGHT_TOTAL - sum(found.values())
    largest_first = sorted(exact, key=lambda id_: (found[id_] - exact[id_], id_))
    for id_ in largest_first[:left]:
        found[id_] += 1
    return found


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one line or all lines so far say about a key, and how many they are."""

    micro: Amounts = field(default_factory=Amounts)
    won: Amounts = field(default_factory=Amounts)
    lines_count: int = 0

    def plus(self, line: Recorded) -> Recorded:
        """Return this with a further line."""
        return Recorded(
            self.micro + line.micro, self.won + line.won, self.lines_count + line.lines_count
        )


def next_line(royalty_: Amounts, *, in_period: Recorded, in_all: Recorded) -> Recorded:
    """Return the next statement line of a key: what of a month's royalty no line has said.

    It is negative where refunds make less due than was said. As of every line, what is stated of a
    key is the floor of what it was about so far.

    Args:
        royalty_: What the month makes due so far, in micro-won.
        in_period: What lines have said about the month.
        in_all: What they have said about all months.
    """
    new = royalty_ - in_period.micro
    won = line_won(stated_micro=in_all.micro, stated_won=in_all.won, new_micro=new)
    return Recorded(new, won, 1)


@dataclass(frozen=True, slots=True)
class Royalty:
    """What one statement says about one key: its line's number, and what it follows from."""

    key: Key
    plan: Plan
    income: IncomeReport
    number: int
    said: Recorded

    @property
    def period(self) -> str:
        """The month that it is of."""
        return self.income.period

    @property
    def is_taken_back(self) -> bool:
        """Whether the month makes less due than lines have said."""
        return self.said.micro.supply < 0

    @property
    def income_id(self) -> str:
        """The income report that it follows from."""
        return self.income.income_id

    @property
    def upstream_title(self) -> str:
        """What the upstream's dataset is called."""
        return self.plan.upstream[self.key][0].upstream_title

    def line_for(
        self,
        participant_id: ParticipantId,
        counterparty_name: str,
        *,
        stated_in: str,
        original: str | None = None,
    ) -> RoyaltyLine:
        """Return the line of the statement of who pays it, or of who gets it.

        Args:
            participant_id: Whose statement it is.
            counterparty_name: What the other is called.
            stated_in: The statement's month.
            original: The participant's statement with the first line of the key and month.
        """
        payer, payee = self.key.product.owner_id, self.key.upstream.owner_id
        is_payer = participant_id == payer
        won = self.said.won
        seen = Amounts(won.supply, won.vat) if is_payer else won
        return RoyaltyLine(
            number=self.number,
            period=None if self.period == stated_in else self.period,
            original_statement_id=original if self.is_taken_back else None,
            plan_sha256=self.plan.sha256,
            income_id=self.income_id,
            product_id=self.key.product.dataset_id,
            product_title=self.plan.sealed.product_title,
            upstream_id=self.key.upstream.dataset_id,
            upstream_title=self.upstream_title,
            role=self.key.role,
            counterparty_id=payee if is_payer else payer,
            counterparty_name=counterparty_name,
            supply_won=seen.supply,
            vat_won=seen.vat,
            fee_won=seen.fee,
            fee_vat_won=seen.fee_vat,
            net_won=seen.earned + seen.vat,
        )


def key_of(line: RoyaltyLine, participant_id: ParticipantId, *, is_paid: bool) -> Key:
    """Return what a line of a participant's statement is about."""
    payer, payee = participant_id, line.counterparty_id
    if not is_paid:
        payer, payee = payee, payer
    return Key(Product(payer, line.product_id), Product(payee, line.upstream_id), line.role)


def lines_of(statement: Statement) -> Iterator[tuple[Key, str, RoyaltyLine]]:
    """Give each royalty line of a statement with its key and month; received ones first."""
    whose = statement.participant_id
    for line in statement.royalties_received or ():
        yield key_of(line, whose, is_paid=False), line.period or statement.period, line
    for line in statement.royalties_paid or ():
        yield key_of(line, whose, is_paid=True), line.period or statement.period, line


def is_less_than_demanded(
    edges: Sequence[PlanEdge], *, royalty_percent: int, sale_fee_bps: int
) -> bool:
    """Whether edges under one agreement could give less than this part of the product's gross.

    Amounts a unit or a month, and whatever has a cap, may turn out to be less: they don't count.
    """
    rate = Fraction(0)
    for edge in edges:
        if edge.basis in PERCENTAGES and edge.cap_micro is None:
            part = Fraction(edge.share, MILLIONTHS)
            if edge.basis is Basis.PCT_OF_NET:
                part *= 1 - Fraction(sale_fee_bps, BASIS_POINTS)
            rate += part
    return rate < Fraction(royalty_percent, 100)
