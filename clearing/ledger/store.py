"""Rows of the books. Entries and postings are only ever added: triggers refuse the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    UniqueConstraint,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel, col

from clearing.ledger.model import (
    Account,
    AccountId,
    Book,
    Code,
    Entry,
    EntryId,
    Hold,
    HoldId,
    HoldStatus,
    Kind,
    Leg,
    Movement,
    Phase,
    Side,
    open_account,
)
from databank.kit.db import SERIAL, InsertNew, UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.ids import AgreementId


class AccountRow(SQLModel, table=True):
    """An account and its four counters."""

    __tablename__ = "clearing_account"
    __table_args__ = (
        CheckConstraint(
            "debits_posted >= 0 AND credits_posted >= 0"
            " AND debits_pending >= 0 AND credits_pending >= 0",
            name="clearing_account_counters",
        ),
        CheckConstraint(
            "NOT is_prepaid OR credits_posted - debits_posted - debits_pending >= 0",
            name="clearing_account_prepaid",
        ),
    )
    id: str = Field(primary_key=True)
    book: str
    code: str
    owner_id: str = Field(index=True)
    is_prepaid: bool
    debits_posted: int = Field(sa_column=Column(BigInteger, nullable=False))
    credits_posted: int = Field(sa_column=Column(BigInteger, nullable=False))
    debits_pending: int = Field(sa_column=Column(BigInteger, nullable=False))
    credits_pending: int = Field(sa_column=Column(BigInteger, nullable=False))


class EntryRow(SQLModel, table=True):
    """An entry without its legs."""

    __tablename__ = "clearing_entry"
    id: str = Field(primary_key=True)
    book: str
    kind: str
    agreement_id: str | None = Field(default=None, index=True)
    counterparty: str
    memo: str
    reverses: str | None = Field(default=None, unique=True, foreign_key="clearing_entry.id")
    content_sha256: str
    occurred_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class PostingRow(SQLModel, table=True):
    """One leg of an entry; ``balance_after`` is the account's posted credits less debits."""

    __tablename__ = "clearing_posting"
    __table_args__ = (
        UniqueConstraint("entry_id", "leg", name="clearing_posting_leg"),
        CheckConstraint("amount > 0", name="clearing_posting_amount"),
    )
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    entry_id: str = Field(foreign_key="clearing_entry.id")
    leg: int
    account_id: str = Field(index=True, foreign_key="clearing_account.id")
    side: str
    phase: str
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    balance_after: int = Field(sa_column=Column(BigInteger, nullable=False))
    hold_id: str | None = None


class HoldRow(SQLModel, table=True):
    """A hold on a deposit."""

    __tablename__ = "clearing_hold"
    __table_args__ = (
        CheckConstraint("remaining >= 0 AND remaining <= amount", name="clearing_hold_remaining"),
    )
    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="clearing_account.id", index=True)
    counter_id: str = Field(foreign_key="clearing_account.id")
    agreement_id: str | None = None
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    remaining: int = Field(sa_column=Column(BigInteger, nullable=False))
    status: str = Field(index=True)
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class BookSums:
    """All accounts of a book added up."""

    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0


Span = tuple[datetime, datetime] | None  # recorded from the first on and before the second


