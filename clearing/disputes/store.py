"""Rows of disputes, moves and credits. Only ever added: triggers refuse the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Date, Text, exists, func, select
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.disputes.model import Dispute
from clearing.disputes.refund import Line, Place
from clearing.ledger.entries import entry_id
from clearing.ledger.model import Book, Code, EntryId, Kind
from clearing.ledger.store import AccountRow
from clearing.rating.rate import Amounts
from clearing.settlement.store import StatementLineRow
from databank.kit.db import UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.dispute import (
    CreditPart,
    DisputeMove,
    DisputeReason,
    SealedMove,
)
from schemas.ids import AgreementId, ParticipantId

LISTED_MAX: Final = 500


class DisputeRow(SQLModel, table=True):
    """One dispute: what stands from its beginning."""

    __tablename__ = "clearing_dispute"
    dispute_id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="clearing_agreement.agreement_id", index=True)
    provider_id: str = Field(index=True)
    consumer_id: str = Field(index=True)
    period: str
    reason: str
    claimed_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    difference_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    opened_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    evidence_until: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    ends_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class DisputeMoveRow(SQLModel, table=True):
    """One move as it was sealed; the last of an ended dispute has ``is_end``."""

    __tablename__ = "clearing_dispute_move"
    dispute_id: str = Field(primary_key=True, foreign_key="clearing_dispute.dispute_id")
    number: int = Field(primary_key=True)
    is_end: bool
    document: str = Field(sa_column=Column(Text, nullable=False))
    seal: str = Field(sa_column=Column(Text, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class CreditRow(SQLModel, table=True):
    """What a refund takes back of one statement line; ``issue_period`` is when it is stated."""

    __tablename__ = "clearing_credit"
    dispute_id: str = Field(primary_key=True, foreign_key="clearing_dispute.dispute_id")
    period: str = Field(primary_key=True)
    line: int = Field(primary_key=True)
    agreement_id: str = Field(index=True)
    entry_id: str = Field(index=True)  # the entry that booked the line
    issue_period: str = Field(index=True)
    decided_on: date = Field(sa_column=Column(Date, nullable=False))
    before_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    supply_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))


class CreditStatedRow(SQLModel, table=True):
    """That a statement says a credit."""

    __tablename__ = "clearing_credit_stated"
    dispute_id: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    line: int = Field(primary_key=True)


@dataclass(frozen=True, slots=True)
class Credit:
    """What a refund took back of a line."""

    dispute_id: str
    agreement_id: AgreementId
    part: CreditPart
    amounts: Amounts
    entry_id: EntryId
    issue_period: str
    decided_on: date


@dataclass(frozen=True, slots=True)
class Booked:
    """A statement line and the entry of the cash book that booked it."""

    line: Line
    entry_id: EntryId


def lines_of(uow: UnitOfWork, agreement_id: AgreementId, period: str) -> list[Booked]:
    """Return what statements have said of an agreement's month, oldest first."""
    query = (
        select_rows(StatementLineRow)
        .where(col(StatementLineRow.agreement_id) == agreement_id)
        .where(col(StatementLineRow.period) == period)
        .order_by(col(StatementLineRow.id))
    )
    found, acts = [], 0
    for number, row in enumerate(uow.session.exec(query), 1):
        acts += row.acts  # statements name their entries by the acts stated so far
        amounts = Amounts(row.supply_won, row.vat_won, row.fee_won, row.fee_vat_won)
        id_ = entry_id(Book.CASH, Kind.STATEMENT, period, agreement_id, acts)
        found.append(Booked(Line(period, number, amounts), id_))
    return found


def credited(uow: UnitOfWork, agreement_id: AgreementId) -> dict[Place, int]:
    """Return how much supply of each of an agreement's lines was credited."""
    query = select_rows(CreditRow).where(col(CreditRow.agreement_id) == agreement_id)
    found: dict[Place, int] = {}
    for row in uow.session.exec(query):
        place = row.period, row.line
        found[place] = found.get(place, 0) + row.supply_won
    return found


