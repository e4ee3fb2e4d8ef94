"""The operator's close of a month (마감): rehearse it, do it step by step, see how far it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli.operator_api import DataDir, Var, Where, open_service
from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.close import CloseReport, StepDone

_STEPS = {
    "cut": ("기준 확정", "cut"),
    "statements": ("명세서", "statements"),
    "netting": ("순액 계산", "netting"),
    "holds": ("차이 보류", "holds"),
    "set_off": ("상계", "set-off"),
}


def close(
    context: typer.Context,
    period: Annotated[str, typer.Argument(help="2026-11")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="쓰지 않고 무엇이 될지만 (write nothing)")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="어디까지 되었는지만 (only how far it is)")
    ] = False,
    data_dir: DataDir = Var,
) -> None:
    """Close a month; stopped at any point, the same command goes on. Exit 1 if nothing was used."""
    where = Where(surface_of(context), data_dir)
    check_period(period, where.surface, is_doing=not (dry_run or status))
    report = _ask(where, period, dry_run=dry_run, status=status)
    show_close(report, where.surface)
    if not report.runs and not report.is_closed:
        raise typer.Exit(1)


def check_period(period: str, surface: Surface, *, is_doing: bool) -> None:
    """Refuse what is no month; note that a month is not over.

    Raises:
        BadAnswerError: Not a month.
    """
    from databank.cli.bad_answer import BadAnswerError
    from databank.cli.jsontext import SEOUL
    from databank.kit.clock import system_clock
    from schemas.close import PERIOD

    if not re.fullmatch(PERIOD, period):
        raise BadAnswerError(
            ko=f"{period!r}: 2026-11처럼 적으세요.", en=f"{period!r}: write it as 2026-11."
        )
    if is_doing and period >= f"{system_clock().astimezone(SEOUL):%Y-%m}":
        surface.note(
            surface.say(
                f"주의: {period} 기간이 끝나지 않았습니다. 나중에 쓴 몫은 추가 명세서로 냅니다.",
                f"Note: {period} is not over. Later usage goes into a supplement.",
            )
        )


def _ask(where: Where, period: str, *, dry_run: bool, status: bool) -> CloseReport:
    """Ask for one transaction after the other, and tell each step as it is done."""
    from schemas.close import CloseReport

    path = f"/periods/{period}/close"
    with open_service(where, "clearing") as clearing:
        if status:
            return CloseReport.model_validate(clearing.get(path))
        if dry_run:
            answer = clearing.repeat("POST", path, params={"dry_run": "true"})
            return CloseReport.model_validate(answer)
        told: set[tuple[int, str]] = set()
        first = 0
        while True:
            answer = clearing.repeat("POST", path, params={"transactions_max": "1"})
            report = CloseReport.model_validate(answer)
            before = len(told)
            for run in report.runs:
                for step in run.steps:
                    if (run.number, step.step) not in told:
                        told.add((run.number, step.step))
                        _tell(run.number, step, where.surface)
            if report.is_closed or not report.runs:
                return report
            last = report.runs[-1]
            first = first or last.number
            is_used_on = last.number > first  # while it is closed: not without end
            if last.is_finished and (is_used_on or len(told) == before):
                return report


def _tell(number: int, step: StepDone, surface: Surface) -> None:
    name = surface.say(*_STEPS.get(step.step, (step.step, step.step)))
    done = surface.say(f"{number}차 {name} 완료", f"Run {number}: {name} done")
    surface.note(
        f"{done} · {surface.time(step.done_at, has_seconds=True)} · {_said(step, surface)}"
    )


def _said(step: StepDone, surface: Surface) -> str:
    if (cut := step.cut) is not None:
        return surface.say(
            f"합의 {cut.agreements_count:,}건, 이용 {cut.acts_count:,}건",
            f"{cut.agreements_count:,} agreements, {cut.acts_count:,} uses",
        )
    if (said := step.statements) is not None:
        count, fee = len(said.statement_ids), said.fee_won + said.fee_vat_won
        supply, vat = in_won(said.supply_won), in_won(said.vat_won)
        royalties, credited = said.royalties_won or 0, said.credited_won or 0
        return surface.say(
            f"명세서 {count:,}건 · 공급가액 {supply} · 세액 {vat} · 수수료 {in_won(fee)}"
            f"(세액 {in_won(said.fee_vat_won)} 포함)"
            + (f" · 로열티 {in_won(royalties)}" if royalties else "")
            + (f" · 감액 {in_won(credited)}(세액 포함)" if credited else ""),
            f"{count:,} statements · supply {supply} · VAT {vat} · fee {in_won(fee)} "
            f"(with VAT of {in_won(said.fee_vat_won)})"
            + (f" · royalties {in_won(royalties)}" if royalties else "")
            + (f" · credited {in_won(credited)} (with VAT)" if credited else ""),
        )
    if step.holds is not None:
        won, count = sum(each.claimed_won for each in step.holds.disputes), len(step.holds.disputes)
        return surface.say(
            f"양쪽이 다르게 센 {count:,}건, {in_won(won)}",
            f"{count:,} differing counts, {in_won(won)}",
        )
    if step.set_off is not None:
        paid = sum(each.amount_won for each in step.set_off.participants)
        return surface.say(f"환불한 돈에서 {in_won(paid)}", f"{in_won(paid)} of refunds")
    count = 0 if step.netting is None else len(step.netting.positions)
    return surface.say(f"{count:,}곳, 합계 ₩0", f"{count:,} parties, sum ₩0")


def show_close(report: CloseReport, surface: Surface) -> None:
    """Print the net positions of every run, and how far the close is."""
    if surface.is_json:
        surface.result(report.to_json(), "")
        return
    for run in report.runs:
        for step in run.steps:
            if report.is_dry_run:
                typer.echo(
                    f"{surface.say(*_STEPS.get(step.step, (step.step, step.step)))}: "
                    f"{_said(step, surface)}"
                )
            if step.netting is not None:
                _show_positions(report.period, run.number, step, surface)
    if report.royalties_waiting:
        surface.note(surface.say(*_waiting(report.royalties_waiting)))
    typer.echo(surface.say(*_state_of(report)))


def _waiting(curators: Sequence[str]) -> tuple[str, str]:
    names, where = ", ".join(curators), "GET /admin/shares/plans"
    return (
        f"주의: 로열티가 너무 커서 기록하지 않았습니다. {where}로 확인하세요: {names}",
        f"Note: royalties too large for the books were not booked. See {where}: {names}",
    )


def _show_positions(period: str, number: int, step: StepDone, surface: Surface) -> None:
    assert step.netting is not None
    say = surface.say
    surface.table(
        step.netting.to_json(),
        (
            say("상대", "counterparty"),
            say("매입", "bought"),
            say("매출", "sold"),
            say("순액", "net"),
        ),
        [
            (
                p.participant_name,
                in_won(p.purchases_won),
                in_won(p.sales_won),
                in_won(p.net_won),
            )
            for p in step.netting.positions
        ],
        numbers=(1, 2, 3),
        title=f"{period} {say('순액', 'net positions')} · {say(f'{number}차', f'run {number}')}",
    )


def _state_of(report: CloseReport) -> tuple[str, str]:
    period = report.period
    if report.is_dry_run and report.runs:
        return (
            f"{period}: 예행이라 아무것도 쓰지 않았습니다. 마감: databank operator close {period}",
            f"{period}: a dry run, nothing was written. Close it: databank operator close {period}",
        )
    if report.is_closed:
        return f"{period}: 마감되었습니다.", f"{period} is closed."
    if not report.runs:
        return (
            f"{period}: 마감할 이용이 없습니다.",
            f"{period}: there is no usage to close.",
        )
    return (
        f"{period}: 마감이 끝나지 않았습니다. 이어 하기: databank operator close {period}",
        f"{period}: the close is not finished. Go on: databank operator close {period}",
    )
