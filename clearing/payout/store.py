"""Rows of payouts: files, payments and events. Only ever added: triggers refuse the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, Column, LargeBinary, Text, func, select
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.disputes.store import credits_on
from clearing.ledger.model import (
    OPERATOR,
    AccountId,
    Book,
    Code,
    EntryId,
    Kind,
    Phase,
    Side,
    account_id,
)
from clearing.ledger.store import (
    AccountRow,
    EntryRow,
    PostingRow,
    find_account,
    shares_of,
)
from clearing.payout.model import (
    Owed,
    Payable,
    Payment,
    less_given_back,
    unpaid_of,
    waiting_of,
)
from clearing.rating.rate import Amounts
from databank.kit.db import UnitOfWork, UtcTime, table_of
from schemas.billing import BankAccount
from schemas.ids import ParticipantId

OWED_MAX = 10_000  # sales beyond a deposit that are looked at, newest first


class PayoutRow(SQLModel, table=True):
    """One payout file."""

    __tablename__ = "clearing_payout"
    payout_id: str = Field(primary_key=True)
    number: int = Field(unique=True)
    document: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sha256: str
    drafted_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class PaymentRow(SQLModel, table=True):
    """One payment of a file."""

    __tablename__ = "clearing_payment"
    end_to_end_id: str = Field(primary_key=True)
    payout_id: str = Field(index=True, foreign_key="clearing_payout.payout_id")
    participant_id: str = Field(index=True)
    name: str
    earned: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat: int = Field(sa_column=Column(BigInteger, nullable=False))
    account: str = Field(sa_column=Column(Text, nullable=False))


class PayoutEventRow(SQLModel, table=True):
    """What happened to a payout: approved by an officer, released, or void with a reason."""

    __tablename__ = "clearing_payout_event"
    payout_id: str = Field(primary_key=True, foreign_key="clearing_payout.payout_id")
    number: int = Field(primary_key=True)
    kind: str
    said: str  # the officer, or the reason
    approval: str | None = Field(default=None, sa_column=Column(Text))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class Event:
    """An event; ``approval`` is the officer's JWS."""

    kind: str
    said: str
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """A stored payout."""

    id: str
    number: int
    document: bytes
    sha256: str
    drafted_at: datetime
    payments: tuple[Payment, ...]
    events: tuple[Event, ...]

    @property
    def void_reason(self) -> str | None:
        """Why it is void, if it is."""
        return next((each.said for each in self.events if each.kind == "void"), None)

    @property
    def is_released(self) -> bool:
        """Whether it was booked."""
        return any(each.kind == "released" for each in self.events)

    @property
    def approved_by(self) -> tuple[str, ...]:
        """The officers, in order."""
        return tuple(each.said for each in self.events if each.kind == "approved")


def payables(uow: UnitOfWork) -> dict[ParticipantId, Payable]:
    """Return the cash balances of everybody that sold something."""
    table = table_of(AccountRow)
    own = (Code.EARNED, Code.VAT_OUT, Code.RECOVERABLE)
    codes = (*own, Code.RECEIVABLE, Code.DISPUTE_HOLD, Code.RETURN_FEE)
    query = select(table).where(table.c.book == Book.CASH, table.c.code.in_(codes))
    balance: dict[tuple[str, str], int] = {}
    for row in uow.session.execute(query.order_by(table.c.id)):
        balance[row.owner_id, row.code] = row.credits_posted - row.debits_posted
    receivables = {
        ParticipantId(owner): -amount
        for (owner, code), amount in balance.items()
        if code == Code.RECEIVABLE and amount < 0
    }
    earned: dict[ParticipantId, int] = defaultdict(int)
    for (owner, code), amount in balance.items():
        if code in own and owner != OPERATOR:
            earned[ParticipantId(owner)] += amount
    waiting = waiting_of(
        receivables,
        {id_: owed_by(uow, id_) for id_ in receivables},
        earned,
        cache(lambda payer: _royalties(uow, payer)),
    )
    sellers = {owner for owner, code in balance if code == Code.EARNED}
    return {
        (id_ := ParticipantId(owner)): Payable(
            participant_id=id_,
            earned=balance[owner, Code.EARNED],
            vat=balance.get((owner, Code.VAT_OUT), 0),
            withheld=waiting.get(id_, 0),
            receivable=receivables.get(id_, 0),
            recoverable=-balance.get((owner, Code.RECOVERABLE), 0),
            return_fee=-balance.get((owner, Code.RETURN_FEE), 0),
            contested=balance.get((owner, Code.DISPUTE_HOLD), 0),
        )
        for owner in sorted(sellers)
    }


