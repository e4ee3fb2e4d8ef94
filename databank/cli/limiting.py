"""The command for what an agreement may cost in a month."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from schemas.spending import Spending

NO_LIMIT: Final = ("none", "없음")


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the command."""
    help_ = say(
        "데이터셋의 월 지출 한도(부가세 포함)를 보거나 정합니다. 우리 커넥터가 지킵니다",
        "Show or set the most that a dataset may cost in a month, with VAT; our connector keeps it",
    )
    app.command("limit", help=help_)(limit)


def limit(
    context: typer.Context,
    ref: str,
    won: Annotated[
        str | None, typer.Argument(help="원, 또는 없음: none (won, or none to lift it)")
    ] = None,
    forget_unsettled: Annotated[
        bool,
        typer.Option(
            "--forget-unsettled",
            help="답을 받지 못한 이용에 잡아 둔 돈을 놓음. 실제로는 청구되었을 수 있습니다 "
            "(let go of what is set aside for acts without an answer; they may have been charged)",
        ),
    ] = False,
) -> None:
    """Print this month's spending on a dataset, after setting its limit if one is given."""
    surface = surface_of(context)
    if won is None:
        _refuse_alone(forget_unsettled)
        with surface.session() as session:
            spending = session.spending(ref)
    else:
        limit_won = _read_won(won)
        with surface.session() as session:
            spending = session.limit_spending(ref, limit_won, forget_unsettled=forget_unsettled)
    surface.result(spending.to_json(), _said(spending, surface))


def _refuse_alone(forget_unsettled: bool) -> None:
    from databank.cli.bad_answer import BadAnswerError

    if forget_unsettled:
        raise BadAnswerError(
            ko="--forget-unsettled는 한도와 함께 씁니다. 예: databank limit 회사.이름 50000 "
            "--forget-unsettled",
            en="--forget-unsettled goes with a limit, such as: databank limit handle.name 50000 "
            "--forget-unsettled",
        )


def _read_won(text: str) -> int | None:
    from databank.cli.bad_answer import BadAnswerError

    digits = text.replace(",", "").removeprefix("₩").removesuffix("원")
    if text in NO_LIMIT:
        return None
    if not (digits.isdecimal() and digits.isascii()) or len(digits) > 12:  # noqa: PLR2004 - won
        raise BadAnswerError(
            ko=f"한도 {text!r}: 원 금액(예: 50000)이나 none을 적으세요.",
            en=f"Limit {text!r}: write an amount in won, such as 50000, or none.",
        )
    return int(digits)


def _said(spending: Spending, surface: Surface) -> str:
    from schemas.money import format_won

    spent, reserved = format_won(spending.spent_micro), format_won(spending.reserved_micro)
    left = spending.left_micro
    if left is None or spending.limit_micro is None:
        ko = f"{spending.month} 지출 {spent} (부가세 포함), 한도 없음"
        return surface.say(ko, f"{spent} spent in {spending.month} (with VAT), no limit")
    most, rest = format_won(spending.limit_micro), format_won(left)
    return surface.say(
        f"{spending.month} 지출 {spent} + 잡아 둔 돈 {reserved}, 한도 {most} (부가세 포함), "
        f"남은 한도 {rest}",
        f"{spent} spent and {reserved} set aside in {spending.month}, of a limit of {most} "
        f"(with VAT); {rest} left",
    )
