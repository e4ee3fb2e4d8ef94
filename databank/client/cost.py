"""What a query would cost, or did: one line a supplier."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from databank.client.ref import Ref
from schemas.management import Quote
from schemas.money import format_won, in_won
from schemas.price import compute_sentence
from schemas.problem import ProblemError
from schemas.wire import Text

ROWS_HEADER: Final = "Databank-Rows"
BYTES_HEADER: Final = "Databank-Bytes"
CHARGE_HEADER: Final = "Databank-Charge-Micro"
VAT_HEADER: Final = "Databank-Vat-Micro"
COMPUTE_HEADER: Final = "Databank-Compute-Ms"  # where the price is by processor time

PAID_BEFORE: Final = Text(
    ko="이미 낸 몫입니다: 다시 받아도 청구되지 않습니다",
    en="Paid already: reading it again is not charged",
)


class BudgetExceededError(ProblemError):
    """The quote is above what the caller wants to spend; nothing was asked or paid."""

    slug = "budget-exceeded"
    title = Text(ko="예산을 넘습니다", en="Over budget")
    status = 402


@dataclass(frozen=True, slots=True)
class CostLine:
    """One act at one supplier; amounts in micro-won.

    ``is_paid_before``: it would deliver nothing that is not paid for already. Where the price is
    by processor time, ``compute_ms`` is what it took, and of a quote ``total_most_micro`` is the
    most that it may cost if it runs again, with VAT.
    """

    ref: Ref
    supplier: str
    rows_count: int
    bytes_count: int
    charge_micro: int
    vat_micro: int
    is_paid_before: bool = False
    compute_ms: int | None = None
    total_most_micro: int | None = None

    @property
    def total_micro(self) -> int:
        """Charge and VAT."""
        return self.charge_micro + self.vat_micro

    @property
    def compute(self) -> Text | None:
        """What is to be said of processor time, where the price is by it."""
        if self.compute_ms is None:
            return None
        took = compute_sentence(self.compute_ms)
        ko, en = f"{self.ref}: {took.ko}", f"{self.ref}: {took.en}"
        if self.total_most_micro is not None:
            most = format_won(self.total_most_micro)
            ko += f"; 1분 안에 보내면 견적 그대로, 나중에는 다시 실행되어 최대 {most} (부가세 포함)"
            en += f"; as quoted within a minute, later it runs again: at most {most} (with VAT)"
        return Text(ko=ko, en=en)


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs by supplier; ``is_charged`` tells a bill from a quote."""

    lines: tuple[CostLine, ...]
    is_charged: bool

    @property
    def total_micro(self) -> int:
        """All charges with VAT, in micro-won."""
        return sum(line.total_micro for line in self.lines)

    def check(self, budget_won: int | None) -> None:
        """Refuse what the caller does not want to spend.

        Raises:
            BudgetExceededError: The total with VAT is above ``budget_won``.
        """
        if budget_won is None or self.total_micro <= budget_won * 10**6:
            return
        raise BudgetExceededError(
            ko=f"견적 {format_won(self.total_micro)}(부가세 포함)이 예산 {in_won(budget_won)}을 "
            "넘습니다. 아무것도 청구되지 않았습니다. 조건을 좁히거나 예산을 올리세요.",
            en=f"The quote of {format_won(self.total_micro)} (with VAT) is above the budget of "
            f"{in_won(budget_won)}. Nothing was charged. Narrow the query or raise the budget.",
        )

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Return the lines as people read them: dataset, supplier, rows, bytes, charge, VAT."""
        return [
            (
                str(line.ref),
                line.supplier,
                f"{line.rows_count:,}",
                f"{line.bytes_count:,}",
                format_won(line.charge_micro),
                format_won(line.vat_micro),
            )
            for line in self.lines
        ]

    def notes(self) -> tuple[Text, ...]:
        """Return what has to be said beside the table of lines."""
        found = [said for line in self.lines if (said := line.compute) is not None]
        if any(line.is_paid_before for line in self.lines):
            found.append(PAID_BEFORE)
        return tuple(found)

    def said(self) -> tuple[Text, ...]:
        """Return the lines and the total in words."""
        lines = [
            Text(
                ko=f"{ref} ({who}): {rows}행 {bytes_}바이트 {charge} + 세액 {vat}",
                en=f"{ref} ({who}): {rows} rows, {bytes_} bytes, {charge} + VAT {vat}",
            )
            for ref, who, rows, bytes_, charge, vat in self.rows()
        ]
        lines += self.notes()
        total = format_won(self.total_micro)
        kind = ("청구", "charged") if self.is_charged else ("견적", "quoted")
        return (
            *lines,
            Text(ko=f"{kind[0]} 합계 {total} (부가세 포함)", en=f"{total} {kind[1]} (with VAT)"),
        )

    def __str__(self) -> str:
        return "\n".join(text.ko for text in self.said())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads = ("데이터셋", "공급기업", "행", "바이트", "공급가액", "세액")
        return html_table(heads, self.rows(), caption=self.said()[-1].ko)


def quoted(ref: Ref, supplier: str, quote: Quote, *, is_paid_before: bool = False) -> CostLine:
    """Return a quote's line."""
    return CostLine(
        ref,
        supplier,
        quote.rows_count,
        quote.bytes_count,
        quote.charge_micro,
        quote.vat_micro,
        is_paid_before,
        quote.compute_ms,
        quote.total_most_micro,
    )


def charged(ref: Ref, supplier: str, headers: Mapping[str, str]) -> CostLine:
    """Return the line of an act from its answer's headers.

    Raises:
        ValueError: A header is missing or no number.
    """
    names = (ROWS_HEADER, BYTES_HEADER, CHARGE_HEADER, VAT_HEADER)
    rows, bytes_, charge, vat = (int(headers.get(name, "missing")) for name in names)
    compute = headers.get(COMPUTE_HEADER)
    compute_ms = None if compute is None else int(compute)
    return CostLine(ref, supplier, rows, bytes_, charge, vat, compute_ms=compute_ms)


def html_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, caption: str) -> str:
    """Return an HTML table; every text is escaped."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
