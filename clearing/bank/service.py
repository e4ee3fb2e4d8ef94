"""Matching what the bank reports with payments and participants; nothing is lost or doubled.

Every movement ends in an outcome that is kept. One that was booked is a duplicate ever after; one
that could not be is tried again whenever the bank's file comes again, and waits in a list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from lxml import etree

from clearing.bank import store
from clearing.bank.camt import Movement, read_camt, read_root
from clearing.bank.model import Payer, match_payer
from clearing.bank.pain002 import read_pain002
from clearing.ledger.entries import Wallet, bank_account, entry_id, paid_entry
from clearing.ledger.model import AccountId, Book, Code, Kind, account_id
from clearing.ledger.service import BOOK_UNITS, Books, EntryConflictError, book_deposit
from clearing.ledger.store import find_entry, lock_accounts
from clearing.payout.model import Payment
from clearing.payout.service import payment_states
from clearing.payout.store import Payout, payout_with, payouts
from clearing.returns.service import book_rejection, book_return
from databank.kit.db import UnitOfWork
from schemas.bank import DepositRequest
from schemas.ids import ParticipantId
from schemas.payout import BankMovement, BankOutcome, BankReport, PaymentStatus

BOOKED: Final = frozenset(
    {BankOutcome.PAID, BankOutcome.RETURNED, BankOutcome.REJECTED, BankOutcome.DEPOSITED}
)
DEPOSIT_MAX: Final = 10**12  # won, as DepositRequest has it


class _Payments:
    """Payments by their EndToEndId; each payout is loaded once for a file."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._uow = uow
        self._found: dict[str, tuple[Payout, Payment] | None] = {}

    def find(self, end_to_end_id: str | None) -> tuple[Payout, Payment] | None:
        """Return the payment and the payout that it is in, if it is one of ours."""
        if end_to_end_id is None:
            return None
        if end_to_end_id not in self._found:
            payout = payout_with(self._uow, end_to_end_id)
            self._found[end_to_end_id] = None
            for payment in payout.payments if payout else ():
                assert payout is not None
                self._found[payment.end_to_end_id] = payout, payment
        return self._found[end_to_end_id]

    def of_payout(self, payout_id: str) -> list[str]:
        """Return the EndToEndIds of a payout's payments, none if it is not ours."""
        return [p.end_to_end_id for each in payouts(self._uow, payout_id) for p in each.payments]


@dataclass(frozen=True, slots=True)
class _Import:
    """What one file is read with."""

    uow: UnitOfWork
    payers: Sequence[Payer]
    payments: _Payments
    now: datetime


def take_report(uow: UnitOfWork, content: bytes, *, now: datetime) -> BankReport:
    """Book what a camt.054 or pain.002 file reports; all of it or, if it cannot be read, nothing.

    Raises:
        InvalidCamtError: It cannot be read.
    """
    root = read_root(content)
    taking = _Import(uow, store.payers(uow), _Payments(uow), now)
    if "pain.002" in (etree.QName(root).namespace or ""):
        movements = read_pain002(root, taking.payments.of_payout)
    else:
        movements = read_camt(root)
    lock_accounts(uow, _accounts_of(taking, movements))
    told: dict[int, BankMovement] = {}
    for is_credit in (False, True):  # what goes out first: it may come back in the same file
        for place, each in enumerate(movements):
            if each.is_credit is is_credit:
                told[place] = _take(taking, each)
    return BankReport(movements=tuple(told[place] for place in range(len(movements))))


def _accounts_of(taking: _Import, movements: Iterable[Movement]) -> set[AccountId]:
    """Return all accounts that a file may move: locked at once, so that nobody waits crosswise."""
    people: set[ParticipantId] = set()
    for each in movements:
        if found := taking.payments.find(each.end_to_end_id):
            people.add(found[1].participant_id)
        elif each.is_credit and (who := match_payer(each, taking.payers).participant_id):
            people.add(who)
    codes = (Code.EARNED, Code.VAT_OUT, Code.IN_TRANSIT, Code.RETURN_FEE)
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


def _take(taking: _Import, movement: Movement) -> BankMovement:
    uow, is_credit = taking.uow, movement.is_credit
    if is_credit and not movement.is_notified and not taking.payments.find(movement.end_to_end_id):
        return _told(movement, BankOutcome.NOT_TAKEN, None)
    before = store.last_movement(uow, movement.reference, is_credit=is_credit)
    if before and before.outcome is not BankOutcome.PENDING and not _is_same(before, movement):
        return _conflict(taking, before, movement)
    if before and before.outcome in BOOKED:
        return _told(movement, BankOutcome.DUPLICATE, None)
    told = _told(movement, *_outcome(taking, movement))
    if before is None or told.outcome is not before.outcome:
        store.add_movement(uow, told, now=taking.now)
    return told


