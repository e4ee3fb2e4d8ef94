"""Table of messages that wait to be delivered."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel, col, delete, func, select

from connector.outbox.model import Kind, OutgoingMessage, QueuedMessage
from databank.kit.db import UnitOfWork, UtcTime


class OutboxRow(SQLModel, table=True):
    """One message that is not delivered yet."""

    __tablename__ = "connector_outbox"
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    process_key: str = Field(index=True)
    url: str
    audience: str
    body_json: str = Field(sa_column=Column(Text, nullable=False))
    attempts_count: int = 0
    next_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


def append(uow: UnitOfWork, message: OutgoingMessage, now: datetime) -> None:
    """Queue a message behind the others of its process."""
    uow.session.add(
        OutboxRow(
            kind=message.kind.value,
            process_key=message.process_key,
            url=message.url,
            audience=message.audience,
            body_json=json.dumps(message.body, ensure_ascii=False),
            next_at=now,
        )
    )
    uow.session.flush()


def heads(uow: UnitOfWork, *, limit: int) -> list[tuple[QueuedMessage, datetime]]:
    """Return the first message of each process and when it is due, earliest first."""
    first = select(func.min(OutboxRow.id)).group_by(col(OutboxRow.process_key))
    query = (
        select(OutboxRow)
        .where(col(OutboxRow.id).in_(first))
        .order_by(col(OutboxRow.next_at), col(OutboxRow.id))
        .limit(limit)
    )
    return [(_from_row(row), row.next_at) for row in uow.session.exec(query)]


def _from_row(row: OutboxRow) -> QueuedMessage:
    assert row.id is not None
    message = OutgoingMessage(
        kind=Kind(row.kind),
        process_key=row.process_key,
        url=row.url,
        audience=row.audience,
        body=json.loads(row.body_json),
    )
    return QueuedMessage(row.id, message, row.attempts_count)


def count(uow: UnitOfWork, process_key: str) -> int:
    """Return how many messages of a process wait; none is removed before this commits."""
    query = select(OutboxRow.id).where(OutboxRow.process_key == process_key).with_for_update()
    return len(uow.session.exec(query).all())


def waiting(uow: UnitOfWork, process_key: str) -> list[OutgoingMessage]:
    """Return the messages of a process that are not acknowledged, oldest first."""
    query = select(OutboxRow).where(OutboxRow.process_key == process_key)
    rows = uow.session.exec(query.order_by(col(OutboxRow.id)))
    return [_from_row(row).message for row in rows]


def is_waiting(uow: UnitOfWork, queued: QueuedMessage) -> bool:
    """Whether a message is still to be delivered; if so, nobody else removes it meanwhile."""
    row = uow.session.get(OutboxRow, queued.id, with_for_update=True)
    # SQLite gives the id of a row that was removed to the next one
    return row is not None and _from_row(row).message == queued.message


def remove(uow: UnitOfWork, queued: QueuedMessage) -> None:
    """Take a message out: it is delivered, or final."""
    if is_waiting(uow, queued):
        uow.session.exec(delete(OutboxRow).where(col(OutboxRow.id) == queued.id))


def drop(uow: UnitOfWork, process_key: str) -> None:
    """Take out what a process has not delivered yet: it is void."""
    uow.session.exec(delete(OutboxRow).where(col(OutboxRow.process_key) == process_key))


def postpone(uow: UnitOfWork, message_id: int, next_at: datetime) -> None:
    """Note a failed attempt."""
    row = uow.session.get(OutboxRow, message_id)
    if row is not None:
        row.attempts_count += 1
        row.next_at = next_at
        uow.session.flush()
