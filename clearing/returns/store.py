"""Rows of payments that came back, and what officers said of fees. Only ever added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.payout import FeeBearer


class PaymentReturnRow(SQLModel, table=True):
    """How a payment came back."""

    __tablename__ = "clearing_payment_return"
    end_to_end_id: str = Field(primary_key=True, foreign_key="clearing_payment.end_to_end_id")
    reason: str
    returned_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class FeeDecisionRow(SQLModel, table=True):
    """What an officer said of a fee; the last row of an officer counts."""

    __tablename__ = "clearing_fee_decision"
    end_to_end_id: str = Field(
        primary_key=True, foreign_key="clearing_payment_return.end_to_end_id"
    )
    number: int = Field(primary_key=True)
    officer: str
    bearer: str
    approval: str = Field(sa_column=Column(Text, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class Said:
    """What an officer said, with its signature."""

    officer: str
    bearer: FeeBearer
    approval: str


@dataclass(frozen=True, slots=True)
class Return:
    """A payment that came back; amounts in won."""

    end_to_end_id: str
    reason: str
    returned_won: int
    fee_won: int
    said: tuple[Said, ...] = ()


def add_return(uow: UnitOfWork, made: Return, *, now: datetime) -> None:
    """Store how a payment came back, for good."""
    row = PaymentReturnRow(
        end_to_end_id=made.end_to_end_id,
        reason=made.reason,
        returned_won=made.returned_won,
        fee_won=made.fee_won,
        recorded_at=now,
    )
    uow.session.add(row)
    uow.session.flush()


def add_said(uow: UnitOfWork, made: Return, said: Said, *, now: datetime) -> Return:
    """Store what an officer said; two at the same time collide on its number."""
    row = FeeDecisionRow(
        end_to_end_id=made.end_to_end_id,
        number=len(made.said) + 1,
        officer=said.officer,
        bearer=said.bearer.value,
        approval=said.approval,
        recorded_at=now,
    )
    uow.session.add(row)
    uow.session.flush()
    return returns(uow, [made.end_to_end_id])[made.end_to_end_id]


def returns(uow: UnitOfWork, ids: Iterable[str]) -> dict[str, Return]:
    """Return those of these payments that came back."""
    wanted = sorted(set(ids))
    rows = select(PaymentReturnRow).where(col(PaymentReturnRow.end_to_end_id).in_(wanted))
    said = (
        select(FeeDecisionRow)
        .where(col(FeeDecisionRow.end_to_end_id).in_(wanted))
        .order_by(col(FeeDecisionRow.number))
    )
    words: dict[str, list[Said]] = {}
    for word in uow.session.exec(said):
        one = Said(word.officer, FeeBearer(word.bearer), word.approval)
        words.setdefault(word.end_to_end_id, []).append(one)
    return {
        row.end_to_end_id: Return(
            end_to_end_id=row.end_to_end_id,
            reason=row.reason,
            returned_won=row.returned_won,
            fee_won=row.fee_won,
            said=tuple(words.get(row.end_to_end_id, ())),
        )
        for row in uow.session.exec(rows)
    }
