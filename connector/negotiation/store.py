"""Table of negotiations."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Row,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    false,
    insert,
    or_,
    update,
)
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connector.negotiation.machine import FINAL, State
from connector.negotiation.model import OURS_TO_ANSWER, Negotiation, Round
from connector.side import Side
from databank.kit.db import InsertNew, UnitOfWork, UtcTime
from schemas.ids import DatasetId, ParticipantId, ProcessId
from schemas.wire import format_time, parse_time


class NegotiationRow(SQLModel, table=True):
    """One negotiation, by our own pid."""

    __tablename__ = "connector_negotiation"
    __table_args__ = (
        UniqueConstraint("side", "counterparty_id", "consumer_pid"),
        Index("ix_connector_negotiation_open", "state", "updated_at"),
    )
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
    reason_code: str | None = None
    rounds_json: str = Field(sa_column=Column(Text, nullable=False, server_default="[]"))
    updated_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))
    starts_transfer: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )


def _dump(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _dump_rounds(rounds: tuple[Round, ...]) -> str:
    said = [{"by": r.by.value, "at": format_time(r.at), "offer": r.offer} for r in rounds]
    return json.dumps(said, ensure_ascii=False)


def _load_rounds(text: str) -> tuple[Round, ...]:
    said = json.loads(text)
    return tuple(Round(Side(r["by"]), r["offer"], parse_time(r["at"])) for r in said)


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
        "reason_code": negotiation.reason_code,
        "rounds_json": _dump_rounds(negotiation.rounds),
        "updated_at": negotiation.updated_at,
        "starts_transfer": negotiation.starts_transfer,
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
        reason_code=row.reason_code,
        rounds=_load_rounds(row.rounds_json),
        updated_at=row.updated_at,
        starts_transfer=bool(row.starts_transfer),
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


def waiting(uow: UnitOfWork, *, limit: int) -> list[Negotiation]:
    """Return at most ``limit`` negotiations that wait for our answer, longest waiting first."""
    query = (
        select(NegotiationRow)
        .where(
            or_(
                *(
                    and_(
                        col(NegotiationRow.side) == side.value,
                        col(NegotiationRow.state) == state.value,
                    )
                    for side, state in OURS_TO_ANSWER
                )
            )
        )
        .order_by(col(NegotiationRow.updated_at), col(NegotiationRow.pid))
    )
    return [_from_row(row) for row in uow.session.exec(query.limit(limit))]


def stalled(uow: UnitOfWork, *, before: datetime, limit: int) -> list[Negotiation]:
    """Return open negotiations of which nothing was heard since ``before``, oldest first."""
    query = _open().where(col(NegotiationRow.updated_at) <= before).limit(limit)
    return [_from_row(row) for row in uow.session.exec(query.with_for_update())]


def oldest_open_at(uow: UnitOfWork) -> datetime | None:
    """Return when the open negotiation that is silent for longest was last changed."""
    row = uow.session.exec(_open().limit(1)).one_or_none()
    return row.updated_at if row else None


def _open() -> SelectOfScalar[NegotiationRow]:
    open_states = [state.value for state in State if state not in FINAL]
    return (
        select(NegotiationRow)
        .where(col(NegotiationRow.state).in_(open_states))
        .order_by(col(NegotiationRow.updated_at), col(NegotiationRow.pid))
    )
