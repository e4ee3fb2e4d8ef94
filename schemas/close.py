"""마감: what closing a period did, step by step, and who ends up with what."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.ids import ParticipantId
from schemas.money import Won
from schemas.wire import OwnWire, Time

PERIOD: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"


class CloseStep(StrEnum):
    """The steps of a close, in order."""

    CUT = "cut"  # where every stream and the log stood
    STATEMENTS = "statements"  # lines in whole won, cash entries, sealed documents
    NETTING = "netting"  # net position of every party, sum zero


class StreamCut(OwnWire):
    """Where a supplier's stream stood: records below ``next_seq`` were booked."""

    provider_id: ParticipantId
    epoch: int
    next_seq: int


class CutResult(OwnWire):
    """What was booked when the statements were made."""

    log_size: int  # leaves before the statements' seals
    agreements_count: int  # with usage in the period
    acts_count: int  # of the period, so far
    streams: tuple[StreamCut, ...]


class StatementsResult(OwnWire):
    """What the run's statements say together, in whole won."""

    statement_ids: tuple[str, ...]
    supply_won: Won
    vat_won: Won
    fee_won: Won  # without its VAT
    fee_vat_won: Won
    royalties_won: Won | None = None  # supply that products owe their sources; of sales above


class NetPosition(OwnWire):
    """What a party has to get (+) or has paid (-) for a run; the operator's is its fees."""

    participant_id: str  # or ``operator``
    participant_name: str
    purchases_won: Won  # with VAT
    sales_won: Won  # with VAT, after the fee and its VAT
    net_won: Won


class NettingResult(OwnWire):
    """Net positions of all parties and the operator; their sum is zero."""

    positions: tuple[NetPosition, ...]


class StepDone(OwnWire):
    """One step that is done, with its own result."""

    step: CloseStep
    done_at: Time
    cut: CutResult | None = None
    statements: StatementsResult | None = None
    netting: NettingResult | None = None


class CloseRun(OwnWire):
    """One pass over a period: the first, or a later one for usage that came after it."""

    number: int = Field(ge=1)
    started_at: Time
    steps: tuple[StepDone, ...]
    is_finished: bool


class CloseReport(OwnWire):
    """How far the close of a period is.

    Of a dry run, ``runs`` holds what a close would add now; nothing was written.
    """

    period: str = Field(pattern=PERIOD)
    is_dry_run: bool = False
    is_closed: bool  # nothing is unstated, and every run is finished
    runs: tuple[CloseRun, ...]
