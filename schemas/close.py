"""마감: what closing a period did, step by step, and who ends up with what."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.ids import AgreementId, ParticipantId
from schemas.money import Won
from schemas.wire import OwnWire, Time

PERIOD: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"


class CloseStep(StrEnum):
    """The steps of a close, in order."""

    CUT = "cut"  # where every stream and the log stood
    STATEMENTS = "statements"  # lines in whole won, cash entries, sealed documents
    NETTING = "netting"  # net position of every party, sum zero
    HOLDS = "holds"  # what both sides signed differently is kept back
    SET_OFF = "set_off"  # earnings pay what was refunded after it was paid out


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
    credited_won: Won | None = None  # what their credit lines give back to buyers, with VAT
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


class HeldDifference(OwnWire):
    """A dispute that the close opened: both sides signed, and their counts differ."""

    dispute_id: str
    agreement_id: AgreementId
    claimed_won: Won  # of the supply


class HoldsResult(OwnWire):
    """What was kept back without anybody asking."""

    disputes: tuple[HeldDifference, ...]


class SetOff(OwnWire):
    """What a participant's earnings paid of what it must give back."""

    participant_id: ParticipantId
    amount_won: Won


class SetOffResult(OwnWire):
    """What earnings paid."""

    participants: tuple[SetOff, ...]


class StepDone(OwnWire):
    """One step that is done, with its own result."""

    step: CloseStep
    done_at: Time
    cut: CutResult | None = None
    statements: StatementsResult | None = None
    netting: NettingResult | None = None
    holds: HoldsResult | None = None
    set_off: SetOffResult | None = None


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
    royalties_waiting: tuple[ParticipantId, ...] | None = None  # whose the books cannot hold