HALF: Final = 2**32  # a book is summed in two parts, so that no sum overflows
_ACCOUNT: Final = table_of(AccountRow)
_ENTRY: Final = table_of(EntryRow)
_POSTING: Final = table_of(PostingRow)
_HOLD: Final = table_of(HoldRow)
_NEW_ACCOUNTS: Final = InsertNew(AccountRow)
_KNOWN: Final = select(_ACCOUNT.c.id).where(among(_ACCOUNT.c.id, "ids"))
_READ: Final = select(_ACCOUNT).where(among(_ACCOUNT.c.id, "ids")).order_by(_ACCOUNT.c.id)
_LOCK: Final = _READ.with_for_update()
_PENDING: Final = (
    select(_HOLD)
    .where(among(_HOLD.c.account_id, "deposits"), _HOLD.c.status == HoldStatus.PENDING.value)
    .order_by(_HOLD.c.expires_at, _HOLD.c.id)
)
_EXPIRED: Final = _PENDING.where(_HOLD.c.expires_at <= bindparam("by"))
_DIGESTS: Final = select(_ENTRY.c.id, _ENTRY.c.content_sha256).where(among(_ENTRY.c.id, "ids"))
_ADD_ENTRY: Final = insert(_ENTRY)
_ADD_POSTING: Final = insert(_POSTING)
_ADD_HOLD: Final = insert(_HOLD)
_CHANGE_ACCOUNT: Final = update(_ACCOUNT).where(_ACCOUNT.c.id == bindparam("key"))
_CHANGE_HOLD: Final = update(_HOLD).where(_HOLD.c.id == bindparam("key"))
_UNBALANCED: Final = (
    select(_POSTING.c.entry_id)
    .where(among(_POSTING.c.entry_id, "ids"))
    .group_by(_POSTING.c.entry_id, _POSTING.c.phase)
    .having(
        func.sum(
            case((_POSTING.c.side == Side.DEBIT.value, _POSTING.c.amount), else_=-_POSTING.c.amount)
        )
        != 0
    )
)


def lock_accounts(uow: UnitOfWork, ids: Iterable[AccountId]) -> dict[AccountId, Account]:
    """Return the accounts, opened where needed, locked until the transaction ends.

    Missing accounts are made before the first lock is taken, and locks are taken in the order
    of the ids, so that no two transactions ever wait for each other.
    """
    wanted = sorted(set(ids))
    known = set(uow.run(_KNOWN, ids=wanted).scalars())
    missing = [open_account(id_) for id_ in wanted if id_ not in known]
    _NEW_ACCOUNTS.run_each(uow, [_to_account(account) for account in missing])
    return {AccountId(row.id): _from_account(row) for row in uow.run(_LOCK, ids=wanted)}


def read_accounts(uow: UnitOfWork, ids: Iterable[AccountId]) -> dict[AccountId, Account]:
    """Return the accounts as they stand, empty ones for those that were never used."""
    wanted = sorted(set(ids))
    found = {AccountId(row.id): _from_account(row) for row in uow.run(_READ, ids=wanted)}
    return {id_: found.get(id_) or open_account(id_) for id_ in wanted}


def find_account(uow: UnitOfWork, id_: AccountId) -> Account:
    """Return an account as it stands; an empty one if it was never used."""
    row = uow.session.get(AccountRow, id_)
    return open_account(id_) if row is None else _from_account(row)


def pending_holds(uow: UnitOfWork, deposits: Iterable[AccountId]) -> list[Hold]:
    """Return the unresolved holds on these deposits, the first to expire first."""
    return [_from_hold(row) for row in uow.run(_PENDING, deposits=sorted(deposits))]


def expired_holds(uow: UnitOfWork, deposits: Iterable[AccountId], by: datetime) -> list[Hold]:
    """Return those of the unresolved holds that have expired by a time, the first first."""
    return [_from_hold(row) for row in uow.run(_EXPIRED, deposits=sorted(deposits), by=by)]


def find_hold(uow: UnitOfWork, hold_id: HoldId) -> Hold | None:
    """Return a hold."""
    row = uow.session.get(HoldRow, hold_id)
    return None if row is None else _from_hold(row)


def find_digests(uow: UnitOfWork, ids: Iterable[EntryId]) -> dict[EntryId, str]:
    """Return the content hashes of those entries that are stored."""
    return {EntryId(row.id): row.content_sha256 for row in uow.run(_DIGESTS, ids=sorted(ids))}


