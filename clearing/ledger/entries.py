"""The entries that the clearing service makes, as pure functions of what they are about.

Entry ids follow from the cause, so a repeated request books the same entry and not another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearing.ledger.model import (
    OPERATOR,
    Account,
    AccountId,
    Book,
    Code,
    Entry,
    EntryId,
    Hold,
    HoldId,
    Kind,
    Leg,
    Phase,
    Side,
    account_id,
)
from clearing.rating.rate import Amounts
from schemas.ids import AgreementId, ParticipantId

BANK: Final = "bank"  # the counterparty of deposits


@dataclass(frozen=True, slots=True)
class Wallet:
    """The accounts of one participant's own money in one book."""

    book: Book
    owner_id: ParticipantId

    @property
    def deposit(self) -> AccountId:
        """Prepaid money."""
        return account_id(self.book, Code.DEPOSIT, self.owner_id)

    @property
    def in_delivery(self) -> AccountId:
        """The other side of holds on the deposit."""
        return account_id(self.book, Code.IN_DELIVERY, self.owner_id)

    @property
    def receivable(self) -> AccountId:
        """What was delivered beyond the deposit."""
        return account_id(self.book, Code.RECEIVABLE, self.owner_id)

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """All of them."""
        return (self.deposit, self.in_delivery, self.receivable)


@dataclass(frozen=True, slots=True)
class Sale:
    """Who pays whom in one book, and for what."""

    book: Book
    agreement_id: AgreementId
    consumer_id: ParticipantId
    provider_id: ParticipantId
    memo: str
    amounts: Amounts

    @property
    def credit_accounts(self) -> tuple[AccountId, ...]:
        """The accounts that share what the consumer pays."""
        return (
            account_id(self.book, Code.EARNED, self.provider_id),
            account_id(self.book, Code.VAT_OUT, self.provider_id),
            account_id(self.book, Code.FEE_INCOME, OPERATOR),
            account_id(self.book, Code.VAT_OUT, OPERATOR),
        )

    @property
    def wallet(self) -> Wallet:
        """The consumer's money."""
        return Wallet(self.book, self.consumer_id)


def entry_id(book: Book, kind: Kind, *cause: object) -> EntryId:
    """Return the id of the entry that ``cause`` makes."""
    text = "\x1f".join(str(part) for part in cause)
    return EntryId(f"{book}:{kind}:{hashlib.sha256(text.encode()).hexdigest()[:32]}")


def reversal_id(book: Book, undone: EntryId) -> EntryId:
    """Return the id of the entry that undoes another."""
    return entry_id(book, Kind.REVERSAL, undone)


def bank_account(book: Book) -> AccountId:
    """Return the operator's bank account in a book."""
    return account_id(book, Code.BANK, OPERATOR)


def deposit_entry(
    wallet: Wallet, amount: int, *, deposit_id: str, memo: str, now: datetime
) -> Entry:
    """입금: money that arrived at the bank."""
    return Entry(
        id=entry_id(wallet.book, Kind.DEPOSIT, deposit_id),
        book=wallet.book,
        kind=Kind.DEPOSIT,
        legs=(
            Leg(bank_account(wallet.book), Side.DEBIT, amount),
            Leg(wallet.deposit, Side.CREDIT, amount),
        ),
        occurred_at=now,
        counterparty=BANK,
        memo=memo,
    )


def payout_entry(
    book: Book, owner_id: ParticipantId, *, earned: int, vat: int, payment_id: str, now: datetime
) -> Entry:
    """송금: what a participant earned leaves for its bank account."""
    parts = ((Code.EARNED, earned), (Code.VAT_OUT, vat))
    return Entry(
        id=entry_id(book, Kind.PAYOUT, payment_id),
        book=book,
        kind=Kind.PAYOUT,
        legs=(
            *(
                Leg(account_id(book, code, owner_id), Side.DEBIT, part)
                for code, part in parts
                if part
            ),
            Leg(account_id(book, Code.IN_TRANSIT, owner_id), Side.CREDIT, earned + vat),
        ),
        occurred_at=now,
        counterparty=BANK,
        memo=payment_id,
    )


def paid_entry(
    book: Book, owner_id: ParticipantId, amount: int, *, payment_id: str, now: datetime
) -> Entry:
    """The bank has paid what was in transit."""
    from_ = account_id(book, Code.IN_TRANSIT, owner_id)
    return _left_bank(Kind.PAID, book, from_, amount, payment_id=payment_id, now=now)


def return_fee_entry(
    book: Book, owner_id: ParticipantId, amount: int, *, payment_id: str, now: datetime
) -> Entry:
    """반송 수수료: of a payment that came back a bank has kept this; who bears it is open."""
    from_ = account_id(book, Code.RETURN_FEE, owner_id)
    return _left_bank(Kind.RETURN_FEE, book, from_, amount, payment_id=payment_id, now=now)


def _left_bank(
    kind: Kind, book: Book, from_: AccountId, amount: int, *, payment_id: str, now: datetime
) -> Entry:
    """Money has left the operator's bank account, at the expense of another account."""
    return Entry(
        id=entry_id(book, kind, payment_id),
        book=book,
        kind=kind,
        legs=(
            Leg(from_, Side.DEBIT, amount),
            Leg(bank_account(book), Side.CREDIT, amount),
        ),
        occurred_at=now,
        counterparty=BANK,
        memo=payment_id,
    )


def fee_borne_id(book: Book, kept: EntryId) -> EntryId:
    """Return the id of the entry by which somebody bears a fee that another entry booked."""
    return entry_id(book, Kind.RETURN_FEE, "borne", kept)


