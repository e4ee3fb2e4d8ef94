"""Closing a period: lines in whole won, entries in the cash book, one document per party."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clearing.agreements.store import find_agreements
from clearing.disputes.credits import credit_lines
from clearing.disputes.store import Credit, mark_stated, unstated
from clearing.ledger import store as ledger_store
from clearing.ledger.entries import Sale, entry_id, sale_entry
from clearing.ledger.model import Book, Kind
from clearing.ledger.service import Books
from clearing.log.service import Log
from clearing.metering.store import count_records
from clearing.parties.store import Party, find_parties
from clearing.rating.rate import Amounts, Run
from clearing.rating.store import PeriodUsage, lock_meters, usage_in
from clearing.settlement import store
from clearing.settlement.lines import line_won
from clearing.shares import booking
from clearing.shares.lines import Told, royalty_lines
from clearing.shares.model import Royalty
from databank.kit.db import UnitOfWork
from schemas.bank import (
    AgreementRecord,
    CreditLine,
    Payment,
    PaymentList,
    Statement,
    StatementLine,
    StatementList,
    TrialBalance,
)
from schemas.canonical import canonical_bytes, digest
from schemas.ids import AgreementId, ParticipantId
from schemas.problem import NotFoundError
from schemas.seal import SealKind
from schemas.shares import IncomeReport


@dataclass(frozen=True, slots=True)
class Line:
    """What one issue says about one agreement."""

    record: AgreementRecord
    stated: store.Stated


@dataclass(frozen=True, slots=True)
class Draft:
    """What one issue says, neither sealed nor stored as documents."""

    statements: tuple[Statement, ...] = ()
    reports: tuple[IncomeReport, ...] = ()
    waiting: frozenset[ParticipantId] = frozenset()  # whose royalties the books cannot hold


def issue(
    uow: UnitOfWork, period: str, credited: list[Credit], log: Log, *, now: datetime
) -> Draft:
    """Issue statements for what no statement of this period has said yet; return what is new.

    Args:
        uow: The transaction.
        period: The month.
        credited: What `lock` has returned.
        log: Seals what is issued.
        now: The time.

    Raises:
        LogBrokenError: The log does not continue what was signed.
    """
    drafted = draft(uow, period, credited, now=now)
    booking.seal_reports(uow, drafted.reports, log)
    for statement in drafted.statements:
        json = statement.to_json()
        text, sha256 = canonical_bytes(json).decode(), digest(json)
        seal = log.seal(uow, SealKind.STATEMENT, statement.statement_id, sha256)
        document = store.Document(
            statement.participant_id, period, statement.number, text, sha256, seal
        )
        store.add_document(uow, statement.statement_id, document, issued_at=now)
    return drafted


def draft(uow: UnitOfWork, period: str, credited: list[Credit], *, now: datetime) -> Draft:
    """Store lines, book them with the royalties that follow, and return what says so.

    ``credited`` is what `lock` has returned.
    """
    lines = _new_lines(uow, period)
    if lines:
        store.add_lines(uow, period, {id_: line.stated for id_, line in lines.items()})
    plans = {each: booking.plans_in(uow, each) for each in _months(period, credited)}
    if not lines and not credited and not any(plans.values()):
        return Draft()
    sales = _sales(period, lines)
    accounts = {id_ for sale in sales for id_ in (*sale.wallet.accounts, *sale.credit_accounts)}
    accounts = accounts.union(*(booking.accounts_of(each) for each in plans.values()))
    books = Books.open(uow, accounts, now=now)
    _book_cash(uow, books, period, sales, now)
    mark_stated(uow, credited)  # booked when their disputes ended
    settled = booking.settle(uow, books, period, plans, now=now)
    documents = _documents(
        uow, period, lines, settled.royalties, credited=credit_lines(uow, credited), now=now
    )
    return Draft(documents, settled.reports, settled.waiting)


def lock(uow: UnitOfWork, period: str) -> list[Credit]:
    """Lock a period, and return the credits that its next statements tell.

    Nobody states it, nor royalties of the months that the credits are of, nor books usage under the
    period's agreements until the transaction ends. Months are locked from the latest to the
    earliest, and before anything else.
    """
    store.lock_period(uow, period)
    credited = unstated(uow, period)
    for each in _months(period, credited)[1:]:
        store.lock_period(uow, each)
    lock_meters(uow, (usage.agreement_id for usage in usage_in(uow, period)))
    return credited


def _months(period: str, credited: Iterable[Credit]) -> list[str]:
    """Return a month and those that its credits are of, later ones first."""
    others = {each.part.period for each in credited} - {period}
    return [period, *sorted(others, reverse=True)]


@dataclass(frozen=True, slots=True)
class Unstated:
    """Whether something was booked, or is shared, that no statement of its month says.

    ``waiting`` are curators whose royalties the books cannot hold: no statement would say them.
    """

    is_any: bool
    waiting: frozenset[ParticipantId]


def unstated_of(uow: UnitOfWork, period: str, *, now: datetime) -> Unstated:
    """Return what a month's statements have left to say."""
    usage = {each.agreement_id: each.counts.acts for each in usage_in(uow, period)}
    said = store.stated(uow, usage, period=period)
    is_used = any(said[id_].counts.acts != acts for id_, acts in usage.items())
    shares = booking.outstanding(uow, period, now=now)
    is_any = is_used or bool(shares.royalties) or bool(unstated(uow, period))
    return Unstated(is_any, shares.waiting)


