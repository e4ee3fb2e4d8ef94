"""Table of negotiations."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Row, Text, UniqueConstraint, bindparam, insert, update
from sqlmodel import Field, SQLModel, col, select

from connector.negotiation.machine import State
from connector.negotiation.model import Negotiation
from connector.side import Side
from databank.kit.db import InsertNew, UnitOfWork, UtcTime
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


def _from_row(row: NegotiationRow | Row[Any]) -> Negotiation:
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


_ADD: Final = InsertNew(NegotiationRow)
_INSERT: Final = insert(NegotiationRow)
_CHANGE: Final = update(NegotiationRow).where(col(NegotiationRow.pid) == bindparam("key"))
_GET: Final = select(NegotiationRow).where(NegotiationRow.pid == bindparam("key"))
_LOCK: Final = _GET.with_for_update()
_OF_CONSUMER: Final = select(NegotiationRow).where(
    NegotiationRow.consumer_pid == bindparam("consumer_pid"),
    NegotiationRow.counterparty_id == bindparam("counterparty_id"),
    NegotiationRow.side == Side.PROVIDER.value,
)


def add(uow: UnitOfWork, negotiation: Negotiation) -> bool:
    """Store a new negotiation; return False if its consumer has one under this pid."""
    return _ADD.run(uow, **_values(negotiation))


def put(uow: UnitOfWork, negotiation: Negotiation) -> None:
    """Store a negotiation, new or changed."""
    values = _values(negotiation)
    if uow.run(_CHANGE, key=negotiation.pid, **values).rowcount == 0:
        uow.run(_INSERT, **values)


def get(uow: UnitOfWork, pid: ProcessId) -> Negotiation | None:
    """Return the negotiation with this own pid; the row is locked until the transaction ends."""
    row = uow.run(_LOCK, key=pid).one_or_none()
    return _from_row(row) if row else None


def look(uow: UnitOfWork, pid: ProcessId) -> Negotiation | None:
    """Return the negotiation with this own pid, to be shown and not to be changed."""
    row = uow.run(_GET, key=pid).one_or_none()
    return _from_row(row) if row else None


def by_consumer_pid(
    uow: UnitOfWork, consumer_pid: ProcessId, counterparty_id: ParticipantId
) -> Negotiation | None:
    """Return the negotiation that this consumer has begun under its pid, as provider."""
    values = {"consumer_pid": consumer_pid, "counterparty_id": counterparty_id}
    row = uow.run(_OF_CONSUMER, **values).one_or_none()
    return _from_row(row) if row else None


def newest(uow: UnitOfWork, *, limit: int) -> list[Negotiation]:
    """Return at most ``limit`` negotiations, latest change first."""
    query = select(NegotiationRow).order_by(
        col(NegotiationRow.updated_at).desc(), col(NegotiationRow.pid)
    )
    return [_from_row(row) for row in uow.session.exec(query.limit(limit))]