def _is_same(before: BankMovement, movement: Movement) -> bool:
    """Whether a movement says what was kept under its reference; 10450 is 10450.00."""
    told = _told(movement, before.outcome, None)
    return (_sum(told.amount), told.end_to_end_id, told.remittance) == (
        _sum(before.amount),
        before.end_to_end_id,
        before.remittance,
    )


def _sum(amount: str) -> tuple[Decimal | str, str]:
    number, _, currency = amount.partition(" ")
    try:
        return Decimal(number), currency
    except InvalidOperation:
        return number, currency


def _conflict(taking: _Import, before: BankMovement, movement: Movement) -> BankMovement:
    """Keep a movement beside the other one of its reference, under a reference of its own."""
    told = _told(movement, BankOutcome.CONFLICT, before.participant_id)
    said = repr((_sum(told.amount), told.end_to_end_id, told.remittance)).encode()
    reference = f"{told.reference}#{hashlib.sha256(said).hexdigest()[:12]}"
    told = told.model_copy(update={"reference": reference})
    if store.last_movement(taking.uow, reference, is_credit=told.is_credit) is None:
        store.add_movement(taking.uow, told, now=taking.now)
    return told


def _told(
    movement: Movement, outcome: BankOutcome, participant_id: ParticipantId | None
) -> BankMovement:
    return BankMovement(
        reference=movement.reference,
        is_credit=movement.is_credit,
        amount=f"{movement.amount} {movement.currency}".strip(),
        end_to_end_id=movement.end_to_end_id,
        remittance=movement.remittance,
        outcome=outcome,
        participant_id=participant_id,
    )


def _outcome(taking: _Import, movement: Movement) -> tuple[BankOutcome, ParticipantId | None]:
    uow, now = taking.uow, taking.now
    if not movement.is_booked:
        return BankOutcome.PENDING, None
    found = taking.payments.find(movement.end_to_end_id)
    if found is None:
        return _deposit(taking, movement) if movement.is_credit else (BankOutcome.UNKNOWN, None)
    payout, payment = found
    status = payment_states(uow, payout, [payment])[payment.end_to_end_id]
    expected = PaymentStatus.PAID if movement.is_credit else PaymentStatus.IN_TRANSIT
    if status is not expected:
        is_known = movement.is_status and status is PaymentStatus.REJECTED  # in another report
        outcome = BankOutcome.REJECTED if is_known else BankOutcome.UNEXPECTED
        return outcome, payment.participant_id
    if movement.is_status:
        book_rejection(uow, payment, reason=movement.reason, now=now)
        return BankOutcome.REJECTED, payment.participant_id
    if movement.won is None or not _is_amount_of(movement, movement.won, payment):
        return BankOutcome.WRONG_AMOUNT, payment.participant_id
    if movement.is_credit:
        won, reason = movement.won, movement.reason
        book_return(uow, payment, returned_won=won, reason=reason, now=now)
        return BankOutcome.RETURNED, payment.participant_id
    _pay(uow, payment, now)
    return BankOutcome.PAID, payment.participant_id


def _is_amount_of(movement: Movement, won: int, payment: Payment) -> bool:
    """Whether a movement is all of a payment, or what came back of it less what the bank kept.

    Less may come back only where the bank says that it is a return, and, if it says what it kept,
    just that is missing.
    """
    fee = payment.amount - won
    if fee == 0:
        return True
    is_less = movement.is_credit and movement.is_return and fee > 0
    return is_less and movement.charges in (None, fee)


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


def _deposit(taking: _Import, movement: Movement) -> tuple[BankOutcome, ParticipantId | None]:
    """Book a credit for the participant that it certainly is of; else only suggest one."""
    if who := _booked_by_hand(taking.uow, movement):
        return BankOutcome.DEPOSITED, who
    match = match_payer(movement, taking.payers)
    who = match.participant_id
    if who is None or not match.is_certain or _may_be_booked(taking.uow, movement):
        return BankOutcome.UNKNOWN, who
    if movement.won is None or movement.won > DEPOSIT_MAX:
        return BankOutcome.WRONG_AMOUNT, who
    request = DepositRequest(
        deposit_id=movement.reference, participant_id=who, amount_won=movement.won
    )
    try:
        book_deposit(taking.uow, request, now=taking.now)
    except EntryConflictError:
        return BankOutcome.CONFLICT, who
    return BankOutcome.DEPOSITED, who


def _booked_by_hand(uow: UnitOfWork, movement: Movement) -> ParticipantId | None:
    """Return whose deposit somebody made of a credit, by its reference and amount."""
    entry = find_entry(uow, entry_id(Book.CASH, Kind.DEPOSIT, movement.reference))
    if entry is None or entry.legs[0].amount != movement.won:
        return None
    return ParticipantId(entry.legs[1].account_id.split(":", 2)[2])


def _may_be_booked(uow: UnitOfWork, movement: Movement) -> bool:
    """Whether a credit without a reference may be one that another report had."""
    scope = movement.reference.rpartition("-")[0]
    return movement.likeness is not None and store.has_deposit_like(
        uow, movement.likeness, besides=scope
    )