def add_credits(uow: UnitOfWork, made: Iterable[Credit]) -> None:
    """Store what a refund took back, for good."""
    for each in made:
        part, amounts = each.part, each.amounts
        row = CreditRow(
            dispute_id=each.dispute_id,
            period=part.period,
            line=part.line,
            agreement_id=each.agreement_id,
            entry_id=each.entry_id,
            issue_period=each.issue_period,
            decided_on=each.decided_on,
            before_won=part.before_won,
            supply_won=part.supply_won,
            vat_won=amounts.vat,
            fee_won=amounts.fee,
            fee_vat_won=amounts.fee_vat,
        )
        uow.session.add(row)
    uow.session.flush()


_CREDITED: Final = select(
    col(CreditRow.agreement_id), func.sum(col(CreditRow.supply_won)).label("won")
).group_by(col(CreditRow.agreement_id))
_TOLD: Final = exists().where(
    col(CreditStatedRow.dispute_id) == col(CreditRow.dispute_id),
    col(CreditStatedRow.period) == col(CreditRow.period),
    col(CreditStatedRow.line) == col(CreditRow.line),
)


def unstated(uow: UnitOfWork, issue_period: str) -> list[Credit]:
    """Return the credits of a period that no statement says yet, in the order of disputes."""
    query = (
        select_rows(CreditRow)
        .where(col(CreditRow.issue_period) == issue_period, ~_TOLD)
        .order_by(col(CreditRow.dispute_id), col(CreditRow.period), col(CreditRow.line))
    )
    return [_from_credit(row) for row in uow.session.exec(query)]


def credited_in(uow: UnitOfWork, period: str, *, is_told: bool) -> dict[AgreementId, int]:
    """Return how much supply of a month was credited, in won, by agreement.

    Args:
        uow: The transaction.
        period: The month that the lines are of.
        is_told: Only what statements say already.
    """
    query = _CREDITED.where(col(CreditRow.period) == period)
    rows = uow.session.execute(query.where(_TOLD) if is_told else query)
    return {AgreementId(row.agreement_id): int(row.won) for row in rows}


def mark_stated(uow: UnitOfWork, said: Iterable[Credit]) -> None:
    """Record that statements say these credits."""
    for each in said:
        part = each.part
        row = CreditStatedRow(dispute_id=each.dispute_id, period=part.period, line=part.line)
        uow.session.add(row)
    uow.session.flush()


_CREDIT: Final = table_of(CreditRow)
_ON_ENTRIES: Final = select(_CREDIT).where(among(_CREDIT.c.entry_id, "ids"))


def credits_on(uow: UnitOfWork, entries: Iterable[EntryId]) -> dict[EntryId, Amounts]:
    """Return what was taken back of the sales that these entries booked."""
    found: dict[EntryId, Amounts] = {}
    for row in uow.run(_ON_ENTRIES, ids=sorted(set(entries))):
        id_ = EntryId(row.entry_id)
        found[id_] = found.get(id_, Amounts()) + _from_credit(row).amounts
    return found


def _from_credit(row: Any) -> Credit:  # noqa: ANN401 - a CreditRow or a row of its table
    return Credit(
        dispute_id=row.dispute_id,
        agreement_id=AgreementId(row.agreement_id),
        part=CreditPart(
            period=row.period,
            line=row.line,
            before_won=row.before_won,
            supply_won=row.supply_won,
        ),
        amounts=Amounts(row.supply_won, row.vat_won, row.fee_won, row.fee_vat_won),
        entry_id=EntryId(row.entry_id),
        issue_period=row.issue_period,
        decided_on=row.decided_on,
    )


def owners_owing(uow: UnitOfWork) -> list[ParticipantId]:
    """Return who must give back, in the cash book, what was refunded after it was paid out."""
    table = table_of(AccountRow)
    query = (
        select(table.c.owner_id)
        .where(table.c.book == Book.CASH, table.c.code == Code.RECOVERABLE)
        .where(table.c.debits_posted > table.c.credits_posted)
        .order_by(table.c.owner_id)
    )
    return [ParticipantId(id_) for id_ in uow.session.execute(query).scalars()]


def add_dispute(uow: UnitOfWork, dispute: Dispute) -> None:
    """Store a new dispute; its moves are added apart."""
    uow.session.add(
        DisputeRow(
            dispute_id=dispute.id,
            agreement_id=dispute.agreement_id,
            provider_id=dispute.provider_id,
            consumer_id=dispute.consumer_id,
            period=dispute.period,
            reason=dispute.reason.value,
            claimed_won=dispute.claimed_won,
            difference_won=dispute.difference_won,
            opened_at=dispute.opened_at,
            evidence_until=dispute.evidence_until,
            ends_at=dispute.ends_at,
        )
    )
    uow.session.flush()


