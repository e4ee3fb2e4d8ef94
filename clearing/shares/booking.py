"""Royalties at the close: what statements say of sales makes due, booked in both books.

They follow from what statements have said of a product's agreements, line by line of those, so a
royalty is never ahead of the sale that it is of, nor what is taken back of it ahead of the credit.
The locks of periods and accounts are held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from clearing.agreements.store import find_agreements
from clearing.disputes.store import credited_in
from clearing.ledger.entries import Sale, entry_id, royalty_entry
from clearing.ledger.model import AccountId, Book, Code, Entry, EntryId, Kind, account_id
from clearing.ledger.service import AmountTooLargeError, Books, LedgerBrokenError
from clearing.log.service import Log
from clearing.rating.rate import Amounts, Run
from clearing.rating.store import usage_in
from clearing.settlement.store import Stated, stated
from clearing.shares import store
from clearing.shares.model import (
    DEBT_MICRO_MAX,
    OPERATOR,
    Flow,
    Income,
    Key,
    Plan,
    Product,
    Recorded,
    Royalty,
    flow,
    in_force,
    left_after,
    next_line,
)
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId, ParticipantId
from schemas.seal import SealKind
from schemas.shares import IncomeReport

Plans = Mapping[Product, Plan]


class _WaitError(Exception):
    """What a curator's plans owe cannot be said now, and waits."""

    def __init__(self, curator_id: ParticipantId) -> None:
        super().__init__(curator_id)
        self.curator_id = curator_id


@dataclass(frozen=True, slots=True)
class Settled:
    """The royalties of one issue, the income of each product that owes any, and who waits.

    ``waiting`` are curators whose plans owe more than the books can hold.
    """

    royalties: tuple[Royalty, ...] = ()
    reports: tuple[IncomeReport, ...] = ()
    waiting: frozenset[ParticipantId] = frozenset()


def plans_in(uow: UnitOfWork, period: str) -> Plans:
    """Return the plans in force in a month, by product."""
    return in_force((stored.plan for stored in store.plans_until(uow, period)), period)


def accounts_of(plans: Plans) -> set[AccountId]:
    """Return the accounts that royalties under these plans move, in both books."""
    keys = [key for plan in plans.values() for key in plan.upstream]
    owners = {party for key in keys for party in (key.product.owner_id, key.upstream.owner_id)}
    found = {
        account_id(book, code, owner)
        for book in Book
        for owner in owners
        for code in (Code.EARNED, Code.VAT_OUT)
    }
    if keys:
        found |= {
            account_id(book, code, OPERATOR)
            for book in Book
            for code in (Code.FEE_INCOME, Code.VAT_OUT)
        }
    return found


def settle(
    uow: UnitOfWork, books: Books, own: str, plans: Mapping[str, Plans], *, now: datetime
) -> Settled:
    """Book what statements have said of sales and no royalty line has said; return the lines.

    What a curator's plans owe beyond what the books can hold waits; nobody else does for it.

    Args:
        uow: The transaction; lines of sales are stored already, and credits marked as told.
        books: Holds `accounts_of` the plans.
        own: The month that is stated.
        plans: The plans in force in it, and in the months that credits are of: of those only what
            refunds take back is said.
        now: The time.
    """
    royalties: list[Royalty] = []
    waiting: frozenset[ParticipantId] = frozenset()
    for period, in_force_then in plans.items():
        due = _due(uow, period, in_force_then, is_own=period == own)
        if due is None:
            continue
        booked, held_up = _book_all(uow, books, due, now=now)
        books.save()
        for each, (accrual, cash) in booked:
            line = each.key, each.plan.sha256, each.income_id, each.said, accrual, cash
            store.add_line(uow, period, store.NewLine(*line))
        uow.session.flush()
        royalties += [royalty for royalty, _ in booked]
        waiting |= held_up
    reports = {each.income_id: each.income for each in royalties}
    return Settled(tuple(royalties), tuple(reports[id_] for id_ in sorted(reports)), waiting)


def outstanding(uow: UnitOfWork, period: str, *, now: datetime) -> Settled:
    """Return the royalties that `settle` would book now, and who would wait; book nothing."""
    plans = plans_in(uow, period)
    due = _due(uow, period, plans, is_own=True)
    if due is None or not due.lines(frozenset())[1]:
        return Settled()
    books = Books.glance(uow, accounts_of(plans), now=now)
    booked, waiting = _book_all(uow, books, due, now=now)
    return Settled(tuple(royalty for royalty, _ in booked), waiting=waiting)


@dataclass(frozen=True, slots=True)
class _Due:
    """What a month's royalties follow from, and what of them lines have said."""

    period: str
    is_own: bool  # of the month that is stated; of others only what is taken back is said
    plans: Plans
    direct: Mapping[Product, Income]
    in_period: Mapping[Key, Recorded]
    in_all: Mapping[Key, Recorded]

    def lines(self, waiting: Collection[ParticipantId]) -> tuple[Flow, dict[Key, Recorded]]:
        """Return what is due, and the next lines of it.

        Args:
            waiting: Of the products of these curators nothing more is said, only less.
        """
        said = {
            key: self.in_period.get(key, Recorded()).micro
            for plan in self.plans.values()
            if not self.is_own or plan.product.owner_id in waiting
            for key in plan.upstream
        }
        found = flow(self.plans, self.direct, at_most=said)
        none = Recorded()
        lines = {
            key: next_line(
                owed,
                in_period=self.in_period.get(key, none),
                in_all=self.in_all.get(key, none),
            )
            for key, owed in sorted(found.royalties.items())
        }
        return found, {key: line for key, line in lines.items() if line.micro != Amounts()}


