"""The books under any history: they balance, deposits are never overdrawn, holds end once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clearing.ledger.entries import (
    Sale,
    Wallet,
    bank_account,
    deposit_entry,
    entry_id,
    expire_entry,
    hold_entry,
    sale_entry,
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
    HoldStatus,
    Kind,
    Leg,
    Phase,
    Side,
    Status,
    book,
    open_account,
    reverse,
)
from clearing.rating.rate import Amounts
from schemas.ids import AgreementId, ParticipantId

BUYERS = tuple(ParticipantId(f"did:web:buyer{n}") for n in range(2))
SELLER = ParticipantId("did:web:seller")
BOOK = Book.ACCRUAL
WALLETS = {buyer: Wallet(BOOK, buyer) for buyer in BUYERS}


def sale_of(buyer: ParticipantId, supply: int = 0, agreement: str = "a") -> Sale:
    fee = supply * 500 // 10_000
    amounts = Amounts(supply, supply // 10, fee, fee // 10)
    return Sale(BOOK, AgreementId(agreement), buyer, SELLER, "", amounts)


class Ledger(RuleBasedStateMachine):
    """Deposits, holds, usage, expiry and reversals in any order, some of them repeated."""

    def __init__(self) -> None:
        super().__init__()
        ids = {bank_account(BOOK)}
        for buyer, wallet in WALLETS.items():
            ids |= {*wallet.accounts, *sale_of(buyer).credit_accounts}
        self.accounts: dict[AccountId, Account] = {id_: open_account(id_) for id_ in ids}
        self.holds: dict[HoldId, Hold] = {}
        self.resolved: dict[HoldId, HoldStatus] = {}
        self.entries: dict[EntryId, Entry] = {}
        self.now = datetime(2026, 11, 24, tzinfo=UTC)
        self.number = 0
        self.charged = dict.fromkeys(BUYERS, 0)
        self.arrived = dict.fromkeys(BUYERS, 0)

    def post(self, entry: Entry) -> Status:
        stored = self.entries.get(entry.id)
        booked = book(
            entry,
            accounts=self.accounts,
            holds=self.holds,
            existing_sha256=None if stored is None else stored.content_sha256,
            now=self.now,
        )
        if booked.status is Status.CREATED:
            self.entries[entry.id] = entry
            self.accounts |= booked.accounts
            self.holds |= booked.holds
        return booked.status

    def next(self) -> str:
        self.number += 1
        return str(self.number)

    @rule(buyer=st.sampled_from(BUYERS), amount=st.integers(1, 10_000))
    def deposit(self, buyer: ParticipantId, amount: int) -> None:
        wallet = WALLETS[buyer]
        entry = deposit_entry(wallet, amount, deposit_id=self.next(), memo="", now=self.now)
        assert self.post(entry) is Status.CREATED
        assert self.post(entry) is Status.EXISTS
        self.arrived[buyer] += amount
        self.settle(buyer)

    def settle(self, buyer: ParticipantId) -> None:
        wallet = WALLETS[buyer]
        deposit, receivable = self.accounts[wallet.deposit], self.accounts[wallet.receivable]
        entry = settle_entry(wallet, deposit=deposit, receivable=receivable, now=self.now)
        if entry is not None:
            assert self.post(entry) is Status.CREATED

    @rule(
        buyer=st.sampled_from(BUYERS),
        amount=st.integers(1, 10_000),
        life=st.integers(1, 9),
        agreement=st.sampled_from("ab"),
    )
    def hold(self, buyer: ParticipantId, amount: int, life: int, agreement: str) -> None:
        wallet = WALLETS[buyer]
        available = self.accounts[wallet.deposit].available
        entry = hold_entry(
            wallet,
            amount,
            hold_id=HoldId(self.next()),
            agreement_id=AgreementId(agreement),
            now=self.now,
            expires_at=self.now + timedelta(minutes=life),
        )
        expected = Status.CREATED if amount <= available else Status.EXCEEDS_CREDITS
        assert self.post(entry) is expected

    @rule(
        buyer=st.sampled_from(BUYERS),
        supply=st.integers(1, 20_000),
        agreement=st.sampled_from("ab"),
    )
    def use(self, buyer: ParticipantId, supply: int, agreement: str) -> None:
        self.expire()
        sale = sale_of(buyer, supply, agreement)
        deposit, owed = (
            self.accounts[id_] for id_ in (sale.wallet.deposit, sale.wallet.receivable)
        )
        holds = [
            h
            for h in self.holds.values()
            if h.account_id == deposit.id and h.agreement_id == sale.agreement_id and h.remaining
        ]
        entry = sale_entry(
            sale,
            id_=entry_id(BOOK, Kind.USAGE, self.next()),
            kind=Kind.USAGE,
            deposit=deposit,
            holds=holds,
            occurred_at=self.now,
        )
        assert entry is not None
        assert self.post(entry) is Status.CREATED
        self.charged[buyer] += sale.amounts.paid
        # its own holds and the free money pay; only what goes beyond them is owed
        covered = min(sale.amounts.paid, sum(h.remaining for h in holds) + deposit.available)
        beyond = owed.credit_balance - self.accounts[owed.id].credit_balance
        assert beyond == sale.amounts.paid - covered

    @rule(minutes=st.integers(1, 5))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def expire(self) -> None:
        for hold in list(self.holds.values()):
            if hold.status is HoldStatus.PENDING and hold.expires_at <= self.now:
                assert self.post(expire_entry(hold, book=BOOK)) is Status.CREATED
        for buyer in BUYERS:
            self.settle(buyer)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        hold = self.holds[data.draw(st.sampled_from(sorted(self.holds)))]
        amount = max(1, hold.remaining)
        legs = (
            Leg(hold.account_id, Side.DEBIT, amount, Phase.RELEASED, hold.id),
            Leg(hold.counter_id, Side.CREDIT, amount, Phase.RELEASED, hold.id),
        )
        entry = Entry(EntryId(f"void{self.next()}"), BOOK, Kind.VOID, legs, self.now)
        was_pending = hold.status is HoldStatus.PENDING
        assert (self.post(entry) is Status.CREATED) == was_pending

    @precondition(lambda self: any(e.kind is Kind.DEPOSIT for e in self.entries.values()))
    @rule(data=st.data())
    def reverse_a_deposit(self, data: st.DataObject) -> None:
        deposits = sorted(e.id for e in self.entries.values() if e.kind is Kind.DEPOSIT)
        entry = self.entries[data.draw(st.sampled_from(deposits))]
        undo = reverse(entry, id_=EntryId(f"undo {entry.id}"), occurred_at=self.now, memo="")
        deposit = entry.legs[1]
        fits = deposit.amount <= self.accounts[deposit.account_id].available
        status = self.post(undo)
        if status is Status.EXISTS:
            return
        assert status is (Status.CREATED if fits else Status.EXCEEDS_CREDITS)
        if fits:
            owner = ParticipantId(self.accounts[deposit.account_id].owner_id)
            self.arrived[owner] -= deposit.amount

    @invariant()
    def books_balance(self) -> None:
        every = self.accounts.values()
        assert sum(a.debits_posted for a in every) == sum(a.credits_posted for a in every)
        assert sum(a.debits_pending for a in every) == sum(a.credits_pending for a in every)
        assert all(min(a.debits_pending, a.credits_pending) >= 0 for a in every)

    @invariant()
    def deposits_are_never_overdrawn(self) -> None:
        for account in self.accounts.values():
            if account.code is Code.DEPOSIT:
                assert account.available >= 0

    @invariant()
    def what_is_pending_is_what_holds_have_left(self) -> None:
        for wallet in WALLETS.values():
            left = sum(h.remaining for h in self.holds.values() if h.account_id == wallet.deposit)
            assert self.accounts[wallet.deposit].debits_pending == left

    @invariant()
    def a_resolved_hold_stays_resolved(self) -> None:
        for hold in self.holds.values():
            assert self.resolved.get(hold.id, hold.status) is hold.status
            if hold.status is not HoldStatus.PENDING:
                self.resolved[hold.id] = hold.status
                assert hold.remaining == 0

    @invariant()
    def whatever_was_delivered_is_paid_or_owed(self) -> None:
        for buyer, wallet in WALLETS.items():
            deposit, owed = self.accounts[wallet.deposit], self.accounts[wallet.receivable]
            balance = deposit.credit_balance + owed.credit_balance
            assert balance == self.arrived[buyer] - self.charged[buyer]
            assert owed.credit_balance <= 0


TestLedger = Ledger.TestCase