def add_move(uow: UnitOfWork, sealed: SealedMove, *, is_end: bool) -> None:
    """Store a move for good."""
    move = sealed.move
    uow.session.add(
        DisputeMoveRow(
            dispute_id=move.dispute_id,
            number=move.number,
            is_end=is_end,
            document=move.model_dump_json(exclude_none=True),
            seal=sealed.seal,
            recorded_at=move.at,
        )
    )
    uow.session.flush()


def find_dispute(uow: UnitOfWork, dispute_id: str, *, lock: bool = False) -> Dispute | None:
    """Return a dispute, locked until the transaction ends where one wants to add a move."""
    query = select_rows(DisputeRow).where(col(DisputeRow.dispute_id) == dispute_id)
    row = uow.session.exec(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _from_rows(row, moves_of(uow, dispute_id))


def moves_of(uow: UnitOfWork, dispute_id: str) -> list[SealedMove]:
    """Return a dispute's moves with their seals."""
    query = (
        select_rows(DisputeMoveRow)
        .where(col(DisputeMoveRow.dispute_id) == dispute_id)
        .order_by(col(DisputeMoveRow.number))
    )
    return [
        SealedMove(move=DisputeMove.model_validate_json(row.document), seal=row.seal)
        for row in uow.session.exec(query)
    ]


def end_of(uow: UnitOfWork, dispute_id: str) -> SealedMove | None:
    """Return the move that ended a dispute."""
    query = select_rows(DisputeMoveRow).where(
        col(DisputeMoveRow.dispute_id) == dispute_id, col(DisputeMoveRow.is_end).is_(True)
    )
    row = uow.session.exec(query).one_or_none()
    if row is None:
        return None
    return SealedMove(move=DisputeMove.model_validate_json(row.document), seal=row.seal)


def disputes(
    uow: UnitOfWork, *, party: ParticipantId | None = None, limit: int = LISTED_MAX
) -> list[Dispute]:
    """Return disputes, the newest first: all, or those of a party."""
    query = select_rows(DisputeRow).order_by(
        col(DisputeRow.opened_at).desc(), col(DisputeRow.dispute_id)
    )
    if party is not None:
        is_theirs = (col(DisputeRow.provider_id) == party) | (col(DisputeRow.consumer_id) == party)
        query = query.where(is_theirs)
    rows = uow.session.exec(query.limit(limit)).all()
    return [_from_rows(row, moves_of(uow, row.dispute_id)) for row in rows]


def disputes_about(uow: UnitOfWork, agreement_id: AgreementId, period: str) -> list[Dispute]:
    """Return all disputes about an agreement's month, in order."""
    query = (
        select_rows(DisputeRow)
        .where(col(DisputeRow.agreement_id) == agreement_id, col(DisputeRow.period) == period)
        .order_by(col(DisputeRow.opened_at), col(DisputeRow.dispute_id))
    )
    rows = uow.session.exec(query).all()
    return [_from_rows(row, moves_of(uow, row.dispute_id)) for row in rows]


def overdue(uow: UnitOfWork, now: datetime) -> list[str]:
    """Return the disputes whose time is over and that have not ended."""
    dispute = table_of(DisputeRow)
    move = table_of(DisputeMoveRow)
    ended = select(move.c.dispute_id).where(move.c.is_end.is_(True))
    query = (
        select(dispute.c.dispute_id)
        .where(dispute.c.ends_at <= now, dispute.c.dispute_id.not_in(ended))
        .order_by(dispute.c.dispute_id)
    )
    return list(uow.session.execute(query).scalars())


def _from_rows(row: DisputeRow, sealed: Sequence[SealedMove]) -> Dispute:
    return Dispute(
        id=row.dispute_id,
        agreement_id=AgreementId(row.agreement_id),
        provider_id=ParticipantId(row.provider_id),
        consumer_id=ParticipantId(row.consumer_id),
        period=row.period,
        reason=DisputeReason(row.reason),
        claimed_won=row.claimed_won,
        difference_won=row.difference_won,
        opened_at=row.opened_at,
        evidence_until=row.evidence_until,
        ends_at=row.ends_at,
        moves=tuple(each.move for each in sealed),
    )
