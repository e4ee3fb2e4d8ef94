"""분쟁: what one side of an agreement contests of a month, and how it ends.

A dispute is a list of moves. Each move is sealed as a leaf of clearing's log, and never changed.
Amounts are whole won of supply (공급가액); VAT, fees and whatever else was booked with the supply
follow in proportion.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from schemas.attestation import Comparison
from schemas.canonical import digest
from schemas.ids import AgreementId, ParticipantId
from schemas.money import Won
from schemas.wire import OwnWire, Sha256, Time

OPERATOR: Final = "operator"  # who decides, and who opens what a close holds by itself
TEXT_MAX: Final = 2000
FILES_MAX: Final = 20
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_MAX)]
Period = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
ClaimWon = Annotated[Won, Field(ge=1, le=10**12)]
RefundWon = Annotated[Won, Field(ge=0, le=10**12)]


class DisputeReason(StrEnum):
    """What is contested."""

    COUNT = "count"  # 수량: both sides signed, and differ
    PRICE = "price"  # 요금
    QUALITY = "quality"  # 품질: not what was agreed
    RETURNED = "returned"  # 환입: what was delivered is given back
    CANCELLED = "cancelled"  # 해제: the contract itself is undone


class DisputeStatus(StrEnum):
    """Where a dispute stands; all but the first two are final."""

    OPEN = "open"
    EVIDENCE = "evidence"  # somebody has added evidence
    DECIDED = "decided"  # by the operator
    SETTLED = "settled"  # both sides agree
    EXPIRED = "expired"  # nobody decided in time
    WITHDRAWN = "withdrawn"


class MoveKind(StrEnum):
    """What somebody did."""

    OPENED = "opened"
    EVIDENCE = "evidence"
    PROPOSED = "proposed"  # an amount that this side would agree to
    SETTLED = "settled"  # the other side agrees to it
    DECIDED = "decided"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class CreditPart(OwnWire):
    """A part of a refund: of the supply of one statement line, what lies after ``before_won``.

    ``line`` counts the lines that statements of the month have about the agreement, from 1.
    """

    period: Period
    line: int = Field(ge=1)
    before_won: RefundWon  # of its supply, credited by earlier refunds
    supply_won: RefundWon


class DisputeMove(OwnWire):
    """One move, as it is sealed. ``by`` is a participant or ``operator``.

    ``amount_won`` is what is claimed, proposed or, where ``parts`` are, refunded.
    """

    dispute_id: str
    number: int = Field(ge=1)
    kind: MoveKind
    by: str
    at: Time
    agreement_id: AgreementId
    period: Period
    text: str = Field(default="", max_length=TEXT_MAX)
    amount_won: Won | None = None
    reason: DisputeReason | None = None  # of the opening, and of the end
    comparison: Comparison | None = None  # of the opening: both sides' signed counts
    difference_won: Won | None = None  # of the opening: what these differ by in this month
    files: tuple[Sha256, ...] | None = None  # of evidence that the sides keep themselves
    parts: tuple[CreditPart, ...] | None = None  # of the end

    @property
    def subject(self) -> str:
        """What its seal names."""
        return f"{self.dispute_id}/{self.number}"

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form."""
        return digest(self.to_json())


class SealedMove(OwnWire):
    """A move and its seal, the leaf of the log."""

    move: DisputeMove
    seal: str


class DisputeView(OwnWire):
    """A dispute as its parties and the operator see it, with all that was said."""

    dispute_id: str
    agreement_id: AgreementId
    dataset_title: str
    provider_id: ParticipantId
    consumer_id: ParticipantId
    period: Period
    reason: DisputeReason
    status: DisputeStatus
    opened_by: str
    opened_at: Time
    evidence_until: Time
    ends_at: Time  # then nobody may decide any more
    claimed_won: Won
    held_won: Won  # of payees, with VAT and after the fee, kept from payouts now
    refunded_won: Won | None = None  # of the supply, once it has ended
    moves: tuple[SealedMove, ...]


class DisputeList(OwnWire):
    """Disputes, the newest first."""

    disputes: tuple[DisputeView, ...]


class OpenRequest(OwnWire):
    """Open a dispute; without an amount, about all that the reason allows."""

    agreement_id: AgreementId
    period: Period
    reason: DisputeReason
    text: Words
    amount_won: ClaimWon | None = None
    files: tuple[Sha256, ...] = Field(default=(), max_length=FILES_MAX)


class EvidenceRequest(OwnWire):
    """Add evidence: words, and the hashes of files that the other side or a judge may ask for."""

    text: Words
    files: tuple[Sha256, ...] = Field(default=(), max_length=FILES_MAX)


class ProposalRequest(OwnWire):
    """Say which refund of supply this side agrees to; 0 is none."""

    amount_won: RefundWon
    text: str = Field(default="", max_length=TEXT_MAX)


class AcceptanceRequest(OwnWire):
    """Agree to what the other side proposed last; the amount says that both mean the same."""

    amount_won: RefundWon


class WithdrawalRequest(OwnWire):
    """Take a dispute back."""

    text: str = Field(default="", max_length=TEXT_MAX)


class DecisionRequest(OwnWire):
    """The operator decides: how much of the supply is refunded, and why."""

    amount_won: RefundWon
    text: Words