def reserved(uow: UnitOfWork) -> dict[AccountId, int]:
    """Return what an officer has approved to be paid and that is not booked, by cash account.

    Disputes and set-off leave it alone: else a party could void one payout after another.
    """
    found: dict[AccountId, int] = defaultdict(int)
    for payout in _approved(uow):
        for each in payout.payments:
            for code, amount in ((Code.EARNED, each.earned), (Code.VAT_OUT, each.vat)):
                found[account_id(Book.CASH, code, each.participant_id)] += amount
    return found


def _approved(uow: UnitOfWork) -> list[Payout]:
    """Return the payouts that one officer has approved, and that are neither booked nor void."""
    event = table_of(PayoutEventRow)
    ended = select(event.c.payout_id).where(event.c.kind.in_(["released", "void"]))
    query = (
        select(event.c.payout_id)
        .where(event.c.kind == "approved", event.c.payout_id.not_in(ended))
        .distinct()
    )
    return [payouts(uow, id_)[0] for id_ in uow.session.execute(query).scalars().all()]


def unpaid_sales(uow: UnitOfWork, buyers: Iterable[ParticipantId]) -> set[str]:
    """Return the entries of the cash book that these buyers have not paid in full."""
    receivables = {}
    for buyer in buyers:
        account = find_account(uow, account_id(Book.CASH, Code.RECEIVABLE, buyer))
        if account.credit_balance < 0:
            receivables[buyer] = -account.credit_balance
    return unpaid_of(receivables, {id_: owed_by(uow, id_) for id_ in receivables})


def owed_by(uow: UnitOfWork, buyer: ParticipantId) -> Sequence[Owed]:
    """Return the sales that a buyer's deposit did not cover, newest first, less their refunds."""
    table = table_of(PostingRow)
    query = (
        select(table.c.entry_id, table.c.amount)
        .where(table.c.account_id == account_id(Book.CASH, Code.RECEIVABLE, buyer))
        .where(table.c.side == Side.DEBIT, table.c.phase == Phase.POSTED)
        .order_by(table.c.id.desc())
        .limit(OWED_MAX)
    )
    rows = uow.session.execute(query).all()
    shares = shares_of(uow, (EntryId(row.entry_id) for row in rows))
    taken_back = credits_on(uow, (EntryId(row.entry_id) for row in rows))
    found = []
    for row in rows:
        earning = [s for s in shares[EntryId(row.entry_id)] if s.code is Code.EARNED]
        refunded = taken_back.get(EntryId(row.entry_id), Amounts())
        for share in earning[:1]:
            earned = sum(
                s.credit
                for s in shares[EntryId(row.entry_id)]
                if s.owner_id == share.owner_id and s.code in (Code.EARNED, Code.VAT_OUT)
            )
            sale = Owed(
                ParticipantId(share.owner_id),
                max(0, row.amount - refunded.paid),
                earned - refunded.earned - refunded.vat,
                row.entry_id,
            )
            found.append(sale)
    return found


def _royalties(uow: UnitOfWork, payer: ParticipantId) -> Sequence[Owed]:
    """Return what was taken from a participant's earnings as royalties, newest first.

    What was given back after refunds is left out of the newest.
    """
    posting, entry = table_of(PostingRow), table_of(EntryRow)
    accounts = [account_id(Book.CASH, code, payer) for code in (Code.EARNED, Code.VAT_OUT)]
    query = (
        select(entry.c.id, entry.c.counterparty)
        .join(posting, entry.c.id == posting.c.entry_id)
        .where(posting.c.account_id.in_(accounts), entry.c.counterparty != payer)
        .where(entry.c.kind.in_((Kind.ROYALTY, Kind.ROYALTY_REFUND)))
        .group_by(entry.c.id, entry.c.counterparty)
        .order_by(func.max(posting.c.id).desc())
        .limit(OWED_MAX)
    )
    rows = uow.session.execute(query).all()
    shares = shares_of(uow, (EntryId(row.id) for row in rows))
    moved = [
        Owed(
            ParticipantId(row.counterparty),
            -sum(s.credit for s in shares[EntryId(row.id)] if s.owner_id == payer),
            sum(s.credit for s in shares[EntryId(row.id)] if s.owner_id == row.counterparty),
        )
        for row in rows
    ]
    return less_given_back(moved)


