"""Table of agreements."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Row, Text, bindparam
from sqlmodel import Field, SQLModel, col, select

from connector.agreement.model import Agreement
from connector.side import Side
from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import AgreementId, DatasetId, ParticipantId


class AgreementRow(SQLModel, table=True):
    """One agreement; the policy's bytes never change."""

    __tablename__ = "connector_agreement"
    agreement_id: str = Field(primary_key=True)
    side: str
    provider_id: str
    consumer_id: str
    dataset_id: str = Field(index=True)
    dataset_title: str
    policy_json: str = Field(sa_column=Column(Text, nullable=False))
    agreed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))
    is_terminated: bool


def _from_row(row: AgreementRow | Row[Any]) -> Agreement:
    return Agreement(
        id=AgreementId(row.agreement_id),
        side=Side(row.side),
        provider_id=ParticipantId(row.provider_id),
        consumer_id=ParticipantId(row.consumer_id),
        dataset_id=DatasetId(row.dataset_id),
        dataset_title=row.dataset_title,
        policy=json.loads(row.policy_json),
        agreed_at=row.agreed_at,
        is_terminated=row.is_terminated,
    )


def put(uow: UnitOfWork, agreement: Agreement) -> None:
    """Store a new agreement.

    Raises:
        IntegrityError: The id is taken.
    """
    uow.session.add(
        AgreementRow(
            agreement_id=agreement.id,
            side=agreement.side.value,
            provider_id=agreement.provider_id,
            consumer_id=agreement.consumer_id,
            dataset_id=agreement.dataset_id,
            dataset_title=agreement.dataset_title,
            policy_json=json.dumps(agreement.policy, ensure_ascii=False),
            agreed_at=agreement.agreed_at,
            is_terminated=agreement.is_terminated,
        )
    )
    uow.session.flush()


_GET: Final = select(AgreementRow).where(AgreementRow.agreement_id == bindparam("agreement"))


def get(uow: UnitOfWork, agreement_id: AgreementId) -> Agreement | None:
    """Return an agreement, terminated or not."""
    row = uow.run(_GET, agreement=agreement_id).one_or_none()
    return _from_row(row) if row else None


def newest(uow: UnitOfWork, *, limit: int) -> list[Agreement]:
    """Return at most ``limit`` agreements, newest first."""
    query = select(AgreementRow).order_by(
        col(AgreementRow.agreed_at).desc(), col(AgreementRow.agreement_id)
    )
    return [_from_row(row) for row in uow.session.exec(query.limit(limit))]
