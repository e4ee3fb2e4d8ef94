"""Price plans and their rating: what usage costs, as one cumulative function.

A plan prices the usage of one agreement from its beginning. The charge for an act is
``rate(plan, after) - rate(plan, before)``, so batching, order and replay change nothing.
Three parties compute it (supplier's quote, curator's check, clearing's charge): it lives here.
Amounts are micro-won without VAT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final, assert_never

from pydantic import Field

from schemas.canonical import digest
from schemas.money import CURRENCY, MicroWon, format_won, round_half_even
from schemas.wire import OwnWire, Text

BYTES_PER_MEGABYTE: Final = 1_000_000  # SI, as an invoice reader expects
AMOUNT_MICRO_MAX: Final = 10**15  # one thousand million won a unit


class PriceKind(StrEnum):
    """What one amount of a plan is paid for."""

    ONE_OFF = "one_off"
    MONTHLY = "monthly"
    PER_QUERY = "per_query"
    PER_ROW = "per_row"
    PER_MEGABYTE = "per_megabyte"


class PriceComponent(OwnWire):
    """One amount of a plan."""

    kind: PriceKind
    amount_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)]


class PricePlan(OwnWire):
    """A tariff; immutable and known by its hash. No component means free."""

    currency: str = Field(default=CURRENCY, pattern="^KRW$")
    components: tuple[PriceComponent, ...] = Field(default=(), max_length=16)

    @property
    def plan_sha256(self) -> str:
        """The plan's identity: SHA-256 over its RFC 8785 form."""
        return digest(self.to_json())

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever charged."""
        return not self.components


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one agreement since its beginning.

    ``months`` counts the calendar months (Asia/Seoul) with at least one act.
    """

    acts: int = 0
    queries: int = 0
    rows: int = 0
    bytes: int = 0
    months: int = 0

    def plus(
        self, *, queries: int = 0, rows: int = 0, bytes_: int = 0, new_month: bool = False
    ) -> Usage:
        """Return the usage after one more act."""
        return replace(
            self,
            acts=self.acts + 1,
            queries=self.queries + queries,
            rows=self.rows + rows,
            bytes=self.bytes + bytes_,
            months=self.months + new_month,
        )


def rate(plan: PricePlan, usage: Usage) -> int:
    """Return what ``usage`` costs in all, in micro-won without VAT."""
    return sum(_rate_component(component, usage) for component in plan.components)


def _rate_component(component: PriceComponent, usage: Usage) -> int:
    amount = component.amount_micro
    match component.kind:
        case PriceKind.ONE_OFF:
            return amount if usage.acts else 0
        case PriceKind.MONTHLY:
            return amount * usage.months
        case PriceKind.PER_QUERY:
            return amount * usage.queries
        case PriceKind.PER_ROW:
            return amount * usage.rows
        case PriceKind.PER_MEGABYTE:
            return round_half_even(amount * usage.bytes, BYTES_PER_MEGABYTE)
        case _:
            assert_never(component.kind)


_SENTENCES: Final = {
    PriceKind.ONE_OFF: ("일시불 {}", "{} once, at the first use"),
    PriceKind.MONTHLY: ("이용한 달마다 {}", "{} for each month with use"),
    PriceKind.PER_QUERY: ("질의 1건당 {}", "{} per query"),
    PriceKind.PER_ROW: ("1행당 {}", "{} per row"),
    PriceKind.PER_MEGABYTE: ("1MB당 {}", "{} per megabyte"),
}


def price_sentence(plan: PricePlan) -> Text:
    """Say a plan in one sentence; amounts are without VAT."""
    if plan.is_free:
        return Text(ko="무료", en="free of charge")
    said = [
        tuple(form.format(format_won(c.amount_micro)) for form in _SENTENCES[c.kind])
        for c in plan.components
    ]
    return Text(
        ko=" + ".join(ko for ko, _ in said) + " (부가세 별도)",
        en=" + ".join(en for _, en in said) + " (VAT not included)",
    )
