"""통장: what a participant sees of its deposit and of its income, page by page.

Two streams of movements are merged. The deposit's accounts are locked together by whoever
books on them, and so are those of the income; therefore each stream has a cursor of its own,
and a line that is booked late is never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from clearing.ledger import store
from clearing.ledger.entries import BANK, Wallet
from clearing.ledger.model import OPERATOR, AccountId, Book, Code, Kind, Movement, account_id
from clearing.parties.store import find_parties
from databank.kit.db import UnitOfWork
from schemas.bank import Passbook, PassbookAccount, PassbookLine
from schemas.ids import ParticipantId
from schemas.problem import InvalidRequestError

LINES_MAX: Final = 500
_CURSOR: Final = re.compile(r"^([0-9]{1,18})-([0-9]{1,18})$")
_NAMES: Final = {BANK: "은행", OPERATOR: "산업데이터은행"}
_INCOME_LEGS: Final = 2  # of one sale: earned and VAT
_PAYING: Final = frozenset({Code.DEPOSIT, Code.RECEIVABLE})
_ROYALTIES: Final = frozenset({Kind.ROYALTY, Kind.ROYALTY_REFUND})
Span = tuple[datetime, datetime]  # from the first on, before the second


@dataclass(frozen=True, slots=True)
class _Line:
    """A line before its counterparty has a name."""

    last: Movement  # of the movements that make the line
    account: PassbookAccount
    counterparty: str
    amount: int
    fee: int
    balance: int

    @property
    def order(self) -> tuple[object, int]:
        return self.last.recorded_at, self.last.posting_id


def passbook_of(
    uow: UnitOfWork,
    participant_id: ParticipantId,
    *,
    cursor: str | None,
    limit: int,
    within: Span | None = None,
) -> Passbook:
    """Return 통장: one page, oldest first; ``within``: of what was recorded then.

    Raises:
        InvalidRequestError: The cursor is not one of ours.
    """
    after = _read_cursor(cursor)
    count = limit + 1
    deposits = _deposit_lines(uow, participant_id, after=after[0], count=count, within=within)
    income = _income_lines(uow, participant_id, after=after[1], count=count, within=within)
    found = sorted([*deposits, *income], key=lambda line: line.order)
    page = found[:limit]
    names = _names_of(uow, page)
    lines = tuple(
        PassbookLine(
            entry_id=line.last.entry_id,
            account=line.account,
            kind=line.last.kind,
            occurred_at=line.last.occurred_at,
            recorded_at=line.last.recorded_at,
            counterparty=names[line.counterparty],
            memo=line.last.memo,
            amount_micro=line.amount,
            fee_micro=line.fee,
            balance_micro=line.balance,
        )
        for line in page
    )
    more = _cursor_after(page, after) if len(found) > limit else None
    return Passbook(participant_id=participant_id, lines=lines, next_cursor=more)


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    match = _CURSOR.match(cursor)
    if match is None:
        raise InvalidRequestError(
            ko="cursor는 앞 쪽의 next_cursor 값이어야 합니다.",
            en="cursor must be the next_cursor of the page before.",
        )
    return int(match[1]), int(match[2])


def _cursor_after(page: list[_Line], after: tuple[int, int]) -> str:
    ends = dict(zip(PassbookAccount, after, strict=True))
    ends |= {line.account: line.last.posting_id for line in page}
    return f"{ends[PassbookAccount.DEPOSIT]}-{ends[PassbookAccount.EARNED]}"


def _deposit_lines(
    uow: UnitOfWork, participant_id: ParticipantId, *, after: int, count: int, within: Span | None
) -> Iterator[_Line]:
    deposit = Wallet(Book.ACCRUAL, participant_id).deposit
    for movement in store.movements(uow, [deposit], after=after, limit=count, within=within):
        yield _Line(
            movement,
            PassbookAccount.DEPOSIT,
            movement.counterparty,
            amount=movement.credit,
            fee=0,
            balance=movement.balance_after,
        )


def _income_lines(
    uow: UnitOfWork, participant_id: ParticipantId, *, after: int, count: int, within: Span | None
) -> Iterator[_Line]:
    """Yield one line for each sale or royalty: what it earned or cost, and its VAT, together."""
    accounts = [
        account_id(Book.ACCRUAL, code, participant_id) for code in (Code.EARNED, Code.VAT_OUT)
    ]
    limit = count * _INCOME_LEGS
    legs = store.movements(uow, accounts, after=after, limit=limit, within=within)
    if not legs:
        return
    before = legs[0].posting_id - 1
    balances = {id_: store.balance_at(uow, id_, before) for id_ in accounts}
    shares = store.shares_of(uow, {leg.entry_id for leg in legs})
    sales = [list(group) for _, group in groupby(legs, key=lambda leg: leg.entry_id)]
    for sale in sales[:count]:  # what follows may be cut in the middle
        balances |= {leg.account_id: leg.balance_after for leg in sale}
        moved = shares[sale[-1].entry_id]
        is_paid = sale[-1].kind in _ROYALTIES and sale[-1].counterparty != participant_id
        yield _Line(
            sale[-1],
            PassbookAccount.EARNED,
            sale[-1].counterparty if is_paid else _payer(moved, participant_id),
            amount=sum(leg.credit for leg in sale),
            fee=0 if is_paid else sum(s.credit for s in moved if s.owner_id == OPERATOR),
            balance=_total(balances),
        )


def _total(balances: dict[AccountId, int]) -> int:
    return sum(balances.values())


def _payer(shares: Iterable[store.Share], payee: ParticipantId) -> str:
    """Return who paid: the owner of a deposit, or whose earnings a royalty was taken from."""
    found = list(shares)
    buyers = [s.owner_id for s in found if s.code in _PAYING]
    return next(
        iter(buyers + [s.owner_id for s in found if s.owner_id not in (payee, OPERATOR)]), OPERATOR
    )


def _names_of(uow: UnitOfWork, page: list[_Line]) -> dict[str, str]:
    ids = {ParticipantId(line.counterparty) for line in page}
    return {**{id_: p.name for id_, p in find_parties(uow, ids).items()}, **_NAMES}
