"""Rows of credit: the operator's limits, and what running grants cover beyond the deposit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, bindparam, func, insert
from sqlmodel import Field, SQLModel, col, select

from clearing.credit.model import CreditLine
from clearing.ledger.model import AccountId, Phase, Side
from clearing.ledger.store import EntryRow, PostingRow
from databank.kit.db import Put, UnitOfWork, UtcTime, table_of
from schemas.ids import ParticipantId


class CreditLineRow(SQLModel, table=True):
    """How far a participant may go beyond its deposit."""

    __tablename__ = "clearing_credit_line"
    participant_id: str = Field(primary_key=True)
    limit_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    term_days: int


class CreditGrantRow(SQLModel, table=True):
    """The part of a grant that no hold covers."""

    __tablename__ = "clearing_credit_grant"
    grant_id: str = Field(primary_key=True)
    participant_id: str = Field(index=True)
    amount_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_LINE: Final = table_of(CreditLineRow)
_GRANT: Final = table_of(CreditGrantRow)
_GET_LINE: Final = select(_LINE).where(_LINE.c.participant_id == bindparam("id"))
_PUT_LINE: Final = Put(CreditLineRow)
_ADD_GRANT: Final = insert(_GRANT)
_GRANTED: Final = select(func.sum(_GRANT.c.amount_micro).label("micro")).where(
    _GRANT.c.participant_id == bindparam("id"), _GRANT.c.expires_at > bindparam("now")
)


def line_of(uow: UnitOfWork, participant_id: ParticipantId) -> CreditLine:
    """Return a participant's credit; none was allowed unless the operator said so."""
    row = uow.run(_GET_LINE, id=participant_id).one_or_none()
    return CreditLine() if row is None else CreditLine(row.limit_micro, row.term_days)


def put_line(uow: UnitOfWork, participant_id: ParticipantId, line: CreditLine) -> None:
    """Store a participant's credit."""
    _PUT_LINE.run(
        uow, participant_id=participant_id, limit_micro=line.limit_micro, term_days=line.term_days
    )


def all_lines(uow: UnitOfWork) -> list[ParticipantId]:
    """Return who has a credit line, by id."""
    found = uow.session.exec(
        select(CreditLineRow.participant_id).order_by(col(CreditLineRow.participant_id))
    )
    return [ParticipantId(id_) for id_ in found]


def granted_beyond(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> int:
    """Return what running grants cover beyond the deposit."""
    found = uow.run(_GRANTED, id=participant_id, now=now).scalar_one()
    return int(found or 0)


def put_grant(
    uow: UnitOfWork,
    grant_id: str,
    participant_id: ParticipantId,
    amount_micro: int,
    *,
    expires_at: datetime,
) -> None:
    """Note what a grant covers beyond the deposit."""
    uow.run(
        _ADD_GRANT,
        grant_id=grant_id,
        participant_id=participant_id,
        amount_micro=amount_micro,
        expires_at=expires_at,
    )


def oldest_unpaid_at(uow: UnitOfWork, receivable: AccountId, paid_micro: int) -> datetime | None:
    """Return when the first amount was booked that ``paid_micro`` in all has not paid.

    What `clearing.credit.model.oldest_unpaid` says, without reading every row.
    """
    so_far = func.sum(col(PostingRow.amount)).over(order_by=col(PostingRow.id))
    owed = (
        select(col(PostingRow.id).label("id"), so_far.label("so_far"), col(EntryRow.recorded_at))
        .join(EntryRow, col(EntryRow.id) == col(PostingRow.entry_id))
        .where(
            col(PostingRow.account_id) == receivable,
            col(PostingRow.side) == Side.DEBIT.value,
            col(PostingRow.phase) == Phase.POSTED.value,
        )
        .subquery()
    )
    query = (
        select(owed.c.recorded_at).where(owed.c.so_far > paid_micro).order_by(owed.c.id).limit(1)
    )
    found: datetime | None = uow.session.exec(query).first()
    return found