def _due(uow: UnitOfWork, period: str, plans: Plans, *, is_own: bool) -> _Due | None:
    if not any(plan.edges for plan in plans.values()):
        return None
    usage = usage_in(uow, period)
    said = stated(uow, (each.agreement_id for each in usage), period=period)
    told = {id_: (each.counts, each.micro) for id_, each in said.items() if each.counts.acts}
    sold = less_credits(told, said, credited_in(uow, period, is_told=True))
    in_period, in_all = store.recorded(uow, period=period), store.recorded(uow)
    return _Due(period, is_own, plans, incomes(uow, sold), in_period, in_all)


Booked = list[tuple[Royalty, tuple[EntryId | None, EntryId | None]]]


def _book_all(
    uow: UnitOfWork, books: Books, due: _Due, *, now: datetime
) -> tuple[Booked, frozenset[ParticipantId]]:
    """Post all royalties but of curators whose must wait; return both."""
    numbers = store.reports_by_product(uow, due.period)
    waiting: frozenset[ParticipantId] = frozenset()
    while True:
        found, lines = due.lines(waiting)
        royalties = _royalties(due, found, lines, numbers)
        try:
            with books.all_or_nothing():
                return [(r, _book(books, due, r, now)) for r in royalties], waiting
        except _WaitError as error:
            if error.curator_id in waiting:  # what is taken back does not fit either
                raise LedgerBrokenError(f"royalties taken back: {error.curator_id}") from None
            waiting |= {error.curator_id}


def _royalties(
    due: _Due, found: Flow, lines: Mapping[Key, Recorded], numbers: Mapping[Product, int]
) -> list[Royalty]:
    reports = {
        product: _report(product, found.incomes[product], due.period, numbers.get(product, 0) + 1)
        for product in {key.product for key in lines}
    }
    return [
        Royalty(
            key,
            due.plans[key.product],
            reports[key.product],
            number=due.in_all.get(key, Recorded()).lines_count + 1,
            said=line,
        )
        for key, line in lines.items()
    ]


def less_credits(
    used: Mapping[AgreementId, tuple[Run, Amounts]],
    said: Mapping[AgreementId, Stated],
    credited: Mapping[AgreementId, int],
) -> dict[AgreementId, tuple[Run, Amounts]]:
    """Return what stands of a month after refunds.

    Args:
        used: What each agreement used and cost in it.
        said: What statements of it have said.
        credited: How much of that supply was credited, in won.
    """
    found = {}
    for id_, (counts, amounts) in used.items():
        told = said[id_]
        left = left_after(
            told.counts,
            told.micro,
            credited_won=credited.get(id_, 0),
            stated_won=told.won.supply,
        )
        since = counts.minus(told.counts), amounts - told.micro
        found[id_] = left[0].plus(since[0]), left[1] + since[1]
    return found


def incomes(
    uow: UnitOfWork, sold: Mapping[AgreementId, tuple[Run, Amounts]]
) -> dict[Product, Income]:
    """Add up by product what agreements used and cost."""
    found: dict[Product, Income] = {}
    for id_, agreement in find_agreements(uow, sold).items():
        product = Product(agreement.record.provider_id, agreement.record.dataset_id)
        found[product] = found.get(product, Income()).sold(*sold[id_])
    return found


def _book(
    books: Books, due: _Due, royalty: Royalty, now: datetime
) -> tuple[EntryId | None, EntryId | None]:
    """Post a royalty in micro-won and in won; return the entries' ids.

    Raises:
        _WaitError: An account cannot hold it, or its curator would owe too much.
    """
    key = royalty.key
    kind = Kind.ROYALTY_REFUND if royalty.is_taken_back else Kind.ROYALTY
    cause = ("line", *key.product, *key.upstream, key.role, royalty.number)
    ids = []
    for book, amounts in ((Book.ACCRUAL, royalty.said.micro), (Book.CASH, royalty.said.won)):
        entry = royalty_entry(
            Sale(
                book=book,
                agreement_id=royalty.plan.upstream[key][0].agreement_id,
                consumer_id=key.product.owner_id,
                provider_id=key.upstream.owner_id,
                memo=f"{due.period} {royalty.plan.sealed.product_title} → {royalty.upstream_title}",
                amounts=amounts,
            ),
            kind,
            id_=entry_id(book, kind, *cause),
            now=now,
        )
        if entry is not None:
            _post(books, entry, key.product.owner_id)
        ids.append(None if entry is None else entry.id)
    return ids[0], ids[1]


def _post(books: Books, entry: Entry, curator_id: ParticipantId) -> None:
    try:
        books.post(entry)
    except AmountTooLargeError:
        raise _WaitError(curator_id) from None
    payer = books.account(account_id(Book.ACCRUAL, Code.EARNED, curator_id))
    if entry.kind is Kind.ROYALTY and payer.credit_balance < -DEBT_MICRO_MAX:
        raise _WaitError(curator_id)


def _report(product: Product, income: Income, period: str, number: int) -> IncomeReport:
    name = sha256("\x1f".join(product).encode()).hexdigest()[:24]
    return IncomeReport(
        income_id=f"{period}-{name}-{number}",
        curator_id=product.owner_id,
        product_id=product.dataset_id,
        period=period,
        number=number,
        acts_count=income.acts,
        queries_count=income.queries,
        rows_count=income.rows,
        bytes_count=income.bytes,
        supply_micro=income.supply,
        fee_micro=income.fee,
        received_micro=income.received,
        received_fee_micro=income.received_fee,
    )


def seal_reports(uow: UnitOfWork, reports: Iterable[IncomeReport], to: Log) -> None:
    """Seal and store income reports, before the statements that follow from them.

    Raises:
        LogBrokenError: The log does not continue what was signed.
    """
    for report in reports:
        seal = to.seal(uow, SealKind.INCOME, report.income_id, report.sha256)
        store.add_report(uow, report, seal)
