"""Commands of disputes (분쟁): open, add evidence, settle, withdraw; the operator decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from databank.cli.operator_api import DataDir, Var, Where, open_service
from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from schemas.dispute import DisputeList, DisputeMove, DisputeView

Id = Annotated[str, typer.Argument(metavar="ID", help="분쟁 번호 (dispute)")]
Amount = Annotated[int, typer.Argument(min=0, metavar="WON", help="공급가액, 원 (supply, won)")]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        exists=True,
        dir_okay=False,
        help="증거 파일, 여러 번: 해시만 보냅니다 (evidence; only its hash is sent)",
    ),
]
Words = Annotated[str, typer.Option("--text", prompt="내용 (text)", help="내용 (text)")]
MaybeWords = Annotated[str, typer.Option("--text", help="내용 (text)")]
STATUSES: Final = {
    "open": ("열림", "open"),
    "evidence": ("증거 수집", "collecting evidence"),
    "decided": ("판정됨", "decided"),
    "settled": ("합의로 끝남", "settled"),
    "expired": ("기한이 지남", "expired"),
    "withdrawn": ("무름", "withdrawn"),
}
REASONS: Final = {
    "count": ("수량", "count"),
    "price": ("요금", "price"),
    "quality": ("품질", "quality"),
    "returned": ("환입", "returned"),
    "cancelled": ("계약 해제", "cancelled"),
}
MOVES: Final = {
    "opened": ("분쟁을 엶", "opened"),
    "evidence": ("증거", "evidence"),
    "proposed": ("금액 제안", "proposed"),
    "settled": ("합의로 끝냄", "settled"),
    "decided": ("판정", "ruled"),
    "expired": ("기한이 지남", "expired"),
    "withdrawn": ("무름", "withdrawn"),
}


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands of the parties."""
    group = _group(say("분쟁: 명세서의 금액을 다툽니다", "Disputes about what a statement says"))
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("list", list_, say("우리 분쟁을 봅니다", "List our disputes")),
        ("show", show, say("분쟁 하나를 봅니다", "Show one dispute")),
        ("open", open_, say("한 합의의 한 달을 다툽니다", "Contest a month of an agreement")),
        ("evidence", evidence, say("증거를 더합니다", "Add evidence")),
        ("propose", propose, say("환불할 금액을 제안합니다", "Propose a refund")),
        ("accept", accept, say("상대의 제안에 합의합니다", "Agree to the other side's proposal")),
        ("withdraw", withdraw, say("우리가 연 분쟁을 무릅니다", "Take our dispute back")),
    ]
    for name, command, help_ in commands:
        group.command(name, help=help_)(command)
    app.add_typer(group, name="dispute")


def register_operator(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands of the operator."""
    group = _group(say("분쟁을 보고 판정합니다", "See and decide disputes"))
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("list", list_all, say("모든 분쟁을 봅니다", "List all disputes")),
        ("show", show_any, say("분쟁 하나를 봅니다", "Show one dispute")),
        ("decide", decide, say("환불할 금액을 이유와 함께 판정합니다", "Decide, with a reason")),
    ]
    for name, command, help_ in commands:
        group.command(name, help=help_)(command)
    app.add_typer(group, name="dispute")


def _group(help_: str) -> typer.Typer:
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None)


def list_(context: typer.Context) -> None:
    """List our disputes, the newest first."""
    surface = surface_of(context)
    with surface.session() as session:
        show_list(session.disputes(), surface)


def show(context: typer.Context, dispute_id: Id) -> None:
    """Show a dispute with all that was said."""
    surface = surface_of(context)
    with surface.session() as session:
        show_dispute(session.dispute(dispute_id), surface)


def open_(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="회사.이름 또는 합의 번호 (handle.name, or an agreement's id)"
        ),
    ],
    period: Annotated[str, typer.Argument(help="달, 예: 2026-11 (month)")],
    reason: Annotated[str, typer.Option(help=f"무엇을: {', '.join(REASONS)} (what is contested)")],
    text: Words,
    amount: Annotated[
        int | None,
        typer.Option(min=1, help="다투는 공급가액, 원; 없으면 모두 (supply, won; else all)"),
    ] = None,
    file: Files = None,
) -> None:
    """Open a dispute; both sides' signed counts are its first evidence."""
    from databank.cli.bad_answer import BadAnswerError
    from schemas.dispute import DisputeReason

    surface = surface_of(context)
    if reason not in REASONS:
        raise BadAnswerError(
            ko=f"--reason {reason!r}: {', '.join(REASONS)} 가운데 하나로 적으세요.",
            en=f"--reason {reason!r}: write one of {', '.join(REASONS)}.",
        )
    with surface.session() as session:
        found = session.open_dispute(
            name, period, DisputeReason(reason), text, amount_won=amount, files=_hashes(file)
        )
    show_dispute(found, surface)


def _hashes(paths: list[Path] | None) -> tuple[str, ...]:
    return tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths or ())


def evidence(context: typer.Context, dispute_id: Id, text: Words, file: Files = None) -> None:
    """Add evidence, while its time runs."""
    body = {"text": text, "files": list(_hashes(file))}
    _move(surface_of(context), dispute_id, "evidence", body)


