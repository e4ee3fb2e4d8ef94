"""What disputes book: contested earnings kept back, refunds, and what payees then owe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from clearing.disputes import store
from clearing.disputes.entries import (
    PAYABLE,
    dispute_entry,
    keep_back,
    recoverable,
    recovering,
    refund_entry,
    set_off_entry,
    set_off_legs,
)
from clearing.disputes.model import Dispute
from clearing.disputes.refund import (
    Place,
    allot,
    credit_of,
    credited_after,
    refund_legs,
    remaining_of,
    scaled,
)
from clearing.ledger.entries import Wallet, entry_id, reversal_id
from clearing.ledger.model import (
    AccountId,
    Book,
    Code,
    Entry,
    Kind,
    Leg,
    Side,
    account_id,
    reverse,
)
from clearing.ledger.service import BOOK_UNITS, Books
from clearing.ledger.store import find_entry
from clearing.payout.store import reserved
from clearing.rating.rate import SEOUL, month_of
from databank.kit.db import UnitOfWork
from schemas.dispute import CreditPart
from schemas.ids import ParticipantId


def remaining(uow: UnitOfWork, dispute: Dispute) -> int:
    """Return the supply that statements say of a dispute's month and no refund took back."""
    lines = [each.line for each in store.lines_of(uow, dispute.agreement_id, dispute.period)]
    return remaining_of(lines, store.credited(uow, dispute.agreement_id))


def hold_all(uow: UnitOfWork, opened: Sequence[Dispute], *, now: datetime) -> None:
    """Keep back what these new disputes are about, as far as it was not paid out.

    Whatever was paid out before, or approved to be, cannot be kept: a refund then makes its payee
    owe it.
    """
    wanted: list[tuple[Dispute, list[Leg]]] = []
    taken: dict[tuple[str, str], dict[Place, int]] = {}
    for dispute in opened:
        key = dispute.agreement_id, dispute.period
        if key not in taken:
            taken[key] = _contested(uow, dispute)
        lines = store.lines_of(uow, *key)
        parts = allot([each.line for each in lines], taken[key], dispute.claimed_won)
        taken[key] = credited_after(taken[key], parts)
        wanted.append((dispute, [leg for _, legs in _legs_of(uow, dispute, parts) for leg in legs]))
    books = _open(uow, (leg.account_id for _, legs in wanted for leg in legs), now=now)
    approved = reserved(uow)
    for dispute, legs in wanted:
        kept = keep_back(legs, _there(books, legs, approved))
        if kept:
            for book, units in BOOK_UNITS:
                entry = dispute_entry(
                    book,
                    scaled(kept, book, units),
                    dispute_id=dispute.id,
                    agreement_id=dispute.agreement_id,
                    now=now,
                )
                books.post(entry)
    books.save()


def _there(
    books: Books, legs: Iterable[Leg], approved: Mapping[AccountId, int]
) -> dict[AccountId, int]:
    """Return what is in the accounts of legs, less what an officer has approved to be paid out."""
    return {
        (id_ := leg.account_id): books.account(id_).credit_balance - approved.get(id_, 0)
        for leg in legs
    }


def _contested(uow: UnitOfWork, dispute: Dispute) -> dict[Place, int]:
    """Return what was credited, and what other running disputes are about already."""
    taken = store.credited(uow, dispute.agreement_id)
    lines = [e.line for e in store.lines_of(uow, dispute.agreement_id, dispute.period)]
    for other in store.disputes_about(uow, dispute.agreement_id, dispute.period):
        if other.is_running:
            taken = credited_after(taken, allot(lines, taken, other.claimed_won))
    return taken


def held_won(uow: UnitOfWork, dispute: Dispute) -> int:
    """Return what is kept back for a running dispute, in won."""
    entry = (
        find_entry(uow, entry_id(Book.CASH, Kind.DISPUTE, dispute.id))
        if dispute.is_running
        else None
    )
    legs = () if entry is None else entry.legs
    return sum(leg.amount for leg in legs if leg.side is Side.CREDIT)


