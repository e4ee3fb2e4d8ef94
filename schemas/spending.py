"""What a buyer's connector spends on an agreement, and the most that it may."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from schemas.ids import AgreementId
from schemas.money import MicroWon
from schemas.wire import OwnWire

TOTAL_MAX_HEADER: Final = "Databank-Total-Max-Micro"  # of a read: the most it may cost, with VAT
LIMIT_MICRO_MAX: Final = 10**18

TotalMax = Annotated[MicroWon, Field(ge=0, le=LIMIT_MICRO_MAX)]  # charge and VAT, micro-won


class SpendingLimit(OwnWire):
    """The most that a calendar month in Seoul may cost, with VAT; none means no limit.

    ``forget_unsettled``: let go of what is reserved for acts whose answers were lost. They may
    have been charged all the same.
    """

    limit_micro: TotalMax | None = None
    forget_unsettled: bool = False


class Spending(OwnWire):
    """What this month has cost so far; amounts with VAT.

    ``reserved_micro`` is for acts under way, and for those whose answers were lost.
    """

    agreement_id: AgreementId
    month: str
    limit_micro: MicroWon | None = None
    spent_micro: MicroWon
    reserved_micro: MicroWon

    @property
    def left_micro(self) -> int | None:
        """What may still be spent; none without a limit."""
        if self.limit_micro is None:
            return None
        return max(0, self.limit_micro - self.spent_micro - self.reserved_micro)
