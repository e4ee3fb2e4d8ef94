"""Table of decisions: every one that was taken, allowed or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Text, insert
from sqlmodel import Field, SQLModel, col, select

from connector.policy.evaluate import Act, Decision
from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import AgreementId, ParticipantId
from schemas.management import DecisionView
from schemas.wire import Text as Words


class DecisionRow(SQLModel, table=True):
    """One decision; never changed."""

    __tablename__ = "connector_decision"
    decision_id: str = Field(primary_key=True)
    act_id: str
    agreement_id: str = Field(index=True)
    consumer_id: str
    mode: str
    is_allowed: bool
    code: str
    reason_ko: str = Field(sa_column=Column(Text, nullable=False))
    reason_en: str = Field(sa_column=Column(Text, nullable=False))
    decided_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class Taken:
    """A decision and what it was about."""

    decision_id: str
    act_id: str
    agreement_id: AgreementId
    act: Act
    decision: Decision
    decided_at: datetime


_PUT: Final = insert(DecisionRow)


def put(uow: UnitOfWork, taken: Taken) -> None:
    """Store a decision."""
    uow.run(
        _PUT,
        decision_id=taken.decision_id,
        act_id=taken.act_id,
        agreement_id=taken.agreement_id,
        consumer_id=taken.act.consumer_id,
        mode=taken.act.mode.value,
        is_allowed=taken.decision.is_allowed,
        code=taken.decision.code.value,
        reason_ko=taken.decision.reason.ko,
        reason_en=taken.decision.reason.en,
        decided_at=taken.decided_at,
    )


def newest(uow: UnitOfWork, agreement_id: AgreementId, *, limit: int) -> list[DecisionView]:
    """Return the latest decisions on an agreement, newest first (ids are ordered in time)."""
    query = (
        select(DecisionRow)
        .where(DecisionRow.agreement_id == agreement_id)
        .order_by(col(DecisionRow.decision_id).desc())
    )
    return [_view(row) for row in uow.session.exec(query.limit(limit))]


def _view(row: DecisionRow) -> DecisionView:
    return DecisionView(
        decision_id=row.decision_id,
        act_id=row.act_id,
        agreement_id=AgreementId(row.agreement_id),
        consumer_id=ParticipantId(row.consumer_id),
        mode=row.mode,
        is_allowed=row.is_allowed,
        code=row.code,
        reason=Words(ko=row.reason_ko, en=row.reason_en),
        decided_at=row.decided_at,
    )
