"""Booking payments that came back, and letting two officers say who bears a fee.

What came back is owed to its payee again, whole: both entries of the payment are reversed. What
the bank did not give back leaves the bank's account against ``return_fee`` of the payee, and as
much of its income waits until two officers have said who bears it: the payee, out of its earnings,
or the operator, who writes it off against its income from fees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

from clearing.ledger.entries import (
    bank_account,
    entry_id,
    fee_borne_entry,
    return_fee_entry,
    reversal_id,
)
from clearing.ledger.model import AccountId, Code, Entry, Kind, account_id, reverse
from clearing.ledger.service import BOOK_UNITS, Books
from clearing.ledger.store import find_entry
from clearing.payout.model import Payment
from clearing.payout.service import ApprovalRefusedError, PayoutStateError, officer_key, one_payout
from clearing.payout.store import Payout, payout_with
from clearing.returns import store
from clearing.returns.fees import bearer_of, bearing_account
from databank.kit.db import UnitOfWork
from schemas.payout import (
    APPROVALS_NEEDED,
    FeeBearer,
    FeeDecision,
    PayoutView,
    verify_fee_decision,
)
from schemas.problem import NotFoundError
from schemas.signature import BadSignatureError

RETURNED: Final = "반송 (returned by the bank)"
REJECTED: Final = "지급 거절 (rejected by the bank)"


def book_return(
    uow: UnitOfWork, payment: Payment, *, returned_won: int, reason: str, now: datetime
) -> None:
    """Owe a paid payment again; what did not come back of it is a fee that nobody bears yet."""
    fee = payment.amount - returned_won
    books = _open(uow, payment, now)
    entries = _booked(uow, payment, Kind.PAID, Kind.PAYOUT)
    _undo(books, entries, f"{RETURNED} {reason}".rstrip(), now)
    for book, units in BOOK_UNITS if fee else ():
        id_ = payment.end_to_end_id
        entry = return_fee_entry(book, payment.participant_id, fee * units, payment_id=id_, now=now)
        books.post(entry)
    books.save()
    store.add_return(uow, store.Return(payment.end_to_end_id, reason, returned_won, fee), now=now)


def book_rejection(uow: UnitOfWork, payment: Payment, *, reason: str, now: datetime) -> None:
    """Owe a payment again that never left the bank."""
    books = _open(uow, payment, now)
    _undo(books, _booked(uow, payment, Kind.PAYOUT), f"{REJECTED} {reason}".rstrip(), now)
    books.save()
    made = store.Return(payment.end_to_end_id, reason, payment.amount, 0)
    store.add_return(uow, made, now=now)


def _open(uow: UnitOfWork, payment: Payment, now: datetime) -> Books:
    codes = (Code.EARNED, Code.VAT_OUT, Code.IN_TRANSIT, Code.RETURN_FEE)
    accounts: list[AccountId] = []
    for book, _ in BOOK_UNITS:
        accounts += [bank_account(book)]
        accounts += [account_id(book, code, payment.participant_id) for code in codes]
    return Books.open(uow, accounts, now=now)


def _booked(uow: UnitOfWork, payment: Payment, *kinds: Kind) -> list[Entry]:
    """Return a payment's entries of these kinds in both books, which its state says are there."""
    ids = [entry_id(book, kind, payment.end_to_end_id) for book, _ in BOOK_UNITS for kind in kinds]
    return [entry for id_ in ids if (entry := find_entry(uow, id_)) is not None]


def _undo(books: Books, entries: Iterable[Entry], memo: str, now: datetime) -> None:
    for entry in entries:
        id_ = reversal_id(entry.book, entry.id)
        books.post(reverse(entry, id_=id_, occurred_at=now, memo=memo))