def next_number(uow: UnitOfWork) -> int:
    """Return the number of the next payout; the caller holds the lock."""
    return int(uow.session.execute(select(func.max(col(PayoutRow.number)))).scalar() or 0) + 1


def add_payout(uow: UnitOfWork, payout: Payout) -> None:
    """Store a file and its payments for good."""
    uow.session.add(
        PayoutRow(
            payout_id=payout.id,
            number=payout.number,
            document=payout.document,
            sha256=payout.sha256,
            drafted_at=payout.drafted_at,
        )
    )
    uow.session.flush()
    for each in payout.payments:
        uow.session.add(
            PaymentRow(
                end_to_end_id=each.end_to_end_id,
                payout_id=payout.id,
                participant_id=each.participant_id,
                name=each.name,
                earned=each.earned,
                vat=each.vat,
                account=each.account.model_dump_json(),
            )
        )
    uow.session.flush()


def add_event(uow: UnitOfWork, payout: Payout, event: Event, *, now: datetime) -> None:
    """Record an event; two at the same time collide on its number."""
    uow.session.add(
        PayoutEventRow(
            payout_id=payout.id,
            number=len(payout.events) + 1,
            kind=event.kind,
            said=event.said,
            approval=event.approval,
            recorded_at=now,
        )
    )
    uow.session.flush()


def payouts(uow: UnitOfWork, payout_id: str | None = None) -> list[Payout]:
    """Return all payouts in order, or the one with this id."""
    query = select_rows(PayoutRow).order_by(col(PayoutRow.number))
    if payout_id is not None:
        query = query.where(col(PayoutRow.payout_id) == payout_id)
    return [_from_row(uow, row) for row in uow.session.exec(query).all()]


def _from_row(uow: UnitOfWork, row: PayoutRow) -> Payout:
    paid = select_rows(PaymentRow).where(col(PaymentRow.payout_id) == row.payout_id)
    done = select_rows(PayoutEventRow).where(col(PayoutEventRow.payout_id) == row.payout_id)
    return Payout(
        id=row.payout_id,
        number=row.number,
        document=row.document,
        sha256=row.sha256,
        drafted_at=row.drafted_at,
        payments=tuple(
            _from_payment(each)
            for each in uow.session.exec(paid.order_by(col(PaymentRow.end_to_end_id)))
        ),
        events=tuple(
            Event(each.kind, each.said, each.approval)
            for each in uow.session.exec(done.order_by(col(PayoutEventRow.number)))
        ),
    )


def _from_payment(row: PaymentRow) -> Payment:
    return Payment(
        end_to_end_id=row.end_to_end_id,
        participant_id=ParticipantId(row.participant_id),
        name=row.name,
        earned=row.earned,
        vat=row.vat,
        account=BankAccount.model_validate_json(row.account),
    )


def last_payments(uow: UnitOfWork) -> dict[ParticipantId, Payment]:
    """Return the last payment to each participant that was booked."""
    event = table_of(PayoutEventRow)
    released = select(event.c.payout_id).where(event.c.kind == "released")
    query = select_rows(PaymentRow).where(col(PaymentRow.payout_id).in_(released))
    rows = uow.session.exec(query.order_by(col(PaymentRow.end_to_end_id)))
    return {ParticipantId(row.participant_id): _from_payment(row) for row in rows}


def payout_with(uow: UnitOfWork, end_to_end_id: str) -> Payout | None:
    """Return the payout that a payment is in."""
    row = uow.session.get(PaymentRow, end_to_end_id)
    return None if row is None else payouts(uow, row.payout_id)[0]