def all_of(uow: UnitOfWork, period: str) -> StatementList:
    """Return the statements of a period."""
    found = store.documents(uow, period)
    return StatementList(
        statements=tuple(Statement.model_validate_json(document.json) for document in found)
    )


def document_of(
    uow: UnitOfWork, period: str, participant_id: ParticipantId, *, number: int | None
) -> store.Document:
    """Return a participant's statement as it was issued; without a number, the latest.

    Raises:
        NotFoundError: There is none.
    """
    found = store.documents(uow, period, participant_id=participant_id)
    chosen = [d for d in found if number is None or d.number == number]
    if not chosen:
        raise NotFoundError(
            ko=f"{period} 명세서가 없습니다. 아직 발행되지 않았거나 거래가 없었습니다.",
            en=f"There is no such statement for {period}: not issued yet, or nothing was used.",
            issued_count=len(found),
        )
    return chosen[-1]


def _new_lines(uow: UnitOfWork, period: str) -> dict[AgreementId, Line]:
    ids = [usage.agreement_id for usage in usage_in(uow, period)]
    lock_meters(uow, ids)  # whoever books usage waits until the period is stated
    in_period = store.stated(uow, ids, period=period)
    in_all = store.stated(uow, ids)
    agreements = find_agreements(uow, ids)
    lines = {}
    for usage in usage_in(uow, period):
        id_ = usage.agreement_id
        if id_ not in in_period or usage.counts.acts == in_period[id_].counts.acts:
            continue
        micro = usage.amounts - in_period[id_].micro
        won = line_won(stated_micro=in_all[id_].micro, stated_won=in_all[id_].won, new_micro=micro)
        counts = _less(usage.counts, in_period[id_].counts)
        lines[id_] = Line(agreements[id_].record, store.Stated(counts, micro, won))
    return lines


def _less(left: Run, right: Run) -> Run:
    return Run(
        left.month,
        left.acts - right.acts,
        left.queries - right.queries,
        left.rows - right.rows,
        left.bytes - right.bytes,
    )


def _sales(period: str, lines: dict[AgreementId, Line]) -> list[Sale]:
    """Return each line as the cash book has it, in won."""
    return [
        Sale(
            book=Book.CASH,
            agreement_id=id_,
            consumer_id=line.record.consumer_id,
            provider_id=line.record.provider_id,
            memo=f"{period} {line.record.dataset_title}",
            amounts=line.stated.won,
        )
        for id_, line in lines.items()
    ]


def _book_cash(
    uow: UnitOfWork, books: Books, period: str, sales: list[Sale], now: datetime
) -> None:
    """Post sales in the cash book."""
    ids = [sale.agreement_id for sale in sales]
    so_far = store.stated(uow, ids, period=period)  # with this issue: names its entries
    for sale in sales:
        acts = so_far[sale.agreement_id].counts.acts
        entry = sale_entry(
            sale,
            id_=entry_id(Book.CASH, Kind.STATEMENT, period, sale.agreement_id, acts),
            kind=Kind.STATEMENT,
            deposit=books.account(sale.wallet.deposit),
            holds=(),
            occurred_at=now,
        )
        if entry is not None:
            books.post(entry)
    books.save()


@dataclass(slots=True)
class _Said:
    """What one issue says to one party."""

    purchases: list[Line] = field(default_factory=list)
    sales: list[Line] = field(default_factory=list)
    royalties: Told = field(default_factory=Told)
    credits: list[CreditLine] = field(default_factory=list)


