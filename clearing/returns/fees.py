"""Which account bears the fee of a payment that came back, and who was said to bear it."""

from __future__ import annotations

from clearing.ledger.entries import entry_id, fee_borne_id
from clearing.ledger.model import OPERATOR, AccountId, Book, Code, Kind, account_id
from clearing.ledger.store import find_entry
from clearing.returns import store
from databank.kit.db import UnitOfWork
from schemas.ids import ParticipantId
from schemas.payout import FeeBearer, PaymentReturn


def bearing_account(book: Book, bearer: FeeBearer, payee: ParticipantId) -> AccountId:
    """Return the account that a fee is taken from."""
    if bearer is FeeBearer.PAYEE:
        return account_id(book, Code.EARNED, payee)
    return account_id(book, Code.FEE_INCOME, OPERATOR)


def bearer_of(uow: UnitOfWork, end_to_end_id: str) -> FeeBearer | None:
    """Return who bears the fee of a payment, as the ledger has it; None while it is open."""
    kept = entry_id(Book.CASH, Kind.RETURN_FEE, end_to_end_id)
    entry = find_entry(uow, fee_borne_id(Book.CASH, kept))
    if entry is None:
        return None
    is_operator = entry.legs[0].account_id == account_id(Book.CASH, Code.FEE_INCOME, OPERATOR)
    return FeeBearer.OPERATOR if is_operator else FeeBearer.PAYEE


def return_view(uow: UnitOfWork, made: store.Return) -> PaymentReturn:
    """Return how a payment came back, with what was said of its fee."""
    return PaymentReturn(
        reason=made.reason,
        returned_won=made.returned_won,
        fee_won=made.fee_won,
        bearer=bearer_of(uow, made.end_to_end_id) if made.fee_won else None,
        said={said.officer: said.bearer for said in made.said},
    )