def decide(
    uow: UnitOfWork,
    end_to_end_id: str,
    told: FeeDecision,
    officers: Mapping[str, str],
    *,
    now: datetime,
) -> PayoutView:
    """Count an officer's word on a fee; two officers who say the same decide it.

    An officer may say something else while nothing is decided; saying the same again changes
    nothing.

    Args:
        uow: The transaction.
        end_to_end_id: Which payment.
        told: Who speaks, and the signed word.
        officers: Name and Ed25519 public key (JWK ``x``) of everybody who may.
        now: The time.

    Raises:
        NotFoundError: There is no such payment.
        ApprovalRefusedError: Not an officer, not its key, or about another fee.
        PayoutStateError: The payment did not come back less a fee, or the fee is decided.
    """
    payout, payment = _found(uow, end_to_end_id)
    books = _open_bearers(uow, payment, now)
    made = store.returns(uow, [end_to_end_id]).get(end_to_end_id)
    if made is None or not made.fee_won:
        raise PayoutStateError(
            ko=f"지급 {end_to_end_id}은(는) 수수료를 떼고 반송된 지급이 아닙니다. "
            "databank operator payout show로 확인하세요.",
            en=f"Payment {end_to_end_id} did not come back less a fee. See databank operator "
            "payout show.",
        )
    _verify(made, store.Said(told.officer, told.bearer, told.approval), officers)
    if _words(made).get(told.officer) is told.bearer:
        return one_payout(uow, payout.id)
    if bearer_of(uow, end_to_end_id) is not None:
        raise PayoutStateError(
            ko=f"지급 {end_to_end_id}의 반송 수수료는 이미 두 사람이 정했습니다.",
            en=f"Two officers have decided on the fee of payment {end_to_end_id}.",
        )
    said = store.Said(told.officer, told.bearer, told.approval)
    made = store.add_said(uow, made, said, now=now)
    if _is_decided(made, told.bearer, officers):
        for book, _ in BOOK_UNITS:
            kept = find_entry(uow, entry_id(book, Kind.RETURN_FEE, end_to_end_id))
            assert kept is not None, "it was booked with the return"
            account = bearing_account(book, told.bearer, payment.participant_id)
            books.post(fee_borne_entry(kept, account, memo=end_to_end_id, now=now))
        books.save()
    return one_payout(uow, payout.id)


def _found(uow: UnitOfWork, end_to_end_id: str) -> tuple[Payout, Payment]:
    payout = payout_with(uow, end_to_end_id)
    for payment in payout.payments if payout else ():
        if payout is not None and payment.end_to_end_id == end_to_end_id:
            return payout, payment
    raise NotFoundError(
        ko=f"지급 {end_to_end_id}이(가) 없습니다. databank operator payout show로 확인하세요.",
        en=f"There is no payment {end_to_end_id}. See databank operator payout show.",
    )


def _open_bearers(uow: UnitOfWork, payment: Payment, now: datetime) -> Books:
    who = payment.participant_id
    accounts = [
        id_
        for book, _ in BOOK_UNITS
        for id_ in (
            account_id(book, Code.RETURN_FEE, who),
            *(bearing_account(book, bearer, who) for bearer in FeeBearer),
        )
    ]
    return Books.open(uow, accounts, now=now)


def _verify(made: store.Return, said: store.Said, officers: Mapping[str, str]) -> None:
    try:
        meant = verify_fee_decision(said.approval, officer_key(said.officer, officers))
    except BadSignatureError as error:
        raise ApprovalRefusedError(
            ko=f"{said.officer}의 열쇠로 서명한 말이 아닙니다: {error}",
            en=f"Not signed by {said.officer}'s key: {error}",
        ) from None
    if meant != (made.end_to_end_id, made.fee_won, said.bearer):
        raise ApprovalRefusedError(
            ko=f"다른 지급이나 금액에 대한 서명입니다. 지급 {made.end_to_end_id}의 반송 수수료는 "
            f"{made.fee_won:,}원입니다.",
            en=f"This is about another payment or amount. The fee of {made.end_to_end_id} is "
            f"{made.fee_won:,} won.",
        )


def _words(made: store.Return) -> dict[str, FeeBearer]:
    """Return the last word of each officer."""
    return {said.officer: said.bearer for said in made.said}


def _is_decided(made: store.Return, bearer: FeeBearer, officers: Mapping[str, str]) -> bool:
    """Whether enough officers say so last; each signature is checked again by the present key."""
    keys: set[str] = set()
    for said in {each.officer: each for each in made.said}.values():
        if said.bearer is not bearer:
            continue
        with suppress(ApprovalRefusedError):
            _verify(made, said, officers)
            keys.add(officers[said.officer])
    return len(keys) >= APPROVALS_NEEDED