def fee_borne_entry(kept: Entry, bearer: AccountId, *, memo: str, now: datetime) -> Entry:
    """Let somebody's account bear what a bank has kept, by the entry that said so."""
    (owed, _) = kept.legs
    return Entry(
        id=fee_borne_id(kept.book, kept.id),
        book=kept.book,
        kind=Kind.RETURN_FEE,
        legs=(
            Leg(bearer, Side.DEBIT, owed.amount),
            Leg(owed.account_id, Side.CREDIT, owed.amount),
        ),
        occurred_at=now,
        counterparty=BANK,
        memo=memo,
    )


def settle_entry(
    wallet: Wallet, *, deposit: Account, receivable: Account, now: datetime
) -> Entry | None:
    """Pay what was delivered beyond the deposit from what the deposit now holds, if anything."""
    amount = min(deposit.available, -receivable.credit_balance)
    if amount <= 0:
        return None
    return Entry(
        id=entry_id(wallet.book, Kind.SETTLE, wallet.owner_id, receivable.credits_posted),
        book=wallet.book,
        kind=Kind.SETTLE,
        legs=(
            Leg(wallet.deposit, Side.DEBIT, amount),
            Leg(wallet.receivable, Side.CREDIT, amount),
        ),
        occurred_at=now,
        counterparty=OPERATOR,
    )


def hold_entry(
    wallet: Wallet,
    amount: int,
    *,
    hold_id: HoldId,
    agreement_id: AgreementId,
    now: datetime,
    expires_at: datetime,
) -> Entry:
    """Set money aside for deliveries under way."""
    return Entry(
        id=entry_id(wallet.book, Kind.HOLD, hold_id),
        book=wallet.book,
        kind=Kind.HOLD,
        legs=(
            Leg(wallet.deposit, Side.DEBIT, amount, Phase.PENDING, hold_id),
            Leg(wallet.in_delivery, Side.CREDIT, amount, Phase.PENDING, hold_id),
        ),
        occurred_at=now,
        agreement_id=agreement_id,
        expires_at=expires_at,
    )


def expire_entry(hold: Hold, *, book: Book) -> Entry:
    """Give back what remains of a hold whose time is over."""
    return Entry(
        id=entry_id(book, Kind.EXPIRE, hold.id),
        book=book,
        kind=Kind.EXPIRE,
        legs=_release(hold, hold.remaining),
        occurred_at=hold.expires_at,
        agreement_id=hold.agreement_id,
    )


def sale_entry(
    sale: Sale,
    *,
    id_: EntryId,
    kind: Kind,
    deposit: Account,
    holds: Iterable[Hold],
    occurred_at: datetime,
) -> Entry | None:
    """Charge a sale: first to the holds made for it, then to the deposit, then as receivable.

    Returns None if nothing is to be paid.
    """
    due = sale.amounts.paid
    if due == 0 and not any((sale.amounts.fee, sale.amounts.fee_vat)):
        return None
    released: list[Leg] = []
    drawn = 0
    for hold in holds:
        part = min(hold.remaining, due - drawn)
        if part > 0:
            released += _release(hold, part)
            drawn += part
    from_deposit = min(due, drawn + max(0, deposit.available))
    legs = [
        _leg(sale.wallet.deposit, -from_deposit),
        _leg(sale.wallet.receivable, from_deposit - due),
        *charge_legs(sale),
    ]
    return Entry(
        id=id_,
        book=sale.book,
        kind=kind,
        legs=(*(leg for leg in legs if leg is not None), *released),
        occurred_at=occurred_at,
        agreement_id=sale.agreement_id,
        counterparty=sale.provider_id,
        memo=sale.memo,
    )


def royalty_entry(sale: Sale, kind: Kind, *, id_: EntryId, now: datetime) -> Entry | None:
    """로열티: what a product owes an upstream party, out of what the product earned.

    The curator is the sale's consumer. It pays from its earnings, and the VAT from the VAT that it
    collected; both may go below zero, where plans owe more than was sold: then it owes the rest,
    and who it is owed to waits (`clearing.payout.model`). Negative amounts give it back
    (``ROYALTY_REFUND``): then who got it may fall below zero. Returns None if nothing is due.
    """
    payer, amounts = sale.consumer_id, sale.amounts
    legs = (
        _leg(account_id(sale.book, Code.EARNED, payer), -amounts.supply),
        _leg(account_id(sale.book, Code.VAT_OUT, payer), -amounts.vat),
        *charge_legs(sale),
    )
    kept = tuple(leg for leg in legs if leg is not None)
    if not kept:
        return None
    return Entry(
        id=id_,
        book=sale.book,
        kind=kind,
        legs=kept,
        occurred_at=now,
        agreement_id=sale.agreement_id,
        counterparty=sale.provider_id,
        memo=sale.memo,
    )


def charge_legs(sale: Sale) -> list[Leg | None]:
    """Share what the consumer pays among supplier, operator and their VAT.

    A charge of one micro-won can make both the fee and its VAT grow by one; then the supplier's
    leg is a debit of one micro-won, and the cumulative sums stay exact.
    """
    amounts = sale.amounts
    shares = (amounts.earned, amounts.vat, amounts.fee, amounts.fee_vat)
    return [
        _leg(account, share) for account, share in zip(sale.credit_accounts, shares, strict=True)
    ]


def _leg(account: AccountId, credit: int) -> Leg | None:
    if credit == 0:
        return None
    return Leg(account, Side.CREDIT if credit > 0 else Side.DEBIT, abs(credit))


def _release(hold: Hold, amount: int) -> tuple[Leg, Leg]:
    return (
        Leg(hold.account_id, Side.DEBIT, amount, Phase.RELEASED, hold.id),
        Leg(hold.counter_id, Side.CREDIT, amount, Phase.RELEASED, hold.id),
    )
