"""Rows of statements. A statement is never changed: triggers refuse it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
)
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.rating.rate import Amounts, Run
from databank.kit.db import SERIAL, InsertNew, UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.ids import AgreementId, ParticipantId


class PeriodRow(SQLModel, table=True):
    """A period that statements were issued for; locked while they are."""

    __tablename__ = "clearing_period"
    period: str = Field(primary_key=True)


class StatementRow(SQLModel, table=True):
    """One statement: its canonical JSON and the hash of that."""

    __tablename__ = "clearing_statement"
    __table_args__ = (
        UniqueConstraint("participant_id", "period", "number", name="clearing_statement_number"),
    )
    statement_id: str = Field(primary_key=True)
    participant_id: str
    period: str = Field(index=True)
    number: int
    document: str = Field(sa_column=Column(Text, nullable=False))
    document_sha256: str
    issued_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    seal: str | None = Field(default=None, sa_column=Column(Text))  # none before there was a log


class StatementLineRow(SQLModel, table=True):
    """What one issue said about one agreement: micro-won it was about, won it stated."""

    __tablename__ = "clearing_statement_line"
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    agreement_id: str = Field(foreign_key="clearing_agreement.agreement_id", index=True)
    period: str = Field(index=True)
    acts: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    compute_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    supply_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    supply_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True, slots=True)
class Document:
    """A stored statement."""

    participant_id: ParticipantId
    period: str
    number: int
    json: str
    sha256: str
    seal: str | None


@dataclass(frozen=True, slots=True)
class Stated:
    """What statements have said about an agreement so far."""

    counts: Run
    micro: Amounts = field(default_factory=Amounts)
    won: Amounts = field(default_factory=Amounts)


_SUMMED: Final = (
    "acts", "queries", "rows", "bytes", "compute_ms",
    "supply_micro", "vat_micro", "fee_micro", "fee_vat_micro",
    "supply_won", "vat_won", "fee_won", "fee_vat_won",
)  # fmt: skip


_LINE: Final = table_of(StatementLineRow)
_NEW_PERIOD: Final = InsertNew(PeriodRow)
_STATED: Final = (
    select(_LINE.c.agreement_id, *(func.sum(_LINE.c[name]).label(name) for name in _SUMMED))
    .where(among(_LINE.c.agreement_id, "ids"))
    .group_by(_LINE.c.agreement_id)
)
_STATED_IN: Final = _STATED.where(_LINE.c.period == bindparam("period"))


def lock_period(uow: UnitOfWork, period: str) -> None:
    """Let only one transaction issue statements of a period at a time."""
    _NEW_PERIOD.run(uow, period=period)
    query = select_rows(PeriodRow).where(col(PeriodRow.period) == period)
    uow.session.exec(query.with_for_update()).one()


def stated(
    uow: UnitOfWork, agreements: Iterable[AgreementId], *, period: str | None = None
) -> dict[AgreementId, Stated]:
    """Return what was stated about agreements, in one period or in all together."""
    wanted = sorted(set(agreements))
    found = {id_: Stated(Run(period or "")) for id_ in wanted}
    rows = (
        uow.run(_STATED, ids=wanted)
        if period is None
        else uow.run(_STATED_IN, ids=wanted, period=period)
    )
    for row in rows:
        sums = [int(getattr(row, name)) for name in _SUMMED]
        found[AgreementId(row.agreement_id)] = Stated(
            Run(period or "", *sums[:5]), Amounts(*sums[5:9]), Amounts(*sums[9:])
        )
    return found


def add_lines(uow: UnitOfWork, period: str, lines: dict[AgreementId, Stated]) -> None:
    """Store what an issue says about agreements."""
    values = []
    for agreement_id, line in lines.items():
        sums = (
            *(line.counts.acts, line.counts.queries, line.counts.rows, line.counts.bytes),
            line.counts.compute_ms,
            *(line.micro.supply, line.micro.vat, line.micro.fee, line.micro.fee_vat),
            *(line.won.supply, line.won.vat, line.won.fee, line.won.fee_vat),
        )
        head = {"agreement_id": agreement_id, "period": period}
        values.append({**head, **dict(zip(_SUMMED, sums, strict=True))})
    uow.session.execute(insert(StatementLineRow), values)


def add_document(
    uow: UnitOfWork, statement_id: str, document: Document, *, issued_at: datetime
) -> None:
    """Store a statement for good."""
    uow.session.add(
        StatementRow(
            statement_id=statement_id,
            participant_id=document.participant_id,
            period=document.period,
            number=document.number,
            document=document.json,
            document_sha256=document.sha256,
            issued_at=issued_at,
            seal=document.seal,
        )
    )
    uow.session.flush()


def documents(
    uow: UnitOfWork, period: str, *, participant_id: ParticipantId | None = None
) -> Sequence[Document]:
    """Return statements of a period by participant and number."""
    query = select_rows(StatementRow).where(col(StatementRow.period) == period)
    if participant_id is not None:
        query = query.where(col(StatementRow.participant_id) == participant_id)
    query = query.order_by(col(StatementRow.participant_id), col(StatementRow.number))
    return [_from_row(row) for row in uow.session.exec(query)]


def documents_of(uow: UnitOfWork, participant_id: ParticipantId) -> Sequence[Document]:
    """Return all statements of a participant."""
    query = select_rows(StatementRow).where(col(StatementRow.participant_id) == participant_id)
    query = query.order_by(col(StatementRow.period), col(StatementRow.number))
    return [_from_row(row) for row in uow.session.exec(query)]


def _from_row(row: StatementRow) -> Document:
    return Document(
        participant_id=ParticipantId(row.participant_id),
        period=row.period,
        number=row.number,
        json=row.document,
        sha256=row.document_sha256,
        seal=row.seal,
    )
