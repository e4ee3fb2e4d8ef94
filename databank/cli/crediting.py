"""How credit is said, to the operator and to whoever has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from databank.cli.surface import Surface
    from schemas.bank import CreditView

STATUSES: Final = {
    "current": ("정상", "current"),
    "notice": ("연체 알림", "notice"),
    "reminder": ("연체 독촉", "reminder"),
    "suspended": ("이용 정지", "suspended"),
    "terminated": ("거래 종료", "terminated"),
}


def credit_lines(credit: CreditView, surface: Surface) -> list[tuple[str, str]]:
    """Return a credit as names and values."""
    from schemas.money import format_won

    say = surface.say
    lines = [
        (say("외상 한도", "credit limit"), format_won(credit.limit_micro)),
        (say("남은 외상 한도", "credit left"), format_won(credit.left_micro)),
        (say("외상 상태", "credit status"), status_said(credit, surface)),
    ]
    if credit.due_at is not None:
        lines.append((say("낼 기한", "due"), surface.time(credit.due_at)))
    return lines


def status_said(credit: CreditView, surface: Surface) -> str:
    """Say a status, and for how long payment has been overdue."""
    ko, en = STATUSES[credit.status.value]
    if credit.days_overdue:
        ko, en = f"{ko} ({credit.days_overdue}일 지남)", f"{en} ({credit.days_overdue} days late)"
    return surface.say(ko, en)
