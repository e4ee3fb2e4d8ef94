"""The command about what our connector has seen of clearing's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from schemas.witness import WitnessView


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the command."""
    app.command(
        "witness",
        help=say(
            "우리 커넥터가 증인으로서 본 청산 기록을 봅니다",
            "Show what our connector, as a witness, has seen of clearing's log",
        ),
    )(witness)


def witness(context: typer.Context) -> None:
    """Print our key as a witness, what we cosigned last, and whether the log told two things."""
    surface = surface_of(context)
    with surface.session() as session:
        view = session.witness()
    surface.result(view.to_json(), _told(view, surface))


def _told(view: WitnessView, surface: Surface) -> str:
    say, log = surface.say, view.log
    lines = [say("증인 열쇠: ", "Our key as a witness: ") + view.key]
    if log is None:
        lines.append(
            say(
                "아직 청산 기록에 서명한 일이 없습니다. 운영기관이 이 커넥터를 증인으로 정하면 "
                "시작합니다 (DATABANK_CLEARING_WITNESSES).",
                "Nothing was cosigned yet. It begins when the operator names this connector as a "
                "witness (DATABANK_CLEARING_WITNESSES).",
            )
        )
        return "\n".join(lines)
    lines.append(
        say(
            f"{surface.time(log.cosigned_at)}에 {log.origin}의 체크포인트({log.size:,}개)에 "
            "서명했습니다.",
            f"Cosigned the checkpoint of {log.size:,} leaves of {log.origin} at "
            f"{surface.time(log.cosigned_at)}.",
        )
    )
    if log.contradiction is not None:
        lines.append(
            say(
                "경고: 이 기록은 같은 크기의 서로 다른 체크포인트 두 개에 서명했습니다. 증거는 "
                "--json의 contradiction에 있습니다. 운영기관과 다른 참가 기업에 알리세요.",
                "Warning: this log has signed two different checkpoints of one size. The evidence "
                "is under contradiction of --json. Tell the operator and other participants.",
            )
        )
    return "\n".join(lines)
