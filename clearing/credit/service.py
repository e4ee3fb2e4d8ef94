"""The operator allows credit; whoever asks sees how a participant stands with it."""

from __future__ import annotations

from datetime import datetime

from clearing.credit import store
from clearing.credit.model import CreditLine, Standing, room_micro, standing
from clearing.ledger.entries import Wallet
from clearing.ledger.model import Account, Book
from clearing.ledger.service import balance_of
from clearing.ledger.store import find_account
from databank.kit.db import UnitOfWork
from schemas.bank import Balance, CreditList, CreditRequest, CreditView
from schemas.ids import ParticipantId
from schemas.money import MICRO_PER_WON


def allow(uow: UnitOfWork, wish: CreditRequest, *, now: datetime) -> CreditView:
    """Set how far a participant may go beyond its deposit; 0 won: it pays before use."""
    line = CreditLine(wish.limit_won * MICRO_PER_WON, wish.term_days)
    store.put_line(uow, wish.participant_id, line)
    return view_of(uow, wish.participant_id, now=now)


def standing_of(
    uow: UnitOfWork, line: CreditLine, wallet: Wallet, receivable: Account, *, now: datetime
) -> Standing:
    """Say how a participant stands, from its receivable account."""
    owed = -receivable.credit_balance
    oldest = None
    if owed > 0:
        oldest = store.oldest_unpaid_at(uow, wallet.receivable, receivable.credits_posted)
    return standing(line, owed_micro=owed, oldest=oldest, now=now)


def view_of(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> CreditView:
    """Return a participant's credit and how it stands."""
    line = store.line_of(uow, participant_id)
    wallet = Wallet(Book.ACCRUAL, participant_id)
    found = standing_of(uow, line, wallet, find_account(uow, wallet.receivable), now=now)
    granted = store.granted_beyond(uow, participant_id, now=now)
    return CreditView(
        participant_id=participant_id,
        limit_micro=line.limit_micro,
        left_micro=room_micro(line, found, granted),
        term_days=line.term_days,
        status=found.status,
        owed_micro=found.owed_micro,
        due_at=found.due_at,
        days_overdue=found.days_overdue,
    )


def all_views(uow: UnitOfWork, *, now: datetime) -> CreditList:
    """Return everybody's credit, who is longest overdue first."""
    views = [view_of(uow, id_, now=now) for id_ in store.all_lines(uow)]
    views.sort(key=lambda view: (-view.days_overdue, view.participant_id))
    return CreditList(credits=tuple(views))


def full_balance_of(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> Balance:
    """Return 잔액 with the credit that the participant has, if any."""
    balance = balance_of(uow, participant_id, now=now)
    if store.line_of(uow, participant_id).limit_micro == 0:
        return balance
    return balance.model_copy(update={"credit": view_of(uow, participant_id, now=now)})
