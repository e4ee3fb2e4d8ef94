"""Table of messages that wait to be delivered."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Row, Text, bindparam, insert, update
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


_APPEND: Final = insert(OutboxRow).returning(col(OutboxRow.id))
_FIRST_ID: Final = select(func.min(OutboxRow.id)).where(
    col(OutboxRow.process_key) == bindparam("process_key")
)
_ALL_OF_PROCESS: Final = (
    select(OutboxRow)
    .where(col(OutboxRow.process_key) == bindparam("process_key"))
    .order_by(col(OutboxRow.id))
)
_OF_PROCESS: Final = _ALL_OF_PROCESS.limit(1)
_BY_ID: Final = select(OutboxRow).where(col(OutboxRow.id) == bindparam("key")).with_for_update()
_HEADS: Final = (
    select(OutboxRow)
    .where(col(OutboxRow.id).in_(select(func.min(OutboxRow.id)).group_by(OutboxRow.process_key)))
    .order_by(col(OutboxRow.next_at), col(OutboxRow.id))
    .limit(bindparam("count"))
)
_WAITING: Final = (
    select(OutboxRow.id)
    .where(col(OutboxRow.process_key) == bindparam("process_key"))
    .with_for_update()
)
_REMOVE: Final = delete(OutboxRow).where(col(OutboxRow.id) == bindparam("key"))
_DROP: Final = delete(OutboxRow).where(col(OutboxRow.process_key) == bindparam("process_key"))
_POSTPONE: Final = (
    update(OutboxRow)
    .where(col(OutboxRow.id) == bindparam("key"))
    .values(attempts_count=col(OutboxRow.attempts_count) + 1, next_at=bindparam("at"))
)


def append(uow: UnitOfWork, message: OutgoingMessage, now: datetime) -> QueuedMessage | None:
    """Queue a message; return it if no other of its process waits before it."""
    id_: int = uow.run(
        _APPEND,
        kind=message.kind.value,
        process_key=message.process_key,
        url=message.url,
        audience=message.audience,
        body_json=json.dumps(message.body, ensure_ascii=False),
        attempts_count=0,
        next_at=now,
    ).scalar_one()
    is_first = uow.run(_FIRST_ID, process_key=message.process_key).scalar_one() == id_
    return QueuedMessage(id_, message, 0) if is_first else None


def heads(uow: UnitOfWork, *, limit: int) -> list[tuple[QueuedMessage, datetime]]:
    """Return the first message of each process and when it is due, earliest first."""
    return [(_from_row(row), row.next_at) for row in uow.run(_HEADS, count=limit)]


def first_of(uow: UnitOfWork, process_key: str) -> tuple[QueuedMessage, datetime] | None:
    """Return the first message of one process and when it is due."""
    row = uow.run(_OF_PROCESS, process_key=process_key).one_or_none()
    return (_from_row(row), row.next_at) if row else None


def _from_row(row: Row[Any]) -> QueuedMessage:
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
    return len(uow.run(_WAITING, process_key=process_key).all())


def waiting(uow: UnitOfWork, process_key: str) -> list[OutgoingMessage]:
    """Return the messages of a process that are not acknowledged, oldest first."""
    return [_from_row(row).message for row in uow.run(_ALL_OF_PROCESS, process_key=process_key)]


def is_waiting(uow: UnitOfWork, queued: QueuedMessage) -> bool:
    """Whether a message is still to be delivered; if so, nobody else removes it meanwhile."""
    row = uow.run(_BY_ID, key=queued.id).one_or_none()
    # SQLite gives the id of a row that was removed to the next one
    return row is not None and _from_row(row).message == queued.message


def remove(uow: UnitOfWork, queued: QueuedMessage) -> None:
    """Take a message out: it is delivered, or final."""
    if is_waiting(uow, queued):
        take_out(uow, queued)


def take_out(uow: UnitOfWork, queued: QueuedMessage) -> None:
    """Take out a message of which this transaction has seen that it waits."""
    uow.run(_REMOVE, key=queued.id)


def drop(uow: UnitOfWork, process_key: str) -> None:
    """Take out what a process has not delivered yet: it is void."""
    uow.run(_DROP, process_key=process_key)


def postpone(uow: UnitOfWork, message_id: int, next_at: datetime) -> None:
    """Note a failed attempt."""
    uow.run(_POSTPONE, key=message_id, at=next_at)
