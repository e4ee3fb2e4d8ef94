"""Booking, and what participants may see of their own accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from clearing.ledger import store
from clearing.ledger.entries import (
    Wallet,
    bank_account,
    deposit_entry,
    entry_id,
    expire_entry,
    reversal_id,
    settle_entry,
)
from clearing.ledger.model import (
    Account,
    AccountId,
    Book,
    Code,
    Entry,
    EntryId,
    Hold,
    HoldId,
    Kind,
    Status,
    account_id,
    book,
    reverse,
)
from clearing.parties.store import remember
from databank.kit.db import UnitOfWork
from schemas.bank import Balance, DepositRequest
from schemas.ids import AgreementId, ParticipantId
from schemas.money import MICRO_PER_WON
from schemas.participant import Participant
from schemas.problem import (
    ConflictError,
    InsufficientBalanceError,
    InvalidRequestError,
    NotFoundError,
)
from schemas.wire import Text


class EntryConflictError(ConflictError):
    """The same id was used for something else."""

    slug = "entry-conflict"
    title = Text(ko="같은 번호로 다른 내용이 있습니다", en="This id stands for something else")


class AmountTooLargeError(InvalidRequestError):
    """A sum would leave the range of the books."""

    slug = "amount-too-large"
    title = Text(ko="금액이 너무 큽니다", en="The amount is too large")


class LedgerBrokenError(AssertionError):
    """The books would not balance; nothing is committed."""


class Books:
    """The accounts that one transaction works on: locked once, changed here, written once."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: dict[AccountId, Account],
        holds: dict[HoldId, Hold],
        now: datetime,
    ) -> None:
        self._uow = uow
        self._accounts = accounts
        self._holds = holds
        self._now = now
        self._known: dict[EntryId, str | None] = {}
        self._bookings: dict[EntryId, store.Booking] = {}
        self._touched: set[AccountId] = set()
        self._new_holds: set[HoldId] = set()
        self._changed_holds: set[HoldId] = set()

    @classmethod
    def open(cls, uow: UnitOfWork, accounts: Iterable[AccountId], *, now: datetime) -> Books:
        """Lock accounts and read the unresolved holds on the deposits among them."""
        found = store.lock_accounts(uow, accounts)
        holds = store.pending_holds(uow, _deposits(found))
        return cls(uow, found, {hold.id: hold for hold in holds}, now)

    @classmethod
    def open_to_hold(
        cls, uow: UnitOfWork, accounts: Iterable[AccountId], *, now: datetime
    ) -> Books:
        """Lock accounts to add a hold: of those that are there, only expired ones matter."""
        found = store.lock_accounts(uow, accounts)
        holds = store.expired_holds(uow, _deposits(found), now)
        return cls(uow, found, {hold.id: hold for hold in holds}, now)

    @classmethod
    def glance(cls, uow: UnitOfWork, accounts: Iterable[AccountId], *, now: datetime) -> Books:
        """Read accounts without locking them: to try what could be booked, never to save it."""
        return cls(uow, store.read_accounts(uow, accounts), {}, now)

    def account(self, id_: AccountId) -> Account:
        """Return an account as it now stands."""
        return self._accounts[id_]

    def holds_for(self, agreement_id: AgreementId) -> list[Hold]:
        """Return the unresolved holds for an agreement, the first to expire first."""
        return [
            hold
            for hold in self._holds.values()
            if hold.agreement_id == agreement_id and hold.remaining
        ]

    def post(self, entry: Entry) -> bool:
        """Book an entry; return False if it was booked before.

        Raises:
            EntryConflictError: Something else was booked under its id.
            InsufficientBalanceError: A prepaid account would be overdrawn.
            AmountTooLargeError: An account would leave its range.
        """
        booked = book(
            entry,
            accounts=self._accounts,
            holds=self._holds,
            existing_sha256=self._existing(entry.id),
            now=self._now,
        )
        if booked.status is Status.EXISTS:
            return False
        if booked.status is not Status.CREATED:
            raise _refused(booked.status, entry)
        self._accounts |= booked.accounts
        self._holds |= booked.holds
        self._touched |= set(booked.accounts)
        if entry.kind is Kind.HOLD:
            self._new_holds |= set(booked.holds)
        else:
            self._changed_holds |= set(booked.holds) - self._new_holds
        balances = tuple(self._accounts[leg.account_id].credit_balance for leg in entry.legs)
        self._bookings[entry.id] = store.Booking(entry, balances)
        return True

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Forget what is posted inside if it raises."""
        before = (dict(self._accounts), dict(self._holds), dict(self._bookings))
        marks = (set(self._touched), set(self._new_holds), set(self._changed_holds))
        try:
            yield
        except Exception:
            self._accounts, self._holds, self._bookings = before
            self._touched, self._new_holds, self._changed_holds = marks
            raise

    def look_up(self, ids: Iterable[EntryId]) -> None:
        """Ask for many entries at once whether they were booked before."""
        wanted = list(ids)
        self._known |= dict.fromkeys(wanted) | store.find_digests(self._uow, wanted)

    def _existing(self, id_: EntryId) -> str | None:
        if id_ in self._bookings:
            return self._bookings[id_].entry.content_sha256
        if id_ not in self._known:
            self.look_up([id_])
        return self._known[id_]

    def freshen(self, wallet: Wallet) -> None:
        """Give back expired holds, then pay what was delivered beyond the deposit."""
        for hold in list(self._holds.values()):
            if hold.account_id == wallet.deposit and hold.remaining:
                if hold.expires_at <= self._now:
                    self.post(expire_entry(hold, book=wallet.book))
        self.settle(wallet)

    def settle(self, wallet: Wallet) -> None:
        """Pay what was delivered beyond the deposit, as far as the deposit goes."""
        entry = settle_entry(
            wallet,
            deposit=self._accounts[wallet.deposit],
            receivable=self._accounts[wallet.receivable],
            now=self._now,
        )
        if entry is not None:
            self.post(entry)

    def save(self) -> None:
        """Write everything.

        Raises:
            LedgerBrokenError: What was written does not balance.
        """
        if not self._bookings:
            return
        store.save(
            self._uow,
            list(self._bookings.values()),
            accounts=[self._accounts[id_] for id_ in sorted(self._touched)],
            new_holds=[self._holds[id_] for id_ in sorted(self._new_holds)],
            changed_holds=[self._holds[id_] for id_ in sorted(self._changed_holds)],
            recorded_at=self._now,
        )
        if wrong := store.unbalanced_entries(self._uow, self._bookings):
            raise LedgerBrokenError(f"entries do not balance: {wrong[:5]}")
        self._bookings.clear()


def _deposits(accounts: dict[AccountId, Account]) -> list[AccountId]:
    return [id_ for id_, account in accounts.items() if account.code is Code.DEPOSIT]


def _refused(status: Status, entry: Entry) -> Exception:
    if status is Status.EXISTS_WITH_DIFFERENT_CONTENT:
        return EntryConflictError(
            ko=f"전표 {entry.id}은(는) 이미 다른 내용으로 기록되었습니다. 새 번호로 보내세요.",
            en=f"Entry {entry.id} was booked with other content. Use a new id.",
            entry_id=entry.id,
        )
    if status is Status.EXCEEDS_CREDITS:
        return InsufficientBalanceError(
            ko="예치금에 남은 금액보다 많습니다. 입금한 뒤 다시 시도하세요.",
            en="More than the deposit holds. Deposit money and try again.",
        )
    if status is Status.OVERFLOWS:
        return AmountTooLargeError(
            ko="계정이 담을 수 있는 금액을 넘습니다. 금액을 나누지 말고 운영자에게 알리세요.",
            en="The account cannot hold this sum. Tell the operator.",
        )
    return LedgerBrokenError(f"{entry.kind} entry {entry.id}: {status.name}")


BOOK_UNITS: Final = ((Book.ACCRUAL, MICRO_PER_WON), (Book.CASH, 1))


def take_deposit(
    uow: UnitOfWork, request: DepositRequest, participant: Participant, *, now: datetime
) -> Balance:
    """Book money that arrived at the bank, once for each ``deposit_id``, in both books.

    Raises:
        EntryConflictError: The deposit id was used for another deposit.
    """
    remember(uow, participant)
    book_deposit(uow, request, now=now)
    return balance_of(uow, participant.id, now=now)


def book_deposit(uow: UnitOfWork, request: DepositRequest, *, now: datetime) -> None:
    """Book money of a participant that is known here; nothing if this deposit was booked before.

    Raises:
        EntryConflictError: The deposit id was used for another deposit.
    """
    wallets = [Wallet(book_, request.participant_id) for book_, _ in BOOK_UNITS]
    accounts = [id_ for wallet in wallets for id_ in (*wallet.accounts, bank_account(wallet.book))]
    books = Books.open(uow, accounts, now=now)
    for wallet, (_, units) in zip(wallets, BOOK_UNITS, strict=True):
        entry = deposit_entry(
            wallet,
            request.amount_won * units,
            deposit_id=request.deposit_id,
            memo=request.memo,
            now=now,
        )
        books.post(entry)
        books.settle(wallet)
    books.save()


def reverse_deposit(uow: UnitOfWork, deposit_id: str, *, reason: str, now: datetime) -> Balance:
    """Take a deposit back that was booked by mistake; the entries stay, others undo them.

    Raises:
        NotFoundError: There is no such deposit.
        InsufficientBalanceError: Its money is no longer all there.
    """
    entries = [
        store.find_entry(uow, entry_id(book_, Kind.DEPOSIT, deposit_id)) for book_, _ in BOOK_UNITS
    ]
    known = [entry for entry in entries if entry is not None]
    if not known:
        raise NotFoundError(
            ko=f"입금 {deposit_id}을(를) 찾을 수 없습니다. 번호를 확인하세요.",
            en=f"There is no deposit {deposit_id}. Check its id.",
        )
    books = Books.open(uow, (leg.account_id for e in known for leg in e.legs), now=now)
    for entry in known:
        id_ = reversal_id(entry.book, entry.id)
        books.post(reverse(entry, id_=id_, occurred_at=now, memo=reason))
    books.save()
    owner = known[0].legs[1].account_id.split(":", 2)[2]
    return balance_of(uow, ParticipantId(owner), now=now)


def balance_of(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> Balance:
    """Return 잔액, after expired holds were given back."""
    wallet = Wallet(Book.ACCRUAL, participant_id)
    books = Books.open(uow, wallet.accounts, now=now)
    books.freshen(wallet)
    books.save()
    deposit = books.account(wallet.deposit)
    earned = sum(
        store.find_account(uow, account_id(Book.ACCRUAL, code, participant_id)).credit_balance
        for code in (Code.EARNED, Code.VAT_OUT)
    )
    return Balance(
        participant_id=participant_id,
        deposit_micro=deposit.credit_balance,
        held_micro=deposit.debits_pending,
        available_micro=deposit.available,
        earned_micro=earned,
        receivable_micro=-books.account(wallet.receivable).credit_balance,
    )