def find_entry(uow: UnitOfWork, id_: EntryId) -> Entry | None:
    """Return a stored entry."""
    row = uow.session.get(EntryRow, id_)
    if row is None:
        return None
    table = _POSTING
    legs = uow.session.execute(select(table).where(table.c.entry_id == id_).order_by(table.c.leg))
    return Entry(
        id=EntryId(row.id),
        book=Book(row.book),
        kind=Kind(row.kind),
        legs=tuple(
            Leg(
                AccountId(leg.account_id),
                Side(leg.side),
                leg.amount,
                Phase(leg.phase),
                None if leg.hold_id is None else HoldId(leg.hold_id),
            )
            for leg in legs
        ),
        occurred_at=row.occurred_at,
        agreement_id=None if row.agreement_id is None else AgreementId(row.agreement_id),
        counterparty=row.counterparty,
        memo=row.memo,
        reverses=None if row.reverses is None else EntryId(row.reverses),
    )


@dataclass(frozen=True, slots=True)
class Booking:
    """An entry with what must be stored beside it."""

    entry: Entry
    balances_after: tuple[int, ...]


def save(
    uow: UnitOfWork,
    bookings: Sequence[Booking],
    *,
    accounts: Iterable[Account],
    new_holds: Iterable[Hold],
    changed_holds: Iterable[Hold],
    recorded_at: datetime,
) -> None:
    """Append entries and write the accounts and holds that they changed."""
    uow.run_each(_ADD_ENTRY, [_to_entry(booking.entry, recorded_at) for booking in bookings])
    uow.run_each(
        _ADD_POSTING, [_to_posting(each, leg) for each in bookings for leg in _numbers(each)]
    )
    uow.run_each(_CHANGE_ACCOUNT, [{"key": a.id, **_counters(a)} for a in accounts])
    uow.run_each(_ADD_HOLD, [_to_hold(hold) for hold in new_holds])
    uow.run_each(
        _CHANGE_HOLD,
        [
            {"key": hold.id, "remaining": hold.remaining, "status": hold.status.value}
            for hold in changed_holds
        ],
    )


def unbalanced_entries(uow: UnitOfWork, ids: Iterable[EntryId]) -> list[str]:
    """Return which of these stored entries do not balance; there must be none."""
    return uow.run(_UNBALANCED, ids=sorted(ids)).scalars()


def movements(
    uow: UnitOfWork,
    account_ids: Iterable[AccountId],
    *,
    after: int,
    limit: int,
    within: Span = None,
) -> list[Movement]:
    """Return posted legs in order, after posting ``after``; of accounts locked together."""
    posting, entry = _POSTING, _ENTRY
    query = (
        select(posting, entry)
        .join(entry, entry.c.id == posting.c.entry_id)
        .where(
            posting.c.account_id.in_(list(account_ids)),
            posting.c.phase == Phase.POSTED,
            posting.c.id > after,
        )
        .order_by(posting.c.id)
        .limit(limit)
    )
    if within is not None:
        query = query.where(entry.c.recorded_at >= within[0], entry.c.recorded_at < within[1])
    return [
        Movement(
            posting_id=row.id,
            account_id=AccountId(row.account_id),
            entry_id=EntryId(row.entry_id),
            kind=Kind(row.kind),
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
            counterparty=row.counterparty,
            memo=row.memo,
            credit=row.amount if row.side == Side.CREDIT else -row.amount,
            balance_after=row.balance_after,
        )
        for row in uow.session.execute(query)
    ]


