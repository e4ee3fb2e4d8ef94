"""Table of negotiations."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Text, UniqueConstraint
from sqlmodel import Field, SQLModel, col, select

from connector.negotiation.machine import State
from connector.negotiation.model import Negotiation
from connector.side import Side
from databank.kit.db import IntegrityError, UnitOfWork, UtcTime
from schemas.ids import DatasetId, ParticipantId, ProcessId


class NegotiationRow(SQLModel, table=True):
    """One negotiation, by our own pid."""

    __tablename__ = "connector_negotiation"
    __table_args__ = (UniqueConstraint("side", "counterparty_id", "consumer_pid"),)
    pid: str = Field(primary_key=True)
    side: str
    consumer_pid: str = Field(index=True)
    provider_pid: str | None
    counterparty_id: str
    peer_url: str
    dataset_id: str
    dataset_title: str
    offer_json: str = Field(sa_column=Column(Text, nullable=False))
    agreement_json: str | None = Field(sa_column=Column(Text, nullable=True))
    state: str
    reason: str | None
    updated_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


def _dump(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _values(negotiation: Negotiation) -> dict[str, Any]:
    return {
        "pid": negotiation.pid,
        "side": negotiation.side.value,
        "consumer_pid": negotiation.consumer_pid,
        "provider_pid": negotiation.provider_pid,
        "counterparty_id": negotiation.counterparty_id,
        "peer_url": negotiation.peer_url,
        "dataset_id": negotiation.dataset_id,
        "dataset_title": negotiation.dataset_title,
        "offer_json": _dump(negotiation.offer),
        "agreement_json": _dump(negotiation.agreement),
        "state": negotiation.state.value,
        "reason": negotiation.reason,
        "updated_at": negotiation.updated_at,
    }


def _from_row(row: NegotiationRow) -> Negotiation:
    return Negotiation(
        side=Side(row.side),
        consumer_pid=ProcessId(row.consumer_pid),
        provider_pid=None if row.provider_pid is None else ProcessId(row.provider_pid),
        counterparty_id=ParticipantId(row.counterparty_id),
        peer_url=row.peer_url,
        dataset_id=DatasetId(row.dataset_id),
        dataset_title=row.dataset_title,
        offer=json.loads(row.offer_json),
        agreement=None if row.agreement_json is None else json.loads(row.agreement_json),
        state=State(row.state),
        reason=row.reason,
        updated_at=row.updated_at,
    )


def add(uow: UnitOfWork, negotiation: Negotiation) -> bool:
    """Store a new negotiation; return False if its consumer has one under this pid."""
    try:
        with uow.session.begin_nested():
            uow.session.add(NegotiationRow(**_values(negotiation)))
    except IntegrityError:
        return False
    return True


def put(uow: UnitOfWork, negotiation: Negotiation) -> None:
    """Store a negotiation, new or changed."""
    row = uow.session.get(NegotiationRow, negotiation.pid, with_for_update=True)
    if row is None:
        uow.session.add(NegotiationRow(**_values(negotiation)))
    else:
        row.sqlmodel_update(_values(negotiation))
    uow.session.flush()


def get(uow: UnitOfWork, pid: ProcessId) -> Negotiation | None:
    """Return the negotiation with this own pid; the row is locked until the transaction ends."""
    row = uow.session.get(NegotiationRow, pid, with_for_update=True)
    return _from_row(row) if row else None


def by_consumer_pid(
    uow: UnitOfWork, consumer_pid: ProcessId, counterparty_id: ParticipantId
) -> Negotiation | None:
    """Return the negotiation that this consumer has begun under its pid, as provider."""
    query = select(NegotiationRow).where(
        NegotiationRow.consumer_pid == consumer_pid,
        NegotiationRow.counterparty_id == counterparty_id,
        NegotiationRow.side == Side.PROVIDER.value,
    )
    row = uow.session.exec(query).one_or_none()
    return _from_row(row) if row else None


def newest(uow: UnitOfWork, *, limit: int) -> list[Negotiation]:
    """Return at most ``limit`` negotiations, latest change first."""
    query = select(NegotiationRow).order_by(
        col(NegotiationRow.updated_at).desc(), col(NegotiationRow.pid)
    )
    return [_from_row(row) for row in uow.session.exec(query.limit(limit))]
