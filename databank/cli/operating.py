"""Commands of the operator's people: participants, deposits, statements, the books."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli import disputing, paying
from databank.cli.billing import operator_billing
from databank.cli.closing import check_period, close
from databank.cli.operator_api import (
    DataDir,
    Var,
    Where,
    Who,
    all_participants,
    find_participant,
    open_service,
)
from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from schemas.participant import Participant


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    group = typer.Typer(
        help=say(
            "운영기관의 일 (환경변수 DATABANK_BROKER_URL, DATABANK_BROKER_TOKEN, "
            "DATABANK_CLEARING_URL, DATABANK_CLEARING_TOKEN 또는 --data-dir)",
            "The operator's work (environment DATABANK_BROKER_URL, DATABANK_BROKER_TOKEN, "
            "DATABANK_CLEARING_URL, DATABANK_CLEARING_TOKEN, or --data-dir)",
        ),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    from databank.cli.attesting import attest

    commands: list[tuple[str, Callable[..., None], str]] = [
        ("participants", participants, say("참여자를 봅니다", "List participants")),
        ("approve", approve, say("참여를 승인합니다", "Approve a participant")),
        ("revoke", revoke, say("참여를 정지합니다 (즉시)", "Revoke a participant, at once")),
        (
            "attest",
            attest,
            say("참여자의 묶음과 자격을 증명합니다", "Attest a participant's groups and claims"),
        ),
        ("deposit", deposit, say("입금을 적습니다", "Book a deposit")),
        (
            "reverse-deposit",
            reverse_deposit,
            say("잘못 적은 입금을 취소합니다", "Take back a deposit booked by mistake"),
        ),
        (
            "billing",
            operator_billing,
            say("청구 정보를 보거나 바꿉니다", "Billing data of anybody"),
        ),
        ("close", close, say("한 달을 마감합니다", "Close a month")),
        ("credit", credit, say("외상 한도를 정하거나 모두 봅니다", "Allow credit, or list it")),
        ("statements", statements, say("명세서를 냅니다", "Issue a month's statements")),
        ("trial-balance", trial_balance, say("차변과 대변을 맞춥니다", "Add the books up")),
    ]
    for name, command, help_ in commands:
        group.command(name, help=help_)(command)
    paying.register(group, say)
    disputing.register_operator(group, say)
    app.add_typer(group, name="operator")


def _show(found: list[Participant], surface: Surface) -> None:
    from schemas.ids import format_brn

    say = surface.say
    state = {
        "active": say("참여 중", "active"),
        "pending": say("승인 대기", "pending"),
        "revoked": say("정지", "revoked"),
    }
    surface.table(
        [p.to_json() for p in found],
        (
            say("이름", "name"),
            say("회사", "company"),
            say("사업자등록번호", "BRN"),
            say("역할", "role"),
            say("상태", "status"),
            "id",
        ),
        [
            (p.handle, p.name, format_brn(p.brn), p.role.value, state[p.status.value], p.id)
            for p in found
        ],
    )


def participants(context: typer.Context, data_dir: DataDir = Var) -> None:
    """Print who is registered."""
    surface = surface_of(context)
    _show(all_participants(Where(surface, data_dir)), surface)


def approve(
    context: typer.Context,
    who: Who,
    reason: Annotated[str, typer.Option(help="이유 (reason)")] = "서류 확인",
    data_dir: DataDir = Var,
) -> None:
    """Make a participant active."""
    _change(Where(surface_of(context), data_dir), who, "approval", reason)


def revoke(
    context: typer.Context,
    who: Who,
    reason: Annotated[str, typer.Option(prompt="이유 (reason)", help="이유 (reason)")],
    data_dir: DataDir = Var,
) -> None:
    """Refuse a participant from now on."""
    _change(Where(surface_of(context), data_dir), who, "revocation", reason)


def _change(where: Where, who: str, change: str, reason: str) -> None:
    from schemas.participant import Participant

    participant = find_participant(where, who)
    body = {"participant_id": participant.id, "reason": reason}
    with open_service(where, "broker") as broker:
        answer = broker.post(f"/participants/{change}", body)
    _show([Participant.model_validate(answer)], where.surface)


def deposit(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    who: Who,
    amount_won: Annotated[int, typer.Argument(min=1, help="원 (won)")],
    reference: Annotated[
        str, typer.Option(help="은행 거래 번호: 같은 번호는 한 번만 (bank's reference, books once)")
    ],
    memo: Annotated[str, typer.Option(help="적요 (memo)")] = "",
    data_dir: DataDir = Var,
) -> None:
    """Book money that arrived at the bank."""
    from databank.cli.account import show_balance
    from schemas.bank import Balance, DepositRequest

    where = Where(surface_of(context), data_dir)
    request = DepositRequest(
        deposit_id=reference,
        participant_id=find_participant(where, who).id,
        amount_won=amount_won,
        memo=memo,
    )
    with open_service(where, "clearing") as clearing:
        answer = clearing.repeat("POST", "/deposits", json=request.to_json())
    show_balance(Balance.model_validate(answer), where.surface)


def credit(
    context: typer.Context,
    who: Annotated[
        str | None, typer.Argument(help="참여자; 없으면 모두 봅니다 (participant; none: list all)")
    ] = None,
    won: Annotated[
        int | None, typer.Argument(help="한도, 원; 0은 없앰 (limit, won)", min=0, max=10**11)
    ] = None,
    days: Annotated[
        int, typer.Option(help="기록된 날부터 낼 때까지, 일 (days until it is due)", min=0, max=180)
    ] = 30,
    data_dir: DataDir = Var,
) -> None:
    """Set a participant's credit limit; without one, print everybody's credit."""
    from databank.cli.bad_answer import BadAnswerError
    from databank.cli.crediting import credit_lines, status_said
    from schemas.bank import CreditList, CreditRequest, CreditView
    from schemas.money import format_won

    where = Where(surface_of(context), data_dir)
    surface = where.surface
    say = surface.say
    if (who is None) != (won is None):
        raise BadAnswerError(
            ko="참여자와 한도(원)를 함께 적으세요. 예: databank operator credit garam 1000000",
            en="Give a participant and a limit in won, such as: "
            "databank operator credit garam 1000000",
        )
    if who is not None and won is not None:
        wish = CreditRequest(
            participant_id=find_participant(where, who).id, limit_won=won, term_days=days
        )
        with open_service(where, "clearing") as clearing:
            view = CreditView.model_validate(clearing.post("/admin/credits", wish.to_json()))
        heads = (say("외상", "credit"), say("값", "value"))
        surface.table(view.to_json(), heads, credit_lines(view, surface), title=view.participant_id)
        return
    with open_service(where, "clearing") as clearing:
        found = CreditList.model_validate(clearing.get("/admin/credits"))
    surface.table(
        found.to_json(),
        (
            say("참여자", "participant"),
            say("외상 한도", "credit limit"),
            say("미수금", "receivable"),
            say("외상 상태", "credit status"),
        ),
        [
            (v.participant_id, format_won(v.limit_micro), format_won(v.owed_micro),
             status_said(v, surface))
            for v in found.credits
        ],
    )  # fmt: skip


def reverse_deposit(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(help="입금의 은행 거래 번호 (the deposit's reference)")
    ],
    reason: Annotated[str, typer.Option(prompt="이유 (reason)", help="이유 (reason)")],
    data_dir: DataDir = Var,
) -> None:
    """Take a deposit back, once; refused if its money is no longer all there."""
    from databank.cli.account import show_balance
    from schemas.bank import Balance, DepositReversal

    where = Where(surface_of(context), data_dir)
    request = DepositReversal(deposit_id=reference, reason=reason)
    with open_service(where, "clearing") as clearing:
        answer = clearing.repeat("POST", "/deposits/reversals", json=request.to_json())
    show_balance(Balance.model_validate(answer), where.surface)


def statements(context: typer.Context, period: str, data_dir: DataDir = Var) -> None:
    """Issue the statements of a month; doing it again changes nothing."""
    from databank.cli.account import show_statement
    from schemas.bank import StatementList

    where = Where(surface_of(context), data_dir)
    check_period(period, where.surface, is_doing=True)
    with open_service(where, "clearing") as clearing:
        answer = clearing.repeat("POST", f"/periods/{period}/statements")
    if where.surface.is_json:
        where.surface.result(answer, "")
        return
    for document in StatementList.model_validate(answer).statements:
        show_statement(document, where.surface)


def trial_balance(context: typer.Context, data_dir: DataDir = Var) -> None:
    """Print the sums of both books; exit 1 if one does not balance."""
    from schemas.bank import TrialBalance
    from schemas.money import format_won

    where = Where(surface_of(context), data_dir)
    say = where.surface.say
    with open_service(where, "clearing") as clearing:
        books = TrialBalance.model_validate(clearing.get("/trial-balance"))
    where.surface.table(
        books.to_json(),
        (say("장부", "book"), say("차변", "debits"), say("대변", "credits")),
        [
            (
                say("발생", "accrual"),
                format_won(books.accrual_debits_micro),
                format_won(books.accrual_credits_micro),
            ),
            (
                say("현금", "cash"),
                in_won(books.cash_debits_won),
                in_won(books.cash_credits_won),
            ),
        ],
        numbers=(1, 2),
    )
    accrual = books.accrual_debits_micro == books.accrual_credits_micro
    if not accrual or books.cash_debits_won != books.cash_credits_won:
        raise typer.Exit(1)
