"""The command that shows what policies decided, for the buyer and for the supplier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import typer

from databank.cli.surface import surface_of

_MODES: Final = {"query": ("질의", "query"), "read": ("내려받기", "read")}


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the command."""
    help_ = say(
        "이용 허가·거절 기록을 봅니다 (공급기업·수요기업)", "List decisions on use, as either side"
    )
    app.command("decisions", help=help_)(decisions)


def decisions(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="데이터셋(이름.데이터셋) 또는 합의 번호 (a dataset handle.name, or an agreement)"
        ),
    ],
    denied: Annotated[bool, typer.Option("--denied", help="거절만 (denials only)")] = False,
) -> None:
    """Print decisions under our agreements on a dataset, whichever side we are."""
    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        decided = [d for d in session.decisions(name) if not (denied and d.is_allowed)]
        names = {
            a.agreement_id: a.consumer_name or a.consumer_id
            for a in session.haggling.agreements_on(name)
        }
    surface.table(
        [d.to_json() for d in decided],
        (
            say("일시", "time"),
            say("수요기업", "buyer"),
            say("이용", "use"),
            say("결정", "decision"),
            say("이유", "reason"),
        ),
        [
            (
                surface.time(d.decided_at, has_seconds=True),
                names[d.agreement_id],
                say(*_MODES.get(d.mode, (d.mode, d.mode))),
                say("허가", "allowed") if d.is_allowed else say("거절", "denied"),
                surface.text(d.reason),
            )
            for d in decided
        ],
    )
