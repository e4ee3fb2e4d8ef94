"""송금: payout files, their approvals, and what the bank says came of them."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.billing import BankAccount
from schemas.ids import ParticipantId
from schemas.money import Won
from schemas.signature import BadSignatureError, PublicKey, SigningKey, sign, verify
from schemas.wire import OwnWire, Sha256, Time

APPROVAL_TYPE: Final = "payout-approval+jws"
FEE_DECISION_TYPE: Final = "return-fee-decision+jws"
APPROVALS_NEEDED: Final = 2


class PayoutStatus(StrEnum):
    """Where a payout stands; ``void`` and ``released`` are final."""

    DRAFTED = "drafted"  # the file is made, nobody has approved
    HALF_APPROVED = "half_approved"
    RELEASED = "released"  # two officers approved: booked, the file may go to the bank
    VOID = "void"


class PaymentStatus(StrEnum):
    """Where one payment of a payout stands."""

    DRAFTED = "drafted"
    VOID = "void"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    RETURNED = "returned"  # it came back, and is owed again
    REJECTED = "rejected"  # the bank never sent it, and it is owed again


class FeeBearer(StrEnum):
    """Who bears what a bank kept of a payment that came back."""

    PAYEE = "payee"
    OPERATOR = "operator"  # it writes the fee off


class PaymentReturn(OwnWire):
    """How a payment came back, and what of it did not."""

    reason: str  # ISO 20022 external return reason or status reason, such as AC04; may be empty
    returned_won: Won  # of the payment's amount; the rest is the fee
    fee_won: Won
    bearer: FeeBearer | None = None  # once two officers said the same
    said: dict[str, FeeBearer] = Field(default_factory=dict)  # by officer


class PayoutPayment(OwnWire):
    """One payment to one participant."""

    end_to_end_id: str
    participant_id: ParticipantId
    participant_name: str
    amount_won: Won
    account: BankAccount
    status: PaymentStatus
    came_back: PaymentReturn | None = None
    profile_told_at: Time | None = None  # last change of the payee's profile; with one payout only


class DraftRequest(OwnWire):
    """Whom to leave out of a payout, and whom to pay again where the last payment came back."""

    exclude: tuple[ParticipantId, ...] = Field(default=(), max_length=1000)
    again: tuple[ParticipantId, ...] = Field(default=(), max_length=1000)  # to the same account


class LeftOut(OwnWire):
    """A participant that is not paid, or not in full, and why."""

    participant_id: ParticipantId
    participant_name: str
    amount_won: Won
    # no-account, account-changed, excluded, returned, return-fee, owes, buyer-owes, refunded
    reason: str


class PayoutView(OwnWire):
    """A payout file with its approvals and payments."""

    payout_id: str
    status: PayoutStatus
    sha256: Sha256  # of the pain.001 file
    total_won: Won
    drafted_at: Time
    approved_by: tuple[str, ...]
    void_reason: str | None = None
    payments: tuple[PayoutPayment, ...]
    left_out: tuple[LeftOut, ...] = ()  # at the time of drafting; told in the answer to it only


class PayoutList(OwnWire):
    """All payouts, the first first."""

    payouts: tuple[PayoutView, ...]


class ApprovalRequest(OwnWire):
    """An officer's signed word about one file."""

    officer: str = Field(min_length=1, max_length=100)
    approval: str = Field(max_length=4000)  # the JWS


class VoidRequest(OwnWire):
    """Take a payout back before its second approval."""

    reason: str = Field(min_length=1, max_length=200)


def officer_key_id(officer: str) -> str:
    """Return the key id that an officer signs under."""
    return f"officer:{officer}#key-1"


def sign_approval(payout_id: str, sha256: str, key: SigningKey) -> str:
    """Return an officer's approval of exactly this file."""
    payload = json.dumps({"payout_id": payout_id, "sha256": sha256})
    return sign(payload.encode(), key=key, typ=APPROVAL_TYPE)


def verify_approval(token: str, key: PublicKey) -> tuple[str, str]:
    """Return the payout and the file's hash that were approved.

    Raises:
        BadSignatureError: Not a JWS of an approval by this key.
    """
    try:
        said = json.loads(verify(token, key=key, typ=APPROVAL_TYPE))
        return str(said["payout_id"]), str(said["sha256"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadSignatureError(f"not an approval: {error}") from None


class FeeDecision(OwnWire):
    """An officer's signed word on who bears a fee."""

    officer: str = Field(min_length=1, max_length=100)
    bearer: FeeBearer
    approval: str = Field(max_length=4000)  # the JWS


def sign_fee_decision(end_to_end_id: str, fee_won: int, bearer: FeeBearer, key: SigningKey) -> str:
    """Return an officer's word that ``bearer`` bears exactly this fee, in won."""
    said = {"end_to_end_id": end_to_end_id, "fee_won": str(fee_won), "bearer": bearer.value}
    return sign(json.dumps(said).encode(), key=key, typ=FEE_DECISION_TYPE)


def verify_fee_decision(token: str, key: PublicKey) -> tuple[str, int, FeeBearer]:
    """Return the payment, the fee in won and who is to bear it.

    Raises:
        BadSignatureError: Not a JWS of such a decision by this key.
    """
    try:
        said = json.loads(verify(token, key=key, typ=FEE_DECISION_TYPE))
        return str(said["end_to_end_id"]), int(said["fee_won"]), FeeBearer(said["bearer"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadSignatureError(f"not a decision on a fee: {error}") from None


class BankOutcome(StrEnum):
    """What was made of a movement that the bank reported."""

    PAID = "paid"  # a payment went out
    RETURNED = "returned"  # a payment came back, whole or less a fee
    REJECTED = "rejected"  # the bank did not send a payment
    DEPOSITED = "deposited"  # a credit was matched to a participant
    DUPLICATE = "duplicate"  # reported and booked before
    UNKNOWN = "unknown"  # no payment or participant fits for certain: somebody must look
    WRONG_AMOUNT = "wrong_amount"  # another amount or currency than the payment's
    UNEXPECTED = "unexpected"  # the payment is not where such a movement could follow
    CONFLICT = "conflict"  # the reference stands for another amount or text, or another deposit
    PENDING = "pending"  # the bank has not booked it yet
    NOT_TAKEN = "not_taken"  # a credit of a camt.053; deposits are taken from camt.054, not kept


class BankMovement(OwnWire):
    """One movement on the operator's account, and what was made of it."""

    reference: str
    is_credit: bool
    amount: str  # as the bank wrote it, with currency
    end_to_end_id: str | None = None
    remittance: str = ""  # what the payer wrote
    outcome: BankOutcome
    participant_id: ParticipantId | None = None  # with ``unknown``: a guess, nothing is booked


class BankReport(OwnWire):
    """What an import found, in the order of the file; or all that wait for somebody to look."""

    movements: tuple[BankMovement, ...]
