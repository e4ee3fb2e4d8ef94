"""Price plans and their rating: what usage costs, as one cumulative function.

A plan prices the usage of one agreement from its beginning. The charge for an act is
``rate(plan, after) - rate(plan, before)``, so batching, order and replay change nothing.
Three parties compute it (supplier's quote, curator's check, clearing's charge): it lives here.
Amounts are micro-won without VAT.

Every form is a function that never falls as usage grows, so that nothing is trued up later:

* free units are not counted: all else sees what is beyond them;
* graduated steps price the units above each step by its own amount;
* volume steps price all units by the step that is reached, and never more than the first unit of
  a later step would cost in all;
* a block is paid once it is started;
* a month costs at least its minimum, from its first act on, and at most its cap; a one-off amount
  is outside both, and a month without an act costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, StrictInt, model_validator

from schemas.canonical import digest
from schemas.money import CURRENCY, MicroWon, format_won, round_half_even
from schemas.wire import OwnWire, Text

BYTES_PER_MEGABYTE: Final = 1_000_000  # SI, as an invoice reader expects
AMOUNT_MICRO_MAX: Final = 10**15  # one thousand million won a unit
UNITS_MAX: Final = 10**12  # queries, rows or megabytes that a plan may name
STEPS_MAX: Final = 16


class PriceKind(StrEnum):
    """What one amount of a plan is paid for."""

    ONE_OFF = "one_off"
    MONTHLY = "monthly"
    PER_QUERY = "per_query"
    PER_ROW = "per_row"
    PER_MEGABYTE = "per_megabyte"


METERED: Final = frozenset({PriceKind.PER_QUERY, PriceKind.PER_ROW, PriceKind.PER_MEGABYTE})


class Steps(StrEnum):
    """What the amount of a step is for."""

    GRADUATED = "graduated"  # the units above the step
    VOLUME = "volume"  # all units, once there are more than the step


class Step(OwnWire):
    """Another amount a unit for more than ``above`` units."""

    above: Annotated[StrictInt, Field(ge=1, le=UNITS_MAX)]
    amount_micro: Annotated[MicroWon, Field(ge=0, le=AMOUNT_MICRO_MAX)]


Units = Annotated[StrictInt, Field(ge=1, le=UNITS_MAX)]


class PriceComponent(OwnWire):
    """One amount of a plan. What is left out does not apply.

    ``free``, ``above`` and ``block`` are in queries, rows or megabytes. ``is_monthly``: they are
    counted anew each calendar month in Seoul, and not over the whole agreement.
    """

    kind: PriceKind
    amount_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)]
    free: Units | None = None
    block: Units | None = None
    steps: Steps | None = None
    tiers: Annotated[tuple[Step, ...] | None, Field(min_length=1, max_length=STEPS_MAX)] = None
    is_monthly: Literal[True] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is one amount for each unit."""
        return self.free is None and self.block is None and self.tiers is None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind not in METERED and not (self.is_plain and self.is_monthly is None):
            raise ValueError(
                f"{self.kind}에는 무료 제공량·구간·묶음이 없습니다 "
                f"({self.kind} has no free units, steps or blocks)"
            )
        if self.is_plain and self.is_monthly:
            raise ValueError(
                "달마다 셀 무료 제공량·구간·묶음이 없습니다 "
                "(nothing is counted by the month: no free units, steps or block)"
            )
        if (self.steps is None) != (self.tiers is None):
            raise ValueError("steps와 tiers는 함께 씁니다 (steps and tiers stand together)")
        if self.tiers is not None:
            self._check_tiers(self.tiers)
        return self

    def _check_tiers(self, tiers: tuple[Step, ...]) -> None:
        if self.block is not None:
            raise ValueError("묶음과 구간은 함께 쓸 수 없습니다 (either a block or steps)")
        starts = [step.above for step in tiers]
        if starts != sorted(set(starts)):
            raise ValueError("구간은 작은 수부터 적습니다 (steps ascend, each above the last)")
        amounts = [self.amount_micro, *(step.amount_micro for step in tiers)]
        falls = all(left > right for left, right in pairwise(amounts))
        if self.steps is Steps.VOLUME and not (falls and amounts[-1]):
            raise ValueError(
                "대량 구간의 값은 점점 싸지고 0이 아닙니다 "
                "(amounts of volume steps fall, and none is zero)"
            )


