"""Royalties at the close: what statements say of sales makes due, booked in both books.

They follow from what statements have said of a product's agreements, line by line of those, so a
royalty is never ahead of the sale that it is of. The period's lock and the accounts' are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from clearing.agreements.store import find_agreements
from clearing.ledger.entries import Sale, entry_id, royalty_entry
from clearing.ledger.model import AccountId, Book, Code, EntryId, Kind, account_id
from clearing.ledger.service import Books
from clearing.log.service import Log
from clearing.rating.rate import Amounts, Run
from clearing.rating.store import usage_in
from clearing.settlement.store import stated
from clearing.shares import store
from clearing.shares.model import (
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
    next_line,
)
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId
from schemas.seal import SealKind
from schemas.shares import IncomeReport

Plans = Mapping[Product, Plan]


@dataclass(frozen=True, slots=True)
class Settled:
    """The royalties of one issue, and the income of each product that owes any."""

    royalties: tuple[Royalty, ...] = ()
    reports: tuple[IncomeReport, ...] = field(default=())


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


def settle(uow: UnitOfWork, books: Books, period: str, plans: Plans, *, now: datetime) -> Settled:
    """Book what statements have said of sales and no royalty line has said; return the lines.

    Args:
        uow: The transaction; lines of sales are stored already.
        books: Holds `accounts_of` the plans.
        period: The month.
        plans: The plans in force in it.
        now: The time.
    """
    new = _unsaid(uow, period, plans)
    if not new.lines:
        return Settled()
    numbers = store.reports_by_product(uow, period)
    reports = {
        product: _report(product, new.flow.incomes[product], period, numbers.get(product, 0) + 1)
        for product in sorted({key.product for key in new.lines})
    }
    royalties = tuple(
        Royalty(
            key,
            plans[key.product],
            reports[key.product].income_id,
            number=new.in_all.get(key, Recorded()).lines_count + 1,
            said=line,
        )
        for key, line in new.lines.items()
    )
    booked = [(each, _book(books, period, each, new.flow, now)) for each in royalties]
    books.save()
    for each, (accrual, cash) in booked:
        line = store.NewLine(each.key, each.plan.sha256, each.income_id, each.said, accrual, cash)
        store.add_line(uow, period, line)
    uow.session.flush()
    return Settled(royalties, tuple(reports.values()))


def is_outstanding(uow: UnitOfWork, period: str) -> bool:
    """Whether sales that statements have said make something due that no line says."""
    return bool(_unsaid(uow, period, plans_in(uow, period)).lines)


@dataclass(frozen=True, slots=True)
class _Unsaid:
    """What a month makes due, what of it no line says, and what all lines have said."""

    flow: Flow = field(default_factory=Flow)
    lines: Mapping[Key, Recorded] = field(default_factory=dict)
    in_all: Mapping[Key, Recorded] = field(default_factory=dict)


def _unsaid(uow: UnitOfWork, period: str, plans: Plans) -> _Unsaid:
    if not any(plan.edges for plan in plans.values()):
        return _Unsaid()
    usage = usage_in(uow, period)
    said = stated(uow, (each.agreement_id for each in usage), period=period)
    sold = {id_: (each.counts, each.micro) for id_, each in said.items() if each.counts.acts}
    found = flow(plans, incomes(uow, sold))
    in_period, in_all = store.recorded(uow, period=period), store.recorded(uow)
    none = Recorded()
    lines = {
        key: next_line(owed, in_period=in_period.get(key, none), in_all=in_all.get(key, none))
        for key, owed in sorted(found.royalties.items())
    }
    new = {key: line for key, line in lines.items() if line.micro != Amounts()}
    return _Unsaid(found, new, in_all)


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
    books: Books, period: str, royalty: Royalty, found: Flow, now: datetime
) -> tuple[EntryId | None, EntryId | None]:
    """Post a royalty in micro-won and in won; return the entries' ids."""
    key = royalty.key
    so_far = found.royalties[key].supply  # names the entries: it grows with every line
    cause = (period, *key.product, *key.upstream, key.role, so_far)
    ids = []
    for book, amounts in ((Book.ACCRUAL, royalty.said.micro), (Book.CASH, royalty.said.won)):
        entry = royalty_entry(
            Sale(
                book=book,
                agreement_id=royalty.plan.upstream[key][0].agreement_id,
                consumer_id=key.product.owner_id,
                provider_id=key.upstream.owner_id,
                memo=f"{period} {royalty.plan.sealed.product_title} → {royalty.upstream_title}",
                amounts=amounts,
            ),
            id_=entry_id(book, Kind.ROYALTY, *cause),
            now=now,
        )
        if entry is not None:
            books.post(entry)
        ids.append(None if entry is None else entry.id)
    return ids[0], ids[1]


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


def seal_reports(uow: UnitOfWork, reports: Iterable[IncomeReport], log: Log) -> None:
    """Seal and store income reports, before the statements that follow from them.

    Raises:
        LogBrokenError: The log does not continue what was signed.
    """
    for report in reports:
        seal = log.seal(uow, SealKind.INCOME, report.income_id, report.sha256)
        store.add_report(uow, report, seal)
