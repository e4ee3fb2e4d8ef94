"""Who answers when others ask for a dataset: a rule, or people."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from schemas.wire import Text


class Approval(StrEnum):
    """How a supplier answers requests for one of its datasets."""

    AUTOMATIC = "automatic"  # the offer as it stands is agreed to, anything else refused
    NEGOTIABLE = "negotiable"  # the offer as it stands is agreed to, anything else waits
    MANUAL = "manual"  # every request waits for somebody's answer


_SENTENCES: Final = {
    Approval.AUTOMATIC: (
        "제안 그대로면 바로 합의합니다. 다른 조건은 받지 않습니다",
        "Agreed at once on the offer as it stands; other terms are not taken",
    ),
    Approval.NEGOTIABLE: (
        "제안 그대로면 바로 합의합니다. 다른 조건도 제안할 수 있습니다",
        "Agreed at once on the offer as it stands; other terms may be proposed",
    ),
    Approval.MANUAL: (
        "공급기업이 요청마다 승인합니다. 다른 조건도 제안할 수 있습니다",
        "The supplier approves every request; other terms may be proposed",
    ),
}


def approval_text(approval: Approval) -> Text:
    """Say in both languages what a buyer has to expect."""
    ko, en = _SENTENCES[approval]
    return Text(ko=ko, en=en)
