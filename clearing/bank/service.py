"""Matching what the bank reports with payments and participants; nothing is lost or doubled.

Every movement ends in an outcome that is kept. One that was booked is a duplicate ever after; one
that could not be is tried again whenever the bank's file comes again, and waits in a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from clearing.bank import store
from clearing.bank.camt import Movement, read_camt
from clearing.bank.model import Payer, match_payer
from clearing.ledger.entries import Wallet, bank_account, entry_id, paid_entry
from clearing.ledger.model import AccountId, Code, Kind, account_id, reverse
from clearing.ledger.service import BOOK_UNITS, Books, EntryConflictError, book_deposit
from clearing.ledger.store import find_entry, lock_accounts
from clearing.payout.model import Payment
from clearing.payout.service import payment_states, reversal_id
from clearing.payout.store import payout_with
from databank.kit.db import UnitOfWork
from schemas.bank import DepositRequest
from schemas.ids import ParticipantId
from schemas.payout import BankMovement, BankOutcome, BankReport, PaymentStatus

BOOKED: Final = frozenset({BankOutcome.PAID, BankOutcome.RETURNED, BankOutcome.DEPOSITED})
DEPOSIT_MAX: Final = 10**12  # won, as DepositRequest has it
RETURN_REASON: Final = "반송 (returned by the bank)"


def take_report(uow: UnitOfWork, content: bytes, *, now: datetime) -> BankReport:
    """Book what a camt.054 file reports; the whole file or, if it cannot be read, nothing.

    Raises:
        InvalidCamtError: It cannot be read.
    """
    movements = read_camt(content)
    payers = store.payers(uow)
    lock_accounts(uow, _accounts_of(uow, movements, payers))
    return BankReport(movements=tuple(_take(uow, each, payers, now) for each in movements))


def _accounts_of(
    uow: UnitOfWork,
    movements: Iterable[Movement],
    payers: Sequence[Payer],
) -> set[AccountId]:
    """Return all accounts that a file may move: locked at once, so that nobody waits crosswise."""
    people: set[ParticipantId] = set()
    for each in movements:
        if each.is_credit and (match := match_payer(each, payers)).participant_id:
            people.add(match.participant_id)
        payout = payout_with(uow, each.end_to_end_id) if each.end_to_end_id else None
        people |= {payment.participant_id for payment in (payout.payments if payout else ())}
    codes = (Code.EARNED, Code.VAT_OUT, Code.IN_TRANSIT)
    return {
        id_
        for book, _ in BOOK_UNITS
        for id_ in (
            bank_account(book),
            *(account_id(book, code, who) for code in codes for who in people),
            *(wallet_id for who in people for wallet_id in Wallet(book, who).accounts),
        )
    }


def unresolved(uow: UnitOfWork) -> BankReport:
    """Return the movements that somebody must look at."""
    return BankReport(
        movements=tuple(each for each in store.latest(uow) if each.outcome not in BOOKED)
    )


def _take(
    uow: UnitOfWork,
    movement: Movement,
    payers: Sequence[Payer],
    now: datetime,
) -> BankMovement:
    before = store.last_outcome(uow, movement.reference, is_credit=movement.is_credit)
    if before in BOOKED:
        return _told(movement, BankOutcome.DUPLICATE, None)
    outcome, who = _outcome(uow, movement, payers, now)
    told = _told(movement, outcome, who)
    if outcome is not before:
        store.add_movement(uow, told, now=now)
    return told


def _told(
    movement: Movement, outcome: BankOutcome, participant_id: ParticipantId | None
) -> BankMovement:
    return BankMovement(
        reference=movement.reference,
        is_credit=movement.is_credit,
        amount=f"{movement.amount} {movement.currency}",
        end_to_end_id=movement.end_to_end_id,
        remittance=movement.remittance,
        outcome=outcome,
        participant_id=participant_id,
    )


def _outcome(
    uow: UnitOfWork,
    movement: Movement,
    payers: Sequence[Payer],
    now: datetime,
) -> tuple[BankOutcome, ParticipantId | None]:
    if not movement.is_booked:
        return BankOutcome.PENDING, None
    payout = payout_with(uow, movement.end_to_end_id) if movement.end_to_end_id else None
    if payout is None:
        if movement.is_credit:
            return _deposit(uow, movement, payers, now)
        return BankOutcome.UNKNOWN, None
    (payment,) = (p for p in payout.payments if p.end_to_end_id == movement.end_to_end_id)
    status = payment_states(uow, payout)[payment.end_to_end_id]
    expected = PaymentStatus.PAID if movement.is_credit else PaymentStatus.IN_TRANSIT
    if status is not expected:
        return BankOutcome.UNEXPECTED, payment.participant_id
    if movement.won != payment.amount:
        return BankOutcome.WRONG_AMOUNT, payment.participant_id
    if movement.is_credit:
        _return(uow, payment, now)
        return BankOutcome.RETURNED, payment.participant_id
    _pay(uow, payment, now)
    return BankOutcome.PAID, payment.participant_id


def _open(uow: UnitOfWork, payment: Payment, now: datetime) -> Books:
    codes = (Code.EARNED, Code.VAT_OUT, Code.IN_TRANSIT)
    accounts = [
        id_
        for book, _ in BOOK_UNITS
        for id_ in (
            bank_account(book),
            *(account_id(book, code, payment.participant_id) for code in codes),
        )
    ]
    return Books.open(uow, accounts, now=now)


def _pay(uow: UnitOfWork, payment: Payment, now: datetime) -> None:
    books = _open(uow, payment, now)
    for book, units in BOOK_UNITS:
        amount, id_ = payment.amount * units, payment.end_to_end_id
        books.post(paid_entry(book, payment.participant_id, amount, payment_id=id_, now=now))
    books.save()


def _return(uow: UnitOfWork, payment: Payment, now: datetime) -> None:
    """Undo both entries of a payment: its money is at the bank and owed to the payee again."""
    books = _open(uow, payment, now)
    for book, _ in BOOK_UNITS:
        for kind in (Kind.PAID, Kind.PAYOUT):
            entry = find_entry(uow, entry_id(book, kind, payment.end_to_end_id))
            assert entry is not None, "a paid payment has both entries"
            id_ = reversal_id(book, kind, payment.end_to_end_id)
            books.post(reverse(entry, id_=id_, occurred_at=now, memo=RETURN_REASON))
    books.save()


def _deposit(
    uow: UnitOfWork,
    movement: Movement,
    payers: Sequence[Payer],
    now: datetime,
) -> tuple[BankOutcome, ParticipantId | None]:
    """Book a credit for the participant that it certainly is of; else only suggest one."""
    match = match_payer(movement, payers)
    who = match.participant_id
    if who is None or not match.is_certain:
        return BankOutcome.UNKNOWN, who
    if movement.won is None or movement.won > DEPOSIT_MAX:
        return BankOutcome.WRONG_AMOUNT, who
    request = DepositRequest(
        deposit_id=movement.reference, participant_id=who, amount_won=movement.won
    )
    try:
        book_deposit(uow, request, now=now)
    except EntryConflictError:
        return BankOutcome.CONFLICT, who
    return BankOutcome.DEPOSITED, who
