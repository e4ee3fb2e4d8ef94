"""The clearing service's API: agreements, grants, accounts, statements.

Amounts are micro-won unless a name says ``won``.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.dispute import DisputeReason
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.money import MicroWon, Won
from schemas.price import PricePlan, compute_sentence
from schemas.shares import RoyaltyLine
from schemas.wire import OwnWire, Sha256, Text, Time

GRANT_MICRO_MAX: Final = 10**18  # a million million won


class AgreementRecord(OwnWire):
    """What supplier and consumer each tell clearing about a finalized agreement.

    It becomes billable when both have sent the same record.
    """

    agreement_id: AgreementId
    provider_id: ParticipantId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    dataset_title: str = Field(max_length=300)  # the supplier's word; not compared
    plan: PricePlan
    policy_sha256: Sha256
    agreed_at: Time


class AgreementStatus(StrEnum):
    """Whether both sides have confirmed."""

    HALF_CONFIRMED = "half_confirmed"
    ACTIVE = "active"


class AgreementAnswer(OwnWire):
    """How clearing holds an agreement."""

    agreement_id: AgreementId
    status: AgreementStatus


class GrantRequest(OwnWire):
    """A supplier's connector asks for a hold on the consumer's deposit before it delivers.

    Amounts are charges without VAT; the hold covers VAT as well. At least ``minimum_micro``,
    at best ``wanted_micro``.
    """

    grant_id: str = Field(max_length=80)  # made and stored by the caller: idempotency key
    agreement_id: AgreementId
    minimum_micro: MicroWon = Field(ge=0, le=GRANT_MICRO_MAX)
    wanted_micro: MicroWon = Field(ge=0, le=GRANT_MICRO_MAX)


class Grant(OwnWire):
    """A hold: deliveries up to ``amount_micro`` (without VAT) are covered until ``expires_at``."""

    grant_id: str
    agreement_id: AgreementId
    amount_micro: MicroWon
    expires_at: Time


class DepositRequest(OwnWire):
    """입금: the operator books money that arrived at the bank."""

    deposit_id: str = Field(max_length=80)  # idempotency key, such as the bank's reference
    participant_id: ParticipantId
    amount_won: Won = Field(ge=1, le=10**12)
    memo: str = Field(default="", max_length=200)


class DepositReversal(OwnWire):
    """Take back a deposit that was booked by mistake."""

    deposit_id: str = Field(max_length=80)
    reason: str = Field(min_length=1, max_length=200)


class CreditStatus(StrEnum):
    """What follows from being late with what was delivered beyond the deposit."""

    CURRENT = "current"
    NOTICE = "notice"  # from one day after it was due
    REMINDER = "reminder"  # from seven days
    SUSPENDED = "suspended"  # from 14 days: no further grants
    TERMINATED = "terminated"  # from 45 days


class CreditRequest(OwnWire):
    """The operator allows a participant to go beyond its deposit; 0 won takes that back."""

    participant_id: ParticipantId
    limit_won: Won = Field(ge=0, le=10**11)  # with VAT
    term_days: int = Field(default=30, ge=0, le=180)  # from a delivery's booking until it is due


class CreditView(OwnWire):
    """A participant's credit and how it stands; amounts with VAT.

    ``left_micro`` is what may still be granted; what running grants cover, used or not, is taken
    off.
    """

    participant_id: ParticipantId
    limit_micro: MicroWon
    left_micro: MicroWon
    term_days: int
    status: CreditStatus
    owed_micro: MicroWon
    due_at: Time | None = None
    days_overdue: int = 0


class CreditList(OwnWire):
    """Everybody's credit, longest overdue first."""

    credits: tuple[CreditView, ...]


class Balance(OwnWire):
    """잔액 of one participant."""

    participant_id: ParticipantId
    deposit_micro: MicroWon  # money in the deposit account
    held_micro: MicroWon  # of it, held for deliveries under way
    available_micro: MicroWon
    earned_micro: MicroWon  # earned as a supplier, after fee, with VAT
    receivable_micro: MicroWon = 0  # delivered beyond the deposit: the next deposit pays it first
    credit: CreditView | None = None  # where the operator allows to go beyond the deposit


class PassbookAccount(StrEnum):
    """Which money of a participant a passbook line is about."""

    DEPOSIT = "deposit"  # prepaid, to buy with
    EARNED = "earned"  # for what was sold, with VAT and after the fee


class PassbookLine(OwnWire):
    """One line of the 통장; ``amount_micro`` is signed, ``balance_micro`` of its account after it.

    Of a sale ``fee_micro`` is the operator's fee with its VAT, already taken off the amount.
    """

    entry_id: str
    account: PassbookAccount = PassbookAccount.DEPOSIT
    kind: str
    occurred_at: Time
    recorded_at: Time
    counterparty: str
    memo: str
    amount_micro: MicroWon
    fee_micro: MicroWon = 0
    balance_micro: MicroWon


class Passbook(OwnWire):
    """통장: movements of a participant's deposit and of its income, oldest first."""

    participant_id: ParticipantId
    lines: tuple[PassbookLine, ...]
    next_cursor: str | None = None


