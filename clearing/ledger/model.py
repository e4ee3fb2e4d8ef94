"""Double-entry bookkeeping: the rules, and nothing else.

An *entry* (전표) has legs; each leg moves an amount on one side of one account. An account
keeps four growing or shrinking sums, never a signed balance: debits and credits, each
*posted* (final) and *pending* (held). A leg's phase says which of them it moves:

* ``posted`` raises the posted sum: money has moved;
* ``pending`` raises the pending sum: a hold begins;
* ``released`` lowers the pending sum: a hold is drawn on, voided or has expired.

In every phase an entry's debits equal its credits, so both books balance by construction.
An account with ``debits_must_not_exceed_credits`` (a prepaid deposit) counts its holds as
spent. A hold is drawn on until nothing remains, or its rest is given back once, by a void
or an expiry; then it is resolved for ever. Entries are never changed: a correction is an
entry that reverses.

The meanings follow TigerBeetle: ids are the caller's, the same id with the same content is
``EXISTS``, and of several faults the first in the order of ``Status`` is told.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from functools import lru_cache
from typing import Final, NewType

from schemas.ids import AgreementId

AccountId = NewType("AccountId", str)
EntryId = NewType("EntryId", str)
HoldId = NewType("HoldId", str)

COUNTER_MAX: Final = 2**63 - 1  # what the databases' big integers hold
OPERATOR: Final = "operator"  # owner of the operator's own accounts


class Book(StrEnum):
    """Two sets of accounts that never mix."""

    ACCRUAL = "accrual"  # micro-won: what is earned and owed, act by act
    CASH = "cash"  # won: what documents say and money moves


class Code(StrEnum):
    """What an account is for."""

    BANK = "bank"
    DEPOSIT = "deposit"
    RECEIVABLE = "receivable"  # delivered beyond the deposit
    IN_DELIVERY = "in_delivery"  # the other side of holds
    EARNED = "earned"
    VAT_OUT = "vat_out"
    FEE_INCOME = "fee_income"
    IN_TRANSIT = "in_transit"  # paid out, and not yet seen at the bank
    DISPUTE_HOLD = "dispute_hold"  # earned, and kept back while it is in dispute
    RETURN_FEE = "return_fee"  # kept by a bank of a payment that came back, until one bears it
    RECOVERABLE = "recoverable"  # refunded after it was paid out: set off against later earnings


class Side(StrEnum):
    """Left or right."""

    DEBIT = "debit"
    CREDIT = "credit"


class Phase(StrEnum):
    """Which counter of the account a leg moves, and which way."""

    POSTED = "posted"
    PENDING = "pending"
    RELEASED = "released"


class Kind(StrEnum):
    """Why an entry was made."""

    DEPOSIT = "deposit"
    SETTLE = "settle"  # a deposit pays what was delivered beyond it
    HOLD = "hold"
    VOID = "void"
    EXPIRE = "expire"
    USAGE = "usage"
    STATEMENT = "statement"
    ROYALTY = "royalty"  # what a product owes an upstream, set off against what it earned
    ROYALTY_REFUND = "royalty_refund"  # less is owed after a refund
    PAYOUT = "payout"  # two officers released it
    PAID = "paid"  # the bank has paid it
    RETURN_FEE = "return_fee"  # a bank kept it of a payment that came back, or somebody bears it
    DISPUTE = "dispute"  # what is contested is kept back
    REFUND = "refund"  # a sale is taken back, in part or whole
    SET_OFF = "set_off"  # earnings pay what was refunded after it was paid out
    REVERSAL = "reversal"


class HoldStatus(StrEnum):
    """Where a hold stands; all but ``pending`` are final."""

    PENDING = "pending"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


class Status(Enum):
    """Every outcome, in order of precedence; the first that applies is returned."""

    CREATED = auto()
    EXISTS = auto()
    EXISTS_WITH_DIFFERENT_CONTENT = auto()
    LEGS_MUST_NOT_BE_EMPTY = auto()
    AMOUNT_MUST_BE_POSITIVE = auto()
    ACCOUNT_NOT_FOUND = auto()
    ACCOUNTS_MUST_BE_IN_THE_BOOK = auto()
    LEGS_MUST_SUM_TO_ZERO = auto()
    CODES_MUST_BE_ALLOWED = auto()
    REVERSED_ENTRY_MUST_BE_NAMED = auto()
    HOLD_EXISTS = auto()
    HOLD_NOT_FOUND = auto()
    HOLD_ALREADY_POSTED = auto()
    HOLD_ALREADY_VOIDED = auto()
    HOLD_EXPIRED = auto()
    HOLD_NOT_EXPIRED = auto()
    HOLD_MUST_BE_RELEASED_IN_FULL = auto()
    EXCEEDS_HOLD = auto()
    EXCEEDS_CREDITS = auto()
    OVERFLOWS = auto()


# (entry kind) -> the (debit code, credit code) pairs that make sense; a balanced entry that
# says something else is refused.
_EARNING: Final = frozenset(
    (debit, credit)
    for debit in (Code.DEPOSIT, Code.RECEIVABLE, Code.EARNED)  # see entries.charge_legs
    for credit in (Code.EARNED, Code.VAT_OUT, Code.FEE_INCOME)
)
_SHARING: Final = frozenset(
    (debit, credit)
    for debit in (Code.EARNED, Code.VAT_OUT)
    for credit in (Code.EARNED, Code.VAT_OUT, Code.FEE_INCOME)
)
_HOLDING: Final = frozenset({(Code.DEPOSIT, Code.IN_DELIVERY)})
_PLAIN: Final[dict[Kind, frozenset[tuple[Code, Code]]]] = {
    Kind.DEPOSIT: frozenset({(Code.BANK, Code.DEPOSIT)}),
    Kind.SETTLE: frozenset({(Code.DEPOSIT, Code.RECEIVABLE)}),
    Kind.USAGE: _EARNING | _HOLDING,
    Kind.STATEMENT: _EARNING,
    Kind.ROYALTY: _SHARING,
    Kind.ROYALTY_REFUND: frozenset((credit, debit) for debit, credit in _SHARING),
    Kind.HOLD: _HOLDING,
    Kind.VOID: _HOLDING,
    Kind.EXPIRE: _HOLDING,
    Kind.PAYOUT: frozenset({(Code.EARNED, Code.IN_TRANSIT), (Code.VAT_OUT, Code.IN_TRANSIT)}),
    Kind.PAID: frozenset({(Code.IN_TRANSIT, Code.BANK)}),
    Kind.RETURN_FEE: frozenset(
        {
            (Code.RETURN_FEE, Code.BANK),
            (Code.EARNED, Code.RETURN_FEE),
            (Code.FEE_INCOME, Code.RETURN_FEE),
        }
    ),
    Kind.DISPUTE: frozenset((code, Code.DISPUTE_HOLD) for code in (Code.EARNED, Code.VAT_OUT)),
    Kind.REFUND: frozenset(
        (debit, credit)
        for debit in (Code.EARNED, Code.VAT_OUT, Code.FEE_INCOME, Code.RECOVERABLE)
        for credit in (Code.DEPOSIT, Code.EARNED)  # see disputes.refund.refund_legs
    ),
    Kind.SET_OFF: frozenset((code, Code.RECOVERABLE) for code in (Code.EARNED, Code.VAT_OUT)),
}
_REVERSIBLE: Final = (Kind.DEPOSIT, Kind.PAYOUT, Kind.PAID, Kind.DISPUTE)
ALLOWED: Final[Mapping[Kind, frozenset[tuple[Code, Code]]]] = {
    **_PLAIN,
    Kind.REVERSAL: frozenset((c, d) for k in _REVERSIBLE for d, c in _PLAIN[k]),
}
_PHASES: Final[Mapping[Kind, frozenset[Phase]]] = {
    Kind.USAGE: frozenset({Phase.POSTED, Phase.RELEASED}),
    Kind.HOLD: frozenset({Phase.PENDING}),
    Kind.VOID: frozenset({Phase.RELEASED}),
    Kind.EXPIRE: frozenset({Phase.RELEASED}),
}
_POSTED_ONLY: Final = frozenset({Phase.POSTED})


@dataclass(frozen=True, slots=True)
class Account:
    """One account; ``owner_id`` is a participant or ``OPERATOR``."""

    id: AccountId
    book: Book
    code: Code
    owner_id: str
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    debits_must_not_exceed_credits: bool = False

    @property
    def credit_balance(self) -> int:
        """Posted credits less posted debits."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may still be debited from a prepaid account."""
        return self.credit_balance - self.debits_pending


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement; ``hold_id`` names the hold that a pending or released leg belongs to."""

    account_id: AccountId
    side: Side
    amount: int
    phase: Phase = Phase.POSTED
    hold_id: HoldId | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An all-or-nothing group of legs; ``id`` is the caller's idempotency key."""

    id: EntryId
    book: Book
    kind: Kind
    legs: tuple[Leg, ...]
    occurred_at: datetime
    agreement_id: AgreementId | None = None
    counterparty: str = ""
    memo: str = ""
    reverses: EntryId | None = None
    expires_at: datetime | None = None  # of the hold that an entry of kind HOLD makes

    @property
    def content_sha256(self) -> str:
        """What must be the same when the same id comes again; times are not part of it."""
        legs = [[leg.account_id, leg.side, leg.amount, leg.phase, leg.hold_id] for leg in self.legs]
        head = [self.book, self.kind, self.agreement_id, self.counterparty, self.memo]
        return hashlib.sha256(json.dumps([head, self.reverses, legs]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Movement:
    """One posted leg on an account, with its entry."""

    posting_id: int
    account_id: AccountId
    entry_id: EntryId
    kind: Kind
    occurred_at: datetime
    recorded_at: datetime
    counterparty: str
    memo: str
    credit: int  # negative for a debit
    balance_after: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside in ``account_id`` for deliveries under way."""

    id: HoldId
    account_id: AccountId
    counter_id: AccountId
    agreement_id: AgreementId | None
    amount: int
    remaining: int
    expires_at: datetime
    status: HoldStatus = HoldStatus.PENDING


@dataclass(frozen=True, slots=True)
class Booked:
    """The outcome of ``book``; accounts and holds hold what changed, nothing unless CREATED."""

    status: Status
    accounts: Mapping[AccountId, Account] = field(default_factory=dict)
    holds: Mapping[HoldId, Hold] = field(default_factory=dict)


def account_id(book: Book, code: Code, owner_id: str) -> AccountId:
    """Return the id of an account; there is one of each code, owner and book."""
    return AccountId(f"{book}:{code}:{owner_id}")


def open_account(id_: AccountId) -> Account:
    """Return the empty account with this id."""
    book, code, owner_id = id_.split(":", 2)
    return Account(
        id_, Book(book), Code(code), owner_id, debits_must_not_exceed_credits=code == Code.DEPOSIT
    )


def book(
    entry: Entry,
    *,
    accounts: Mapping[AccountId, Account],
    holds: Mapping[HoldId, Hold],
    existing_sha256: str | None,
    now: datetime,
) -> Booked:
    """Apply an entry to the accounts and holds that it names.

    Args:
        entry: The entry.
        accounts: At least the accounts of its legs.
        holds: At least the holds of its legs.
        existing_sha256: ``content_sha256`` of the stored entry with the same id, if any.
        now: The time of booking; holds expire by it.
    """
    if existing_sha256 is not None:
        same = existing_sha256 == entry.content_sha256
        return Booked(Status.EXISTS if same else Status.EXISTS_WITH_DIFFERENT_CONTENT)
    status = _form_status(entry, accounts)
    if status is Status.CREATED:
        status = _hold_status(entry, holds, now)
    if status is not Status.CREATED:
        return Booked(status)
    changed: dict[AccountId, Account] = {}
    for leg in entry.legs:
        changed[leg.account_id] = _move(changed.get(leg.account_id, accounts[leg.account_id]), leg)
    if any(a.debits_must_not_exceed_credits and a.available < 0 for a in changed.values()):
        return Booked(Status.EXCEEDS_CREDITS)
    if any(_overflows(account) for account in changed.values()):
        return Booked(Status.OVERFLOWS)
    return Booked(Status.CREATED, changed, _resolve(entry, holds))


def _form_status(entry: Entry, accounts: Mapping[AccountId, Account]) -> Status:
    """Check what can be checked without looking at holds."""
    if not entry.legs:
        return Status.LEGS_MUST_NOT_BE_EMPTY
    if any(leg.amount <= 0 for leg in entry.legs):
        return Status.AMOUNT_MUST_BE_POSITIVE
    if any(leg.account_id not in accounts for leg in entry.legs):
        return Status.ACCOUNT_NOT_FOUND
    if any(accounts[leg.account_id].book is not entry.book for leg in entry.legs):
        return Status.ACCOUNTS_MUST_BE_IN_THE_BOOK
    if not is_balanced(entry.legs):
        return Status.LEGS_MUST_SUM_TO_ZERO
    if not _codes_are_allowed(entry, accounts):
        return Status.CODES_MUST_BE_ALLOWED
    if (entry.kind is Kind.REVERSAL) != (entry.reverses is not None):
        return Status.REVERSED_ENTRY_MUST_BE_NAMED
    return Status.CREATED


def is_balanced(legs: Iterable[Leg]) -> bool:
    """Whether debits equal credits in every phase."""
    sums: dict[Phase, int] = defaultdict(int)
    for leg in legs:
        sums[leg.phase] += leg.amount if leg.side is Side.DEBIT else -leg.amount
    return not any(sums.values())


def _codes_are_allowed(entry: Entry, accounts: Mapping[AccountId, Account]) -> bool:
    if any(leg.phase not in _PHASES.get(entry.kind, _POSTED_ONLY) for leg in entry.legs):
        return False
    forms = frozenset((leg.phase, leg.side, accounts[leg.account_id].code) for leg in entry.legs)
    return _is_allowed(entry.kind, forms)


@lru_cache(maxsize=1024)  # a book of millions of entries has a few dozen of these
def _is_allowed(kind: Kind, forms: frozenset[tuple[Phase, Side, Code]]) -> bool:
    """Whether every debit of a phase may face every credit of it."""
    return all(
        (debit, credit) in ALLOWED[kind]
        for phase, side, debit in forms
        if side is Side.DEBIT
        for other_phase, other_side, credit in forms
        if other_side is Side.CREDIT and other_phase is phase
    )


_RESOLVED: Final = {
    HoldStatus.POSTED: Status.HOLD_ALREADY_POSTED,
    HoldStatus.VOIDED: Status.HOLD_ALREADY_VOIDED,
    HoldStatus.EXPIRED: Status.HOLD_EXPIRED,
}


def _hold_status(entry: Entry, holds: Mapping[HoldId, Hold], now: datetime) -> Status:
    drawn = _drawn(entry)
    if entry.kind is Kind.HOLD:
        exists = any(leg.hold_id in holds for leg in entry.legs)
        return Status.HOLD_EXISTS if exists else Status.CREATED
    for hold_id, amount in drawn.items():
        hold = holds.get(hold_id) if hold_id is not None else None
        status = Status.HOLD_NOT_FOUND if hold is None else _draw_status(entry, hold, amount, now)
        if status is not Status.CREATED:
            return status
    return Status.CREATED


def _draw_status(entry: Entry, hold: Hold, amount: int, now: datetime) -> Status:
    if hold.status is not HoldStatus.PENDING:
        return _RESOLVED[hold.status]
    is_expired = hold.expires_at <= now
    if entry.kind is Kind.USAGE and is_expired:
        return Status.HOLD_EXPIRED
    if entry.kind is Kind.EXPIRE and not is_expired:
        return Status.HOLD_NOT_EXPIRED
    if entry.kind in (Kind.EXPIRE, Kind.VOID) and amount != hold.remaining:
        return Status.HOLD_MUST_BE_RELEASED_IN_FULL
    return Status.EXCEEDS_HOLD if amount > hold.remaining else Status.CREATED


def _drawn(entry: Entry) -> dict[HoldId | None, int]:
    """Return what the entry releases of each hold."""
    drawn: dict[HoldId | None, int] = defaultdict(int)
    for leg in entry.legs:
        if leg.phase is Phase.RELEASED and leg.side is Side.DEBIT:
            drawn[leg.hold_id] += leg.amount
    return drawn


_COUNTERS: Final = {
    (Side.DEBIT, Phase.POSTED): ("debits_posted", 1),
    (Side.CREDIT, Phase.POSTED): ("credits_posted", 1),
    (Side.DEBIT, Phase.PENDING): ("debits_pending", 1),
    (Side.CREDIT, Phase.PENDING): ("credits_pending", 1),
    (Side.DEBIT, Phase.RELEASED): ("debits_pending", -1),
    (Side.CREDIT, Phase.RELEASED): ("credits_pending", -1),
}
_SUMS: Final = tuple({name for name, _ in _COUNTERS.values()})


def _move(account: Account, leg: Leg) -> Account:
    change = dict.fromkeys(_SUMS, 0)
    counter, sign = _COUNTERS[leg.side, leg.phase]
    change[counter] = sign * leg.amount
    return Account(  # made anew, which takes a fraction of what replace() does
        account.id,
        account.book,
        account.code,
        account.owner_id,
        account.debits_posted + change["debits_posted"],
        account.credits_posted + change["credits_posted"],
        account.debits_pending + change["debits_pending"],
        account.credits_pending + change["credits_pending"],
        debits_must_not_exceed_credits=account.debits_must_not_exceed_credits,
    )


def _overflows(account: Account) -> bool:
    return max(account.debits_posted, account.credits_posted) > COUNTER_MAX or (
        max(account.debits_pending, account.credits_pending) > COUNTER_MAX
    )


def _resolve(entry: Entry, holds: Mapping[HoldId, Hold]) -> dict[HoldId, Hold]:
    """Return the holds that the entry makes or changes."""
    if entry.kind is Kind.HOLD:
        hold = _made_hold(entry)
        return {hold.id: hold}
    final = {Kind.EXPIRE: HoldStatus.EXPIRED, Kind.VOID: HoldStatus.VOIDED}
    changed = {}
    for hold_id, amount in _drawn(entry).items():
        assert hold_id is not None
        hold = holds[hold_id]
        remaining = hold.remaining - amount
        status = final.get(entry.kind, HoldStatus.PENDING if remaining else HoldStatus.POSTED)
        changed[hold_id] = replace(hold, remaining=remaining, status=status)
    return changed


def _made_hold(entry: Entry) -> Hold:
    debit, credit = entry.legs
    assert debit.hold_id is not None
    assert entry.expires_at is not None
    return Hold(
        id=debit.hold_id,
        account_id=debit.account_id,
        counter_id=credit.account_id,
        agreement_id=entry.agreement_id,
        amount=debit.amount,
        remaining=debit.amount,
        expires_at=entry.expires_at,
    )


def reverse(entry: Entry, *, id_: EntryId, occurred_at: datetime, memo: str) -> Entry:
    """Return the entry that undoes ``entry``: the same legs on the other sides."""
    other = {Side.DEBIT: Side.CREDIT, Side.CREDIT: Side.DEBIT}
    return replace(
        entry,
        id=id_,
        kind=Kind.REVERSAL,
        legs=tuple(replace(leg, side=other[leg.side]) for leg in entry.legs),
        occurred_at=occurred_at,
        memo=memo,
        reverses=entry.id,
    )
