"""The entries of disputes: keep back, refund, set off. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from clearing.ledger.entries import entry_id
from clearing.ledger.model import (
    OPERATOR,
    Account,
    AccountId,
    Book,
    Code,
    Entry,
    Kind,
    Leg,
    Side,
    account_id,
)
from schemas.ids import AgreementId, ParticipantId

PAYABLE: Final = (Code.EARNED, Code.VAT_OUT)  # what payouts pay from, in this order


def payable_account(leg: Leg) -> str | None:
    """Return the participant whose payable money a leg takes, if it takes any."""
    _, code, owner = leg.account_id.split(":", 2)
    is_taking = leg.side is Side.DEBIT and code in PAYABLE and owner != OPERATOR
    return owner if is_taking else None


def keep_back(legs: Iterable[Leg], balances: Mapping[AccountId, int]) -> tuple[Leg, ...]:
    """Return the legs of a hold: what a refund with ``legs`` would take, as far as it is there."""
    kept: dict[AccountId, int] = {}
    for leg in legs:
        if payable_account(leg) is not None:
            there = max(0, balances[leg.account_id] - kept.get(leg.account_id, 0))
            kept[leg.account_id] = kept.get(leg.account_id, 0) + min(leg.amount, there)
    taken = [Leg(id_, Side.DEBIT, amount) for id_, amount in sorted(kept.items()) if amount]
    held: dict[AccountId, int] = {}
    for leg in taken:
        book, _, owner = leg.account_id.split(":", 2)
        id_ = account_id(Book(book), Code.DISPUTE_HOLD, owner)
        held[id_] = held.get(id_, 0) + leg.amount
    return (*taken, *(Leg(id_, Side.CREDIT, amount) for id_, amount in sorted(held.items())))


def recovering(legs: Iterable[Leg], balances: Mapping[AccountId, int]) -> tuple[Leg, ...]:
    """Let payees owe what a refund takes of them beyond what is still there."""
    found: list[Leg] = []
    for leg in legs:
        owner = payable_account(leg)
        if owner is None:
            found.append(leg)
            continue
        there = min(leg.amount, max(0, balances[leg.account_id]))
        if there:
            found.append(Leg(leg.account_id, Side.DEBIT, there))
        if gone := leg.amount - there:
            found.append(Leg(recoverable(leg.account_id), Side.DEBIT, gone))
    return tuple(found)


def recoverable(id_: AccountId) -> AccountId:
    """Return the account of what the owner of another account must give back."""
    book, _, owner = id_.split(":", 2)
    return account_id(Book(book), Code.RECOVERABLE, owner)


def dispute_entry(
    book: Book, legs: tuple[Leg, ...], *, dispute_id: str, agreement_id: AgreementId, now: datetime
) -> Entry:
    """분쟁 보류: contested earnings leave what may be paid out."""
    return Entry(
        id=entry_id(book, Kind.DISPUTE, dispute_id),
        book=book,
        kind=Kind.DISPUTE,
        legs=legs,
        occurred_at=now,
        agreement_id=agreement_id,
        counterparty=OPERATOR,
        memo=dispute_id,
    )


def refund_entry(
    book: Book,
    legs: tuple[Leg, ...],
    *,
    cause: tuple[object, ...],
    agreement_id: AgreementId,
    counterparty: ParticipantId,
    now: datetime,
) -> Entry:
    """환불: a part of a sale is taken back. ``cause`` begins with the dispute's id."""
    return Entry(
        id=entry_id(book, Kind.REFUND, *cause),
        book=book,
        kind=Kind.REFUND,
        legs=legs,
        occurred_at=now,
        agreement_id=agreement_id,
        counterparty=counterparty,
        memo=str(cause[0]),
    )


def set_off_legs(owed: Account, payable: Iterable[tuple[AccountId, int]]) -> tuple[Leg, ...]:
    """Return the legs with which earnings pay what their owner must give back, if any can.

    ``payable`` tells accounts and what may be taken from each.
    """
    left = -owed.credit_balance
    legs: list[Leg] = []
    for id_, there in payable:
        part = min(left, max(0, there))
        if part > 0:
            legs.append(Leg(id_, Side.DEBIT, part))
            left -= part
    paid = sum(leg.amount for leg in legs)
    return (*legs, Leg(owed.id, Side.CREDIT, paid)) if paid else ()


def set_off_entry(
    book: Book, legs: tuple[Leg, ...], owner_id: ParticipantId, *, so_far: int, now: datetime
) -> Entry:
    """상계: earnings pay what was refunded after it was paid out; ``so_far`` was before."""
    return Entry(
        id=entry_id(book, Kind.SET_OFF, owner_id, so_far),
        book=book,
        kind=Kind.SET_OFF,
        legs=legs,
        occurred_at=now,
        counterparty=OPERATOR,
    )