class StatementLine(OwnWire):
    """One agreement in one period, in whole won.

    Of the supplier's view, ``fee_won`` and ``fee_vat_won`` go to the operator and
    ``net_won`` to the supplier; of the consumer's view both fees are zero and ``net_won``
    is what it pays.
    """

    agreement_id: AgreementId
    dataset_title: str
    counterparty_id: ParticipantId
    counterparty_name: str
    queries_count: int
    rows_count: int
    bytes_count: int
    compute_ms: int | None = Field(default=None, ge=1)  # where the price is by it
    supply_won: Won  # 공급가액
    vat_won: Won  # 세액
    fee_won: Won
    fee_vat_won: Won
    net_won: Won

    @property
    def title(self) -> Text:
        """The dataset's title, with the processor time if that is paid for."""
        if self.compute_ms is None:
            return Text(ko=self.dataset_title, en=self.dataset_title)
        said = compute_sentence(self.compute_ms)
        title = self.dataset_title
        return Text(ko=f"{title} · {said.ko}", en=f"{title} · {said.en}")


class CreditLine(OwnWire):
    """What a refund takes back of a line that an earlier statement said; all amounts positive.

    Of the consumer's view both fees are zero, as on the line itself. ``before_won`` is what earlier
    refunds had taken of the line's supply.
    """

    dispute_id: str
    reason: DisputeReason
    decided_on: date  # in Seoul
    is_sale: bool  # whether the original line stands among the sales
    original_statement_id: str
    original_period: str
    original_line: int = Field(ge=1)  # which of the agreement's lines in that period
    agreement_id: AgreementId
    dataset_title: str
    counterparty_id: ParticipantId
    counterparty_name: str
    before_won: Won
    supply_won: Won
    vat_won: Won
    fee_won: Won
    fee_vat_won: Won
    net_won: Won


class Statement(OwnWire):
    """명세서 of one party and one period: what it bought and what it sold.

    Totals are over purchases and royalties paid, and over sales and royalties received, less
    ``credits``. What there is none of is left out.
    """

    statement_id: str
    number: int = Field(default=1, ge=1)  # 1, 2, … within the period, one for each issue
    participant_id: ParticipantId
    participant_name: str
    brn: str
    period: str = Field(pattern=r"^\d{4}-\d{2}$")
    issued_at: Time
    purchases: tuple[StatementLine, ...]
    sales: tuple[StatementLine, ...]
    royalties_paid: tuple[RoyaltyLine, ...] | None = Field(default=None, min_length=1)
    royalties_received: tuple[RoyaltyLine, ...] | None = Field(default=None, min_length=1)
    credits: tuple[CreditLine, ...] | None = Field(default=None, min_length=1)
    purchases_total_won: Won
    sales_total_won: Won  # net of fee and its VAT
    vat_paid_won: Won
    vat_collected_won: Won
    fee_total_won: Won  # operator's fee with its VAT

    @property
    def bought(self) -> tuple[StatementLine | RoyaltyLine, ...]:
        """All lines that the participant pays."""
        return (*self.purchases, *(self.royalties_paid or ()))

    @property
    def sold(self) -> tuple[StatementLine | RoyaltyLine, ...]:
        """All lines that the participant is paid for."""
        return (*self.sales, *(self.royalties_received or ()))

    def sums(self) -> dict[str, int]:
        """Return what each total has to be, added up from the lines, less the credits (I13)."""
        buying: list[tuple[StatementLine | RoyaltyLine | CreditLine, int]]
        selling: list[tuple[StatementLine | RoyaltyLine | CreditLine, int]]
        buying, selling = [(line, 1) for line in self.bought], [(line, 1) for line in self.sold]
        for each in self.credits or ():
            (selling if each.is_sale else buying).append((each, -1))
        return {
            "purchases_total_won": sum(sign * line.net_won for line, sign in buying),
            "sales_total_won": sum(sign * line.net_won for line, sign in selling),
            "vat_paid_won": sum(sign * line.vat_won for line, sign in buying),
            "vat_collected_won": sum(sign * line.vat_won for line, sign in selling),
            "fee_total_won": sum(sign * (ln.fee_won + ln.fee_vat_won) for ln, sign in selling),
        }


class StatementList(OwnWire):
    """Statements of one period."""

    statements: tuple[Statement, ...]


class Payment(OwnWire):
    """Who paid whom in a period: all agreements between two parties together.

    Micro amounts are what was charged; won amounts are what statements have said so far.
    """

    consumer_id: ParticipantId
    consumer_name: str
    supplier_id: ParticipantId
    supplier_name: str
    queries_count: int
    rows_count: int
    bytes_count: int
    compute_ms: int | None = None
    supply_micro: MicroWon
    vat_micro: MicroWon
    fee_micro: MicroWon
    fee_vat_micro: MicroWon
    supply_won: Won
    vat_won: Won
    fee_won: Won
    fee_vat_won: Won


class PaymentList(OwnWire):
    """Payments of one period, by consumer and supplier."""

    period: str
    payments: tuple[Payment, ...]


class TrialBalance(OwnWire):
    """The books at a moment: debits equal credits in each, or something is badly wrong."""

    accrual_debits_micro: MicroWon
    accrual_credits_micro: MicroWon
    cash_debits_won: Won
    cash_credits_won: Won
    records_count: int
    entries_count: int