def end(uow: UnitOfWork, dispute: Dispute, refund: int, *, now: datetime) -> tuple[CreditPart, ...]:
    """Give back what was kept, then refund as much supply as this; return its parts.

    Both happen in one transaction: what was kept is there for the refund, and what is not
    refunded may be paid out again.
    """
    lines = store.lines_of(uow, dispute.agreement_id, dispute.period)
    credited = store.credited(uow, dispute.agreement_id)
    parts = allot([each.line for each in lines], credited, refund)
    refunds = _legs_of(uow, dispute, parts)
    holds = [
        found
        for book, _ in BOOK_UNITS
        if (found := find_entry(uow, entry_id(book, Kind.DISPUTE, dispute.id))) is not None
    ]
    touched = [leg for hold in holds for leg in hold.legs]
    touched += [leg for _, legs in refunds for leg in legs]
    wallets = [Wallet(book, dispute.consumer_id) for book, _ in BOOK_UNITS]
    ids = {leg.account_id for leg in touched} | {id_ for w in wallets for id_ in w.accounts}
    books = _open(uow, ids, now=now)
    for hold in holds:
        id_ = reversal_id(hold.book, hold.id)
        books.post(reverse(hold, id_=id_, occurred_at=now, memo=dispute.id))
    approved = reserved(uow)
    for part, legs in refunds:
        there = _there(books, legs, approved)
        _refund(books, dispute, part, recovering(legs, there), now)
    for wallet in wallets:
        books.settle(wallet)
    books.save()
    store.add_credits(uow, _credits(dispute, lines, parts, now))
    return tuple(parts)


def _refund(
    books: Books, dispute: Dispute, part: CreditPart, split: tuple[Leg, ...], now: datetime
) -> None:
    for book, units in BOOK_UNITS:
        entry = refund_entry(
            book,
            scaled(split, book, units),
            cause=(dispute.id, part.period, part.line),
            agreement_id=dispute.agreement_id,
            counterparty=dispute.provider_id,
            now=now,
        )
        if entry.legs:
            books.post(entry)


def _legs_of(
    uow: UnitOfWork, dispute: Dispute, parts: Iterable[CreditPart]
) -> list[tuple[CreditPart, list[Leg]]]:
    """Return the cash legs of each part, from the entry that booked its line."""
    lines = {e.line.number: e for e in store.lines_of(uow, dispute.agreement_id, dispute.period)}
    found = []
    for part in parts:
        booked = lines[part.line]
        entry: Entry | None = find_entry(uow, booked.entry_id)
        legs = () if entry is None else entry.legs
        stated, provider = booked.line.amounts, dispute.provider_id
        found.append((part, refund_legs(legs, part, stated, provider=provider)))
    return found


def _credits(
    dispute: Dispute, lines: Sequence[store.Booked], parts: Iterable[CreditPart], now: datetime
) -> Iterable[store.Credit]:
    by_number = {each.line.number: each for each in lines}
    for part in parts:
        booked = by_number[part.line]
        yield store.Credit(
            dispute_id=dispute.id,
            agreement_id=dispute.agreement_id,
            part=part,
            amounts=credit_of(booked.line.amounts, part),
            entry_id=booked.entry_id,
            issue_period=month_of(now),
            decided_on=now.astimezone(SEOUL).date(),
        )


def _open(uow: UnitOfWork, cash: Iterable[AccountId], *, now: datetime) -> Books:
    """Open these accounts in both books, with what stands beside them in disputes."""
    names = {id_.split(":", 1)[1] for id_ in cash}
    ids = [AccountId(f"{book}:{name}") for name in names for book, _ in BOOK_UNITS]
    beside = []
    for id_ in ids:
        book, code, owner = id_.split(":", 2)
        if code in PAYABLE:
            beside += [recoverable(id_), account_id(Book(book), Code.DISPUTE_HOLD, owner)]
    return Books.open(uow, [*ids, *beside], now=now)


def set_off(uow: UnitOfWork, *, now: datetime) -> list[tuple[ParticipantId, int]]:
    """Let earnings pay what their owners must give back, in both books; return who paid what."""
    owing = store.owners_owing(uow)
    ids = [account_id(Book.CASH, code, owner) for owner in owing for code in PAYABLE]
    books = _open(uow, ids, now=now)
    approved, paid = reserved(uow), []
    for owner in owing:
        owed = books.account(account_id(Book.CASH, Code.RECOVERABLE, owner))
        accounts = [books.account(account_id(Book.CASH, code, owner)) for code in PAYABLE]
        payable = [(a.id, a.credit_balance - approved.get(a.id, 0)) for a in accounts]
        if not (legs := set_off_legs(owed, payable)):
            continue
        for book, units in BOOK_UNITS:
            entry = set_off_entry(
                book, scaled(legs, book, units), owner, so_far=owed.credits_posted, now=now
            )
            books.post(entry)
        paid.append((owner, legs[-1].amount))
    books.save()
    return paid