def balance_at(uow: UnitOfWork, account_id: AccountId, posting_id: int) -> int:
    """Return an account's posted credits less debits after a posting, its own or another's."""
    table = _POSTING
    query = (
        select(table.c.balance_after)
        .where(table.c.account_id == account_id, table.c.id <= posting_id)
        .where(table.c.phase == Phase.POSTED)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    return int(uow.session.execute(query).scalar_one_or_none() or 0)


@dataclass(frozen=True, slots=True)
class Share:
    """What an entry moved on somebody's account; ``credit`` is negative for a debit."""

    code: Code
    owner_id: str
    credit: int


_SHARES: Final = (
    select(_POSTING, _ACCOUNT.c.code, _ACCOUNT.c.owner_id)
    .join(_ACCOUNT, _ACCOUNT.c.id == _POSTING.c.account_id)
    .where(among(_POSTING.c.entry_id, "ids"), _POSTING.c.phase == Phase.POSTED.value)
    .order_by(_POSTING.c.entry_id, _POSTING.c.leg)
)


def shares_of(uow: UnitOfWork, ids: Iterable[EntryId]) -> dict[EntryId, list[Share]]:
    """Return what each entry moved, and on whose accounts."""
    found: dict[EntryId, list[Share]] = {}
    for row in uow.run(_SHARES, ids=sorted(set(ids))):
        credit = row.amount if row.side == Side.CREDIT else -row.amount
        share = Share(Code(row.code), row.owner_id, credit)
        found.setdefault(EntryId(row.entry_id), []).append(share)
    return found


def book_sums(uow: UnitOfWork) -> dict[Book, BookSums]:
    """Add up the accounts of each book."""
    table = _ACCOUNT
    names = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    halves = []  # two sums each: a book's sum may be more than one account can hold
    for name in names:
        halves += [func.sum(table.c[name] // HALF), func.sum(table.c[name] % HALF)]
    sums = {book: BookSums() for book in Book}
    for book, *found in uow.session.execute(select(table.c.book, *halves).group_by(table.c.book)):
        pairs = zip(found[::2], found[1::2], strict=True)
        sums[Book(book)] = BookSums(*(int(high) * HALF + int(low) for high, low in pairs))
    return sums


def count_entries(uow: UnitOfWork) -> int:
    """Return how many entries there are."""
    return int(uow.session.execute(select(func.count(col(EntryRow.id)))).scalar_one())


def _numbers(booking: Booking) -> range:
    return range(len(booking.entry.legs))


def _counters(account: Account) -> dict[str, int]:
    return {
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
        "debits_pending": account.debits_pending,
        "credits_pending": account.credits_pending,
    }


def _to_account(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "book": account.book.value,
        "code": account.code.value,
        "owner_id": account.owner_id,
        "is_prepaid": account.debits_must_not_exceed_credits,
        **_counters(account),
    }


def _from_account(row: Any) -> Account:  # noqa: ANN401 - an AccountRow or a row of its table
    return Account(
        id=AccountId(row.id),
        book=Book(row.book),
        code=Code(row.code),
        owner_id=row.owner_id,
        debits_posted=row.debits_posted,
        credits_posted=row.credits_posted,
        debits_pending=row.debits_pending,
        credits_pending=row.credits_pending,
        debits_must_not_exceed_credits=bool(row.is_prepaid),
    )


def _to_entry(entry: Entry, recorded_at: datetime) -> dict[str, Any]:
    return {
        "id": entry.id,
        "book": entry.book.value,
        "kind": entry.kind.value,
        "agreement_id": entry.agreement_id,
        "counterparty": entry.counterparty,
        "memo": entry.memo,
        "reverses": entry.reverses,
        "content_sha256": entry.content_sha256,
        "occurred_at": entry.occurred_at,
        "recorded_at": recorded_at,
    }


def _to_posting(booking: Booking, number: int) -> dict[str, Any]:
    leg = booking.entry.legs[number]
    return {
        "entry_id": booking.entry.id,
        "leg": number,
        "account_id": leg.account_id,
        "side": leg.side.value,
        "phase": leg.phase.value,
        "amount": leg.amount,
        "balance_after": booking.balances_after[number],
        "hold_id": leg.hold_id,
    }


def _to_hold(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "account_id": hold.account_id,
        "counter_id": hold.counter_id,
        "agreement_id": hold.agreement_id,
        "amount": hold.amount,
        "remaining": hold.remaining,
        "status": hold.status.value,
        "expires_at": hold.expires_at,
    }


def _from_hold(row: Any) -> Hold:  # noqa: ANN401 - a HoldRow or a row of its table
    return Hold(
        id=HoldId(row.id),
        account_id=AccountId(row.account_id),
        counter_id=AccountId(row.counter_id),
        agreement_id=None if row.agreement_id is None else AgreementId(row.agreement_id),
        amount=row.amount,
        remaining=row.remaining,
        expires_at=row.expires_at,
        status=HoldStatus(row.status),
    )
