"""Why a dispute is not opened, or not moved, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clearing.disputes.model import Dispute, Fault
from schemas.dispute import DisputeReason, OpenRequest
from schemas.ids import ParticipantId
from schemas.problem import ConflictError
from schemas.wire import Text

OPENINGS_MAX: Final = 3  # by one side, of one agreement's month
MOVES_MAX: Final = 100  # of one side of a dispute, beside its end


class DisputeStateError(ConflictError):
    """A dispute is not where this could follow."""

    slug = "dispute-state"
    title = Text(ko="지금은 할 수 없는 분쟁 단계입니다", en="The dispute does not allow this now")


class NothingToDisputeError(ConflictError):
    """There is nothing, or nothing more, to contest."""

    slug = "nothing-to-dispute"
    title = Text(ko="다툴 금액이 없습니다", en="There is nothing to contest")


FAULTS: Final = {
    Fault.ENDED: ("이미 끝난 분쟁입니다", "it has ended"),
    Fault.TOO_LATE: ("기한이 지났습니다", "the time for it is over"),
    Fault.TOO_EARLY: (
        "양쪽이 모두 말하거나 증거 기한이 지난 뒤에 판정할 수 있습니다",
        "it can be decided once both sides have spoken or the time for evidence is over",
    ),
    Fault.NOT_YOURS: ("이 일을 할 수 있는 쪽이 아닙니다", "this is for somebody else to do"),
    Fault.NOTHING_PROPOSED: (
        "상대가 아직 금액을 제안하지 않았습니다",
        "the other side has proposed nothing yet",
    ),
    Fault.OTHER_AMOUNT: (
        "상대가 마지막으로 제안한 금액과 다릅니다",
        "the other side's last proposal is another amount",
    ),
    Fault.MORE_THAN_CLAIMED: (
        "다투는 금액보다 많습니다",
        "it is more than what is contested",
    ),
    Fault.TOO_MUCH: (
        f"한쪽이 남길 수 있는 {MOVES_MAX}번을 다 썼습니다",
        f"this side has said all {MOVES_MAX} things that one side may say",
    ),
}


def check_openings(about: Sequence[Dispute], by: ParticipantId) -> None:
    """Bound how often a side may keep money back and let go of it again."""
    if sum(each.opened_by == by for each in about) >= OPENINGS_MAX:
        raise NothingToDisputeError(
            ko=f"한쪽은 한 계약의 한 달을 {OPENINGS_MAX}번까지만 다툴 수 있고, 무른 분쟁도 셉니다. "
            "databank dispute list로 확인하세요.",
            en=f"One side may contest a month of an agreement {OPENINGS_MAX} times, and those "
            "withdrawn count. See databank dispute list.",
        )


def nothing_left(
    request: OpenRequest, *, is_stated: bool, remaining: int, difference: int
) -> NothingToDisputeError:
    """Return why there is nothing, or not as much, to contest."""
    if not is_stated:
        return NothingToDisputeError(
            ko=f"{request.period} 명세서가 아직 없습니다. 마감 뒤에 여세요. 그때까지 송금되지 않고 "
            "서로 다르게 센 만큼은 마감 때 저절로 보류됩니다.",
            en=f"There is no statement of {request.period} yet. Open it after the close: nothing "
            "is paid out before, and differing counts are held then without asking.",
        )
    if request.reason is DisputeReason.COUNT:
        return NothingToDisputeError(
            ko=f"양쪽이 서명한 수량의 차이는 {difference:,}원, 아직 다투지 않은 금액은 "
            f"{max(0, remaining):,}원입니다. 기한 안에 서명하지 않은 이용은 공급기업이 센 대로 "
            "확정됩니다. databank compare로 확인하세요.",
            en=f"The signed counts differ by {difference:,} won, and {max(0, remaining):,} won are "
            "not contested yet. What was not signed in time stands as metered. See databank "
            "compare.",
            difference_won=str(difference),
            remaining_won=str(max(0, remaining)),
        )
    return NothingToDisputeError(
        ko=f"이 달에 다툴 수 있는 공급가액은 {max(0, remaining):,}원입니다. 한 번 다툰 금액은 다시 "
        "다투지 않습니다.",
        en=f"{max(0, remaining):,} won of this month's supply may be contested. What was contested "
        "once is not contested again.",
        remaining_won=str(max(0, remaining)),
    )
