"""Tables of what we received: acts in our own stream of acknowledgements, and its position."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, UniqueConstraint, bindparam, insert, update
from sqlmodel import Field, SQLModel, col, select

from connector.metering.store import FIRST_EPOCH, Stream
from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.usage import FIRST_PREVIOUS_SHA256, Act, UsageRecord

STREAM_ID: Final = 1


class ReceivedRow(SQLModel, table=True):
    """One act as we received it; appended, never changed."""

    __tablename__ = "connector_acknowledgement"
    __table_args__ = (UniqueConstraint("agreement_id", "act_id"),)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    act_id: str
    act: str
    agreement_id: str = Field(index=True)
    process_id: str
    consumer_id: str
    dataset_id: str
    rows_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries_count: int
    result_sha256: str
    occurred_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    compute_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


class ReceivedStreamRow(SQLModel, table=True):
    """Where our stream of acknowledgements stands."""

    __tablename__ = "connector_acknowledgement_stream"
    id: int = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    next_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    acked_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_body_sha256: str
    sealed_seq: int | None = Field(sa_column=Column(BigInteger, nullable=True))


_IS_OURS: Final = col(ReceivedStreamRow.id) == STREAM_ID
_STREAM: Final = select(ReceivedStreamRow).where(_IS_OURS).with_for_update()
_ADD_STREAM: Final = insert(ReceivedStreamRow)
_SEAL: Final = update(ReceivedStreamRow).where(_IS_OURS).values(sealed_seq=bindparam("seq"))
_ACKNOWLEDGE: Final = (
    update(ReceivedStreamRow)
    .where(_IS_OURS)
    .values(acked_seq=bindparam("seq"), last_body_sha256=bindparam("body"), sealed_seq=None)
)
_ADVANCE: Final = (
    update(ReceivedStreamRow)
    .where(_IS_OURS, col(ReceivedStreamRow.next_seq) == bindparam("seq"))
    .values(next_seq=col(ReceivedStreamRow.next_seq) + 1)
)
_APPEND: Final = insert(ReceivedRow)
_FIND: Final = select(col(ReceivedRow.seq)).where(
    col(ReceivedRow.agreement_id) == bindparam("agreement"),
    col(ReceivedRow.act_id) == bindparam("act"),
)
_RECORDS: Final = (
    select(ReceivedRow)
    .where(col(ReceivedRow.seq) >= bindparam("first"), col(ReceivedRow.seq) <= bindparam("last"))
    .order_by(col(ReceivedRow.seq))
)


def stream(uow: UnitOfWork) -> Stream:
    """Return where the stream stands; it is locked until the transaction ends."""
    row = uow.run(_STREAM).mapping_or_none()
    if row is None:
        first = Stream(FIRST_EPOCH, 1, 0, FIRST_PREVIOUS_SHA256, None)
        uow.run(_ADD_STREAM, id=STREAM_ID, **asdict(first))
        return first
    return Stream(
        epoch=row["epoch"],
        next_seq=row["next_seq"],
        acked_seq=row["acked_seq"],
        last_body_sha256=row["last_body_sha256"],
        sealed_seq=row["sealed_seq"],
    )


def seal(uow: UnitOfWork, last_seq: int) -> None:
    """Fix where the next batch ends, so that it is the same bytes however often it is sent."""
    uow.run(_SEAL, seq=last_seq)


def acknowledge(uow: UnitOfWork, last_seq: int, body_sha256: str) -> None:
    """Move the watermark; nothing is under way after it."""
    uow.run(_ACKNOWLEDGE, seq=last_seq, body=body_sha256)


def is_known(uow: UnitOfWork, agreement_id: AgreementId, act_id: str) -> bool:
    """Whether we have received that act before."""
    return uow.run(_FIND, agreement=agreement_id, act=act_id).first() is not None


def append(uow: UnitOfWork, record: UsageRecord) -> None:
    """Append an act, whose ``seq`` must be the one that is due."""
    is_due = uow.run(_ADVANCE, seq=record.seq).rowcount == 1
    assert is_due
    uow.run(_APPEND, **{**asdict(record), "act": record.act.value})


def records(uow: UnitOfWork, first_seq: int, last_seq: int) -> list[UsageRecord]:
    """Return the acts from ``first_seq`` to ``last_seq``, in order."""
    return [
        UsageRecord(
            seq=row["seq"],
            act_id=row["act_id"],
            act=Act(row["act"]),
            agreement_id=AgreementId(row["agreement_id"]),
            process_id=ProcessId(row["process_id"]),
            consumer_id=ParticipantId(row["consumer_id"]),
            dataset_id=DatasetId(row["dataset_id"]),
            rows_count=row["rows_count"],
            bytes_count=row["bytes_count"],
            queries_count=row["queries_count"],
            result_sha256=row["result_sha256"],
            occurred_at=row["occurred_at"],
            compute_ms=row["compute_ms"],
        )
        for row in uow.run(_RECORDS, first=first_seq, last=last_seq).mappings()
    ]