class PricePlan(OwnWire):
    """A tariff; immutable and known by its hash. No component means free."""

    currency: str = Field(default=CURRENCY, pattern="^KRW$")
    components: tuple[PriceComponent, ...] = Field(default=(), max_length=16)
    monthly_minimum_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)] | None = None
    monthly_cap_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)] | None = None

    @property
    def plan_sha256(self) -> str:
        """The plan's identity: SHA-256 over its RFC 8785 form."""
        return digest(self.to_json())

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever charged."""
        return not self.components

    @property
    def has_monthly_limit(self) -> bool:
        """Whether a month has a minimum or a cap."""
        return self.monthly_minimum_micro is not None or self.monthly_cap_micro is not None

    @property
    def counts_by_month(self) -> bool:
        """Whether rating has to know what was used in each month."""
        return self.has_monthly_limit or any(c.is_monthly for c in self.components)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.has_monthly_limit:
            return self
        if all(c.kind is PriceKind.ONE_OFF for c in self.components):
            raise ValueError(
                "월 최소·최대 금액은 이용에 따른 요금이 있어야 뜻이 있습니다 "
                "(a monthly minimum or cap needs an amount for use)"
            )
        if not all(c.is_plain or c.is_monthly for c in self.components):
            raise ValueError(
                "월 최소·최대 금액이 있으면 무료 제공량·구간·묶음도 달마다 셉니다: monthly "
                "(with a monthly minimum or cap, free units, steps and blocks are monthly too)"
            )
        least, most = self.monthly_minimum_micro, self.monthly_cap_micro
        if least is not None and most is not None and least > most:
            raise ValueError("월 최소 금액이 최대 금액보다 큽니다 (the minimum is above the cap)")
        return self


@dataclass(frozen=True, slots=True)
class Run:
    """Acts of one agreement within one calendar month in Seoul (``YYYY-MM``)."""

    month: str
    acts: int = 0
    queries: int = 0
    rows: int = 0
    bytes: int = 0

    def plus(self, other: Run) -> Run:
        """Return both together."""
        return replace(
            self,
            acts=self.acts + other.acts,
            queries=self.queries + other.queries,
            rows=self.rows + other.rows,
            bytes=self.bytes + other.bytes,
        )

    def minus(self, other: Run) -> Run:
        """Return this without ``other``."""
        return replace(
            self,
            acts=self.acts - other.acts,
            queries=self.queries - other.queries,
            rows=self.rows - other.rows,
            bytes=self.bytes - other.bytes,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one agreement since its beginning.

    ``months`` counts the calendar months (Asia/Seoul) with at least one act. ``by_month`` holds
    each of them, in order; it may lack months where the plan does not count by the month.
    """

    acts: int = 0
    queries: int = 0
    rows: int = 0
    bytes: int = 0
    months: int = 0
    by_month: tuple[Run, ...] = ()

    def plus(self, run: Run, *, is_new_month: bool) -> Usage:
        """Return the usage after further acts."""
        found = {known.month: known for known in self.by_month}
        found[run.month] = found.get(run.month, Run(run.month)).plus(run)
        return Usage(
            acts=self.acts + run.acts,
            queries=self.queries + run.queries,
            rows=self.rows + run.rows,
            bytes=self.bytes + run.bytes,
            months=self.months + is_new_month,
            by_month=tuple(found[month] for month in sorted(found)),
        )

    def has_month(self, month: str) -> bool:
        """Whether ``by_month`` holds that month."""
        return any(known.month == month for known in self.by_month)


def rate(plan: PricePlan, usage: Usage) -> int:
    """Return what ``usage`` costs in all, in micro-won without VAT."""
    if not plan.counts_by_month:
        return sum(_cost(component, usage) for component in plan.components)
    assert len(usage.by_month) == usage.months
    monthly = [c for c in plan.components if _is_of_month(plan, c)]
    whole = sum(_cost(c, usage) for c in plan.components if not _is_of_month(plan, c))
    return whole + sum(_limited(plan, monthly, run) for run in usage.by_month)


def _is_of_month(plan: PricePlan, component: PriceComponent) -> bool:
    is_limited = plan.has_monthly_limit and component.kind is not PriceKind.ONE_OFF
    return is_limited or component.is_monthly is True


def _limited(plan: PricePlan, components: list[PriceComponent], run: Run) -> int:
    """Return what one month costs, between its minimum and its cap."""
    if not run.acts:
        return 0
    cost = sum(_cost(component, run) for component in components)
    if plan.monthly_cap_micro is not None:
        cost = min(cost, plan.monthly_cap_micro)
    return max(cost, plan.monthly_minimum_micro or 0)


def _cost(component: PriceComponent, counts: Usage | Run) -> int:
    amount = component.amount_micro
    match component.kind:
        case PriceKind.ONE_OFF:
            return amount if counts.acts else 0
        case PriceKind.MONTHLY:
            return amount * (counts.months if isinstance(counts, Usage) else bool(counts.acts))
        case PriceKind.PER_QUERY:
            return _of_units(component, counts.queries, 1)
        case PriceKind.PER_ROW:
            return _of_units(component, counts.rows, 1)
        case PriceKind.PER_MEGABYTE:
            return _of_units(component, counts.bytes, BYTES_PER_MEGABYTE)


