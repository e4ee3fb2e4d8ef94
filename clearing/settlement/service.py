"""Closing a period: lines in whole won, entries in the cash book, one document per party."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from clearing.agreements.store import find_agreements
from clearing.disputes.credits import credit_lines
from clearing.disputes.store import mark_stated, unstated
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


@dataclass(frozen=True, slots=True)
class Line:
    """What one issue says about one agreement."""

    record: AgreementRecord
    stated: store.Stated


def issue(uow: UnitOfWork, period: str, log: Log, *, now: datetime) -> tuple[Statement, ...]:
    """Issue statements for what no statement of this period has said yet; return the new ones.

    The caller holds the period's lock.

    Raises:
        LogBrokenError: The log does not continue what was signed.
    """
    drafts = draft(uow, period, now=now)
    for statement in drafts:
        json = statement.to_json()
        text, sha256 = canonical_bytes(json).decode(), digest(json)
        seal = log.seal(uow, SealKind.STATEMENT, statement.statement_id, sha256)
        document = store.Document(
            statement.participant_id, period, statement.number, text, sha256, seal
        )
        store.add_document(uow, statement.statement_id, document, issued_at=now)
    return drafts


def draft(uow: UnitOfWork, period: str, *, now: datetime) -> tuple[Statement, ...]:
    """Store lines, book cash, and return the statements that say so, neither sealed nor stored."""
    lines, credited = _new_lines(uow, period), unstated(uow, period)
    if lines:
        store.add_lines(uow, period, {id_: line.stated for id_, line in lines.items()})
        _book_cash(uow, period, lines, now)
    mark_stated(uow, credited)  # booked when their disputes ended
    return _documents(uow, period, lines, credit_lines(uow, credited), now)


def lock_usage(uow: UnitOfWork, period: str) -> None:
    """Let nobody book usage under the agreements of a period until the transaction ends."""
    lock_meters(uow, (usage.agreement_id for usage in usage_in(uow, period)))


def has_unstated(uow: UnitOfWork, period: str) -> bool:
    """Whether something of the period was booked that no statement says."""
    if unstated(uow, period):
        return True
    usage = {each.agreement_id: each.counts.acts for each in usage_in(uow, period)}
    said = store.stated(uow, usage, period=period)
    return any(said[id_].counts.acts != acts for id_, acts in usage.items())


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


def _book_cash(uow: UnitOfWork, period: str, lines: dict[AgreementId, Line], now: datetime) -> None:
    """Post each line in the cash book, in won."""
    sales = [
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
    so_far = store.stated(uow, lines, period=period)  # with this issue: names its entries
    accounts = {id_ for sale in sales for id_ in (*sale.wallet.accounts, *sale.credit_accounts)}
    books = Books.open(uow, accounts, now=now)
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


def _documents(
    uow: UnitOfWork,
    period: str,
    lines: dict[AgreementId, Line],
    credited: Mapping[ParticipantId, list[CreditLine]],
    now: datetime,
) -> tuple[Statement, ...]:
    """Return one statement for each party of the lines and credits, by id."""
    purchases: dict[ParticipantId, list[Line]] = defaultdict(list)
    sales: dict[ParticipantId, list[Line]] = defaultdict(list)
    for line in lines.values():
        purchases[line.record.consumer_id].append(line)
        sales[line.record.provider_id].append(line)
    ids = sorted({*purchases, *sales, *credited})
    parties = find_parties(uow, ids)
    issued = defaultdict(int)
    for document in store.documents(uow, period):
        issued[document.participant_id] = document.number
    return tuple(
        _statement(
            parties,
            parties[id_],
            period=period,
            number=issued[id_] + 1,
            purchases=purchases[id_],
            sales=sales[id_],
            credited=credited.get(id_, []),
            now=now,
        )
        for id_ in ids
    )


def _statement(
    parties: dict[ParticipantId, Party],
    party: Party,
    *,
    period: str,
    number: int,
    purchases: list[Line],
    sales: list[Line],
    credited: list[CreditLine],
    now: datetime,
) -> Statement:
    draft = Statement(
        statement_id=f"{period}-{party.handle}-{number}",
        number=number,
        participant_id=party.id,
        participant_name=party.name,
        brn=party.brn,
        period=period,
        issued_at=now,
        purchases=tuple(_bought(line, parties) for line in purchases),
        sales=tuple(_sold(line, parties) for line in sales),
        credits=tuple(credited) or None,
        purchases_total_won=0,
        sales_total_won=0,
        vat_paid_won=0,
        vat_collected_won=0,
        fee_total_won=0,
    )
    return draft.model_copy(update=draft.sums())


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