def _documents(
    uow: UnitOfWork,
    period: str,
    lines: dict[AgreementId, Line],
    royalties: Iterable[Royalty],
    *,
    credited: Mapping[ParticipantId, list[CreditLine]],
    now: datetime,
) -> tuple[Statement, ...]:
    """Return one statement for each party of the lines and credits, by id."""
    said: dict[ParticipantId, _Said] = defaultdict(_Said)
    for line in lines.values():
        said[line.record.consumer_id].purchases.append(line)
        said[line.record.provider_id].sales.append(line)
    for id_, told in royalty_lines(uow, royalties, stated_in=period).items():
        said[id_].royalties = told
    for id_, taken_back in credited.items():
        said[id_].credits += taken_back
    parties = find_parties(uow, said)
    issued = defaultdict(int)
    for document in store.documents(uow, period):
        issued[document.participant_id] = document.number
    return tuple(
        _statement(
            parties,
            parties[id_],
            said[id_],
            period=period,
            number=issued[id_] + 1,
            now=now,
        )
        for id_ in sorted(said)
    )


def _statement(
    parties: dict[ParticipantId, Party],
    party: Party,
    said: _Said,
    *,
    period: str,
    number: int,
    now: datetime,
) -> Statement:
    statement = Statement(
        statement_id=f"{period}-{party.handle}-{number}",
        number=number,
        participant_id=party.id,
        participant_name=party.name,
        brn=party.brn,
        period=period,
        issued_at=now,
        purchases=tuple(_bought(line, parties) for line in said.purchases),
        sales=tuple(_sold(line, parties) for line in said.sales),
        credits=tuple(said.credits) or None,
        royalties_paid=tuple(said.royalties.paid) or None,
        royalties_received=tuple(said.royalties.received) or None,
        purchases_total_won=0,
        sales_total_won=0,
        vat_paid_won=0,
        vat_collected_won=0,
        fee_total_won=0,
    )
    return statement.model_copy(update=statement.sums())


def _bought(line: Line, parties: dict[ParticipantId, Party]) -> StatementLine:
    won = line.stated.won
    return _line(line, parties[line.record.provider_id], Amounts(won.supply, won.vat))


def _sold(line: Line, parties: dict[ParticipantId, Party]) -> StatementLine:
    return _line(line, parties[line.record.consumer_id], line.stated.won)


def _line(line: Line, counterparty: Party, won: Amounts) -> StatementLine:
    counts = line.stated.counts
    return StatementLine(
        agreement_id=line.record.agreement_id,
        dataset_title=line.record.dataset_title,
        counterparty_id=counterparty.id,
        counterparty_name=counterparty.name,
        queries_count=counts.queries,
        rows_count=counts.rows,
        bytes_count=counts.bytes,
        supply_won=won.supply,
        vat_won=won.vat,
        fee_won=won.fee,
        fee_vat_won=won.fee_vat,
        net_won=won.earned + won.vat,
    )


def payments_in(uow: UnitOfWork, period: str) -> PaymentList:
    """Return who paid whom in a period."""
    usage = usage_in(uow, period)
    ids = [each.agreement_id for each in usage]
    records = {id_: found.record for id_, found in find_agreements(uow, ids).items()}
    said = store.stated(uow, ids, period=period)
    groups: dict[tuple[ParticipantId, ParticipantId], list[PeriodUsage]] = defaultdict(list)
    for each in usage:
        record = records[each.agreement_id]
        groups[record.consumer_id, record.provider_id].append(each)
    parties = find_parties(uow, (id_ for pair in groups for id_ in pair))
    return PaymentList(
        period=period,
        payments=tuple(
            _payment(
                parties[consumer],
                parties[supplier],
                group,
                sum((said[each.agreement_id].won for each in group), Amounts()),
            )
            for (consumer, supplier), group in sorted(groups.items())
        ),
    )


def _payment(
    consumer: Party, supplier: Party, usage: Iterable[PeriodUsage], won: Amounts
) -> Payment:
    group = list(usage)
    micro = sum((each.amounts for each in group), Amounts())
    return Payment(
        consumer_id=consumer.id,
        consumer_name=consumer.name,
        supplier_id=supplier.id,
        supplier_name=supplier.name,
        queries_count=sum(each.counts.queries for each in group),
        rows_count=sum(each.counts.rows for each in group),
        bytes_count=sum(each.counts.bytes for each in group),
        supply_micro=micro.supply,
        vat_micro=micro.vat,
        fee_micro=micro.fee,
        fee_vat_micro=micro.fee_vat,
        supply_won=won.supply,
        vat_won=won.vat,
        fee_won=won.fee,
        fee_vat_won=won.fee_vat,
    )


def trial_balance(uow: UnitOfWork) -> TrialBalance:
    """Add up both books."""
    sums = ledger_store.book_sums(uow)
    return TrialBalance(
        accrual_debits_micro=sums[Book.ACCRUAL].debits_posted,
        accrual_credits_micro=sums[Book.ACCRUAL].credits_posted,
        cash_debits_won=sums[Book.CASH].debits_posted,
        cash_credits_won=sums[Book.CASH].credits_posted,
        records_count=count_records(uow),
        entries_count=ledger_store.count_entries(uow),
    )