def _of_units(component: PriceComponent, count: int, size: int) -> int:
    """Price a count of which ``size`` make one unit; rounded once, at the end."""
    paid = max(0, count - (component.free or 0) * size)
    if component.block is not None:
        return component.amount_micro * -(-paid // (component.block * size))
    if component.tiers is None:
        return round_half_even(component.amount_micro * paid, size)
    rule = _graduated if component.steps is Steps.GRADUATED else _volume
    return round_half_even(rule(component.amount_micro, component.tiers, paid, size), size)


def _graduated(first_micro: int, tiers: tuple[Step, ...], paid: int, size: int) -> int:
    """Return the cost in ``1/size`` micro-won: each unit at the amount of its own step."""
    total, amount, start = 0, first_micro, 0
    for step in tiers:
        end = step.above * size
        total += amount * (min(paid, end) - min(paid, start))
        amount, start = step.amount_micro, end
    return total + amount * (paid - min(paid, start))


def _volume(first_micro: int, tiers: tuple[Step, ...], paid: int, size: int) -> int:
    """Return the cost in ``1/size`` micro-won: all at the amount of the step that is reached.

    It is the least that this many, or any more, would cost: so it never falls as usage grows.
    """
    amount, later = first_micro, []
    for step in tiers:
        first = step.above * size + 1
        if paid >= first:
            amount = step.amount_micro
        else:
            later.append(step.amount_micro * first)
    return min([amount * paid, *later])


class _Unit(NamedTuple):
    """How units of one kind are said."""

    one_ko: str
    many_ko: str
    one_en: str
    many_en: str


_UNITS: Final = {
    PriceKind.PER_QUERY: _Unit("질의 1건", "{:,}건", "query", "{:,} queries"),
    PriceKind.PER_ROW: _Unit("1행", "{:,}행", "row", "{:,} rows"),
    PriceKind.PER_MEGABYTE: _Unit("1MB", "{:,}MB", "megabyte", "{:,} MB"),
}
_SENTENCES: Final = {
    PriceKind.ONE_OFF: ("일시불 {}", "{} once, at the first use"),
    PriceKind.MONTHLY: ("이용한 달마다 {}", "{} for each month with use"),
}


def price_sentence(plan: PricePlan) -> Text:
    """Say a plan in one sentence; amounts are without VAT."""
    if plan.is_free:
        return Text(ko="무료", en="free of charge")
    said = [component_sentence(component) for component in plan.components]
    ko, en = " + ".join(text.ko for text in said), " + ".join(text.en for text in said)
    if plan.monthly_minimum_micro is not None:
        amount = format_won(plan.monthly_minimum_micro)
        ko += f", 이용한 달은 최소 {amount}"
        en += f", at least {amount} in a month with use"
    if plan.monthly_cap_micro is not None:
        amount = format_won(plan.monthly_cap_micro)
        ko, en = f"{ko}, 한 달 최대 {amount}", f"{en}, at most {amount} a month"
    return Text(ko=f"{ko} (부가세 별도)", en=f"{en} (VAT not included)")


def component_sentence(component: PriceComponent) -> Text:
    """Say one amount of a plan and what it is for."""
    amount = format_won(component.amount_micro)
    if component.kind in _SENTENCES:
        ko, en = (form.format(amount) for form in _SENTENCES[component.kind])
        return Text(ko=ko, en=en)
    unit = _UNITS[component.kind]
    ko, en = f"{unit.one_ko}당 {amount}", f"{amount} per {unit.one_en}"
    if component.block is not None:
        ko = f"{unit.many_ko.format(component.block)} 묶음을 시작할 때마다 {amount}"
        en = f"{amount} per started block of {unit.many_en.format(component.block)}"
    inside = [*_free_said(component, unit), *_tiers_said(component, unit)]
    if component.is_monthly:
        inside.append(Text(ko="달마다 새로 셈", en="counted anew each month"))
    if inside:
        ko += " (" + ", ".join(text.ko for text in inside) + ")"
        en += " (" + ", ".join(text.en for text in inside) + ")"
    return Text(ko=ko, en=en)


def _free_said(component: PriceComponent, unit: _Unit) -> list[Text]:
    if component.free is None:
        return []
    ko, en = unit.many_ko.format(component.free), unit.many_en.format(component.free)
    rest = component.block is not None or component.tiers is not None
    return [
        Text(
            ko=f"처음 {ko} 무료" + (", 나머지를 셈" if rest else ""),
            en=f"the first {en} free" + (", the rest counted" if rest else ""),
        )
    ]


def _tiers_said(component: PriceComponent, unit: _Unit) -> list[Text]:
    said = []
    is_volume = component.steps is Steps.VOLUME
    for step in component.tiers or ():
        ko, en = unit.many_ko.format(step.above), unit.many_en.format(step.above)
        amount = format_won(step.amount_micro)
        said.append(
            Text(ko=f"{ko} 초과 시 전체에 {amount}", en=f"{amount} for all above {en}")
            if is_volume
            else Text(ko=f"{ko} 초과분은 {amount}", en=f"{amount} for those above {en}")
        )
    if is_volume:
        said.append(
            Text(ko="더 쓴 값보다 비싸지 않음", en="never more than a larger use would cost")
        )
    return said