def propose(context: typer.Context, dispute_id: Id, amount: Amount, text: MaybeWords = "") -> None:
    """Say which refund of supply we would agree to."""
    body = {"amount_won": str(amount), "text": text}
    _move(surface_of(context), dispute_id, "proposals", body)


def accept(context: typer.Context, dispute_id: Id, amount: Amount) -> None:
    """Agree to what the other side proposed last; this ends the dispute."""
    _move(surface_of(context), dispute_id, "acceptance", {"amount_won": str(amount)})


def withdraw(context: typer.Context, dispute_id: Id, text: MaybeWords = "") -> None:
    """Take our dispute back, while nothing is decided."""
    _move(surface_of(context), dispute_id, "withdrawal", {"text": text})


def _move(surface: Surface, dispute_id: str, what: str, body: Mapping[str, object]) -> None:
    with surface.session() as session:
        show_dispute(session.move_dispute(dispute_id, what, body), surface)


def list_all(context: typer.Context, data_dir: DataDir = Var) -> None:
    """List everybody's disputes, the newest first."""
    from schemas.dispute import DisputeList

    where = Where(surface_of(context), data_dir)
    with open_service(where, "clearing") as clearing:
        show_list(DisputeList.model_validate(clearing.get("/admin/disputes")), where.surface)


def show_any(context: typer.Context, dispute_id: Id, data_dir: DataDir = Var) -> None:
    """Show a dispute with all that was said."""
    from urllib.parse import quote

    from schemas.dispute import DisputeView

    where = Where(surface_of(context), data_dir)
    with open_service(where, "clearing") as clearing:
        answer = clearing.get(f"/admin/disputes/{quote(dispute_id, safe='')}")
    show_dispute(DisputeView.model_validate(answer), where.surface)


def decide(
    context: typer.Context,
    dispute_id: Id,
    amount: Amount,
    reason: Annotated[str, typer.Option(prompt="이유 (reason)", help="이유 (reason)")],
    data_dir: DataDir = Var,
) -> None:
    """Refund this much of the supply, or 0, for a written reason; this ends the dispute."""
    from urllib.parse import quote

    from schemas.dispute import DisputeView

    where = Where(surface_of(context), data_dir)
    body = {"amount_won": str(amount), "text": reason}
    with open_service(where, "clearing") as clearing:
        path = f"/admin/disputes/{quote(dispute_id, safe='')}/decision"
        answer = clearing.repeat("POST", path, json=body)
    show_dispute(DisputeView.model_validate(answer), where.surface)


def show_list(found: DisputeList, surface: Surface) -> None:
    """Print disputes as a table."""
    say = surface.say
    surface.table(
        found.to_json(),
        (
            say("분쟁", "dispute"),
            say("기간", "month"),
            say("데이터셋", "dataset"),
            say("무엇을", "about"),
            say("상태", "status"),
            say("다투는 금액", "contested"),
            say("보류한 돈", "kept back"),
            say("환불", "refund"),
        ),
        [
            (
                each.dispute_id,
                each.period,
                each.dataset_title,
                say(*REASONS[each.reason]),
                say(*STATUSES[each.status]),
                in_won(each.claimed_won),
                in_won(each.held_won),
                "-" if each.refunded_won is None else in_won(each.refunded_won),
            )
            for each in found.disputes
        ],
        numbers=(5, 6, 7),
    )


def show_dispute(view: DisputeView, surface: Surface) -> None:
    """Print a dispute and every move."""
    say = surface.say
    if surface.is_json:
        surface.result(view.to_json(), "")
        return
    lines = [
        (say("데이터셋", "dataset"), view.dataset_title),
        (say("합의", "agreement"), view.agreement_id),
        (say("기간", "month"), view.period),
        (say("무엇을", "about"), say(*REASONS[view.reason])),
        (say("상태", "status"), say(*STATUSES[view.status])),
        (say("다투는 금액", "contested"), in_won(view.claimed_won)),
        (say("보류 (세액 포함)", "kept back, with VAT"), in_won(view.held_won)),
        (say("증거 기한", "evidence until"), surface.time(view.evidence_until)),
        (say("판정 기한", "ruling until"), surface.time(view.ends_at)),
    ]
    if view.refunded_won is not None:
        lines.append((say("환불", "refund"), in_won(view.refunded_won)))
    surface.table(None, ("", ""), lines, title=view.dispute_id)
    surface.table(
        None,
        (say("시각", "time"), say("누가", "who"), say("한 일", "move"), say("내용", "text")),
        [
            (
                surface.time(sealed.move.at),
                _who(sealed.move.by, view, surface),
                _what(sealed.move, surface),
                sealed.move.text,
            )
            for sealed in view.moves
        ],
    )


def _who(by: str, view: DisputeView, surface: Surface) -> str:
    if by == view.provider_id:
        return surface.say("공급기업", "supplier")
    if by == view.consumer_id:
        return surface.say("수요기업", "buyer")
    return surface.say("운영기관", "operator")


def _what(move: DisputeMove, surface: Surface) -> str:
    said = surface.say(*MOVES[move.kind])
    return said if move.amount_won is None else f"{said} {in_won(move.amount_won)}"
