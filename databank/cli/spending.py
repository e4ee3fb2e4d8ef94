"""Asking before money is spent: the quote first, then a yes, a budget, or a refusal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from databank.cli.surface import Surface
from schemas.money import in_won
from schemas.problem import ProblemError
from schemas.wire import Text

if TYPE_CHECKING:
    from databank.client.cost import Cost


class NotApprovedError(ProblemError):
    """Nobody said yes to the cost; nothing was asked or paid."""

    slug = "not-approved"
    title = Text(ko="비용 승인이 필요합니다", en="The cost needs a yes")
    status = 402


def approver(
    surface: Surface, *, budget_won: int | None, ask_above_won: int | None, is_yes: bool
) -> Callable[[Cost], None] | None:
    """Return what to do with a quote; None where the user has decided already.

    Raises:
        databank.client.profile.NoProfileError: The limit in the environment is no number.
    """
    from databank.client.profile import find_ask_above_won

    if is_yes or budget_won is not None:
        return None
    limit = ask_above_won
    if limit is None:
        limit = find_ask_above_won(surface.environment)

    def approve(quote: Cost) -> None:
        if quote.total_micro > limit * 10**6:
            _ask(quote, limit, surface)

    return approve


def _ask(quote: Cost, limit_won: int, surface: Surface) -> None:
    from schemas.money import format_won

    total = format_won(quote.total_micro)
    if surface.is_json or not sys.stdin.isatty():
        raise NotApprovedError(
            ko=f"견적 {total}(부가세 포함)이 묻지 않고 쓰는 한도 {in_won(limit_won)}을 넘습니다. "
            "아무것도 청구되지 않았습니다. --budget 원 또는 --yes를 붙이세요.",
            en=f"The quote of {total} (with VAT) is above {in_won(limit_won)}, which is spent "
            "without asking. Nothing was charged. Add --budget WON or --yes.",
            quoted_micro=str(quote.total_micro),
        )
    for text in quote.said():
        surface.note(surface.text(text))
    if not typer.confirm(surface.say("이 비용으로 할까요?", "Go on at this cost?"), err=True):
        raise NotApprovedError(
            ko=f"하지 않았습니다. 견적 {total} 가운데 아무것도 청구되지 않았습니다.",
            en=f"Not done. Nothing of the quote of {total} was charged.",
            quoted_micro=str(quote.total_micro),
        )
