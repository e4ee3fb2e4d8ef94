"""The command that lays both sides' signed counts side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from schemas.attestation import ComparedAct, Comparison, Counts

STATES: Final = {
    "both": ("양쪽 확인", "both"),
    "different": ("서로 다름", "different"),
    "supplier_only": ("공급기업만 (확인을 기다림)", "supplier only, awaiting the buyer"),
    "silent": ("공급기업만 (기한 지남)", "supplier only, for good"),
    "buyer_only": ("수요기업만", "buyer only"),
    "contradicted": ("수요기업이 다르게 다시 서명", "buyer signed it again, differently"),
    "repeated": ("공급기업이 같은 이용을 다시 계량", "supplier metered it again"),
}


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the command."""
    help_ = say(
        "한 합의의 한 달을 공급기업과 수요기업이 각자 센 대로 비교합니다",
        "Compare a month of an agreement as supplier and buyer have each counted it",
    )
    app.command("compare", help=help_)(compare)


def compare(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="회사.이름 또는 합의 번호 (handle.name, or an agreement's id)"
        ),
    ],
    period: Annotated[str, typer.Argument(help="달, 예: 2026-11 (month)")],
) -> None:
    """Print who has signed what, and where the sides differ."""
    from schemas.attestation import Attested

    surface = surface_of(context)
    with surface.session() as session:
        found = session.comparison(name, period)
    say = surface.say
    if surface.is_json:
        surface.result(found.to_json(), "")
        return
    surface.table(
        None,
        (say("확인", "signed by"), say("이용", "use")),
        [(say(*STATES[state.value]), f"{found.acts.get(state, 0):,}") for state in Attested],
        numbers=(1,),
        title=f"{found.agreement_id} · {found.period}",
    )
    surface.result(None, _amounts(found, surface))
    if found.not_agreed:
        _show_acts(found.not_agreed, surface)


def _amounts(found: Comparison, surface: Surface) -> str:
    from schemas.money import format_won

    charged, agreed = format_won(found.charged_micro), format_won(found.undisputed_micro)
    difference = format_won(found.difference_micro)
    return surface.say(
        f"이 달까지 청구 {charged}, 양쪽이 같은 만큼은 {agreed}, 차이 {difference} (부가세 별도)",
        f"{charged} charged up to this month, {agreed} of it undisputed, {difference} apart "
        "(VAT not included)",
    )


def _show_acts(acts: tuple[ComparedAct, ...], surface: Surface) -> None:
    say = surface.say
    surface.table(
        None,
        (
            say("시각", "time"),
            say("이용", "use"),
            say("확인", "signed by"),
            say("공급기업이 셈", "supplier counted"),
            say("수요기업이 셈", "buyer counted"),
        ),
        [
            (
                surface.time(act.occurred_at),
                act.act_id,
                say(*STATES[act.attested.value]),
                _counts(act.supplier, surface),
                _counts(act.buyer, surface),
            )
            for act in acts
        ],
    )


def _counts(counts: Counts | None, surface: Surface) -> str:
    if counts is None:
        return "-"
    rows, bytes_ = f"{counts.rows_count:,}", f"{counts.bytes_count:,}"
    ko, en = f"{rows}행 {bytes_}바이트", f"{rows} rows, {bytes_} bytes"
    if counts.compute_ms is not None:
        from schemas.price import compute_sentence

        said = compute_sentence(counts.compute_ms)
        ko, en = f"{ko} {said.ko}", f"{en}, {said.en}"
    return surface.say(ko, en)
